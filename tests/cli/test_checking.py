"""
What ``holdfast check`` says, over the embedded stores.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from holdfast.service.cli.checking import CheckReport, checked
from holdfast.service.settings import Settings
from holdfast.service.stores import open_stores
from holdfast.storage.keys import new_key
from holdfast.storage.records import UploadRecord
from tests.storage.backends import appended, new_upload, store_upload


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of a service with a folder of its own."""
    return Settings(data_dir=str(tmp_path / "data"))


async def uploaded(settings: Settings, content: bytes, *, recorded: bool = True) -> UploadRecord:
    """Return an upload at the end of *content*; one that is not *recorded* nobody knows of."""
    stores = open_stores(settings)
    record = dataclasses.replace(await appended(stores.content, new_upload(), content), revision=0)
    if recorded:
        await store_upload(stores.metadata, record)
    await stores.close()
    return record


async def check(settings: Settings, key: str | None = None, *, repair: bool = False) -> CheckReport:
    """Return what is said of everything, however new, or of one upload."""
    return await checked(settings, key, repair=repair, settled=0)


async def test_agreement(settings: Settings) -> None:
    """Where everything agrees, that is all there is to say."""
    await uploaded(settings, b"kelp")
    report = await check(settings)

    assert (("Records and content agree.",), True) == (report.text, report.agree)


async def test_orphans_are_removed(settings: Settings) -> None:
    """Content of no upload is told first, and removed when that is asked for."""
    orphan = await uploaded(settings, b"kelp", recorded=False)
    before = await check(settings)
    repaired = await check(settings, repair=True)
    after = await check(settings)

    assert before.text[0].startswith(f"found: {orphan.key}: uploads/")
    assert repaired.text[0].startswith(f"removed: {orphan.key}: uploads/")
    assert [False, True, True] == [report.agree for report in (before, repaired, after)]


async def test_missing_content_stays_missing(settings: Settings) -> None:
    """Content that was promised and is not there is no agreement, whatever is repaired."""
    record = await uploaded(settings, b"kelp")
    next(Path(settings.data_dir).glob(f"uploads/*/{record.key}")).unlink()
    report = await check(settings, repair=True)

    assert not report.agree
    assert report.text[0].startswith(f"found: {record.key}: 4 bytes: promised, and not there")


async def test_one_upload_is_explained(settings: Settings) -> None:
    """Of one upload it is told what keeps it; of a key that nobody used, that."""
    record = await uploaded(settings, b"kelp")
    known, unknown = await check(settings, record.key), await check(settings, new_key())

    assert known.agree
    assert f"{record.key} of tenant 1:" == known.text[0]
    assert "It is open at 4 of unknown length" in known.text[1]
    assert not unknown.agree
