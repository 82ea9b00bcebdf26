"""
What the shelf keeps, what it never shows, and what it throws away.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from pathlib import Path

import pytest

from holdfast.service.images.render import Rendered, render
from holdfast.service.images.rendition import Rendition
from holdfast.service.images.rendition_cache import RenditionCache
from tests.images.pictures import LIMITS, png

KEY = "Ab34567890"
OTHER = "aB34567890"
SMALL = Rendition(width=3)
MADE = render(png(), SMALL, LIMITS)
HOUR = 3600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that is not there yet."""
    return tmp_path / "cache" / "renditions"


@pytest.fixture
def cache(folder: Path) -> RenditionCache:
    """Return a shelf."""
    return RenditionCache(str(folder))


def files(folder: Path) -> list[Path]:
    """Return the files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def aged(path: Path, seconds: float) -> float:
    """Make a file look as if it was used so long ago, and return when."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path.stat().st_mtime


async def test_kept(cache: RenditionCache, folder: Path) -> None:
    """What was put is there, for this shelf and for the next one in the same folder."""
    assert await cache.get(KEY, SMALL) is None
    assert not folder.exists()
    await cache.put(KEY, SMALL, MADE)

    assert MADE == await cache.get(KEY, SMALL)
    assert MADE == await RenditionCache(str(folder)).get(KEY, SMALL)
    assert [folder / "Ab" / KEY / "3x"] == files(folder)


async def test_private(cache: RenditionCache, folder: Path) -> None:
    """Nobody else on the machine can look into the folder."""
    await cache.put(KEY, SMALL, MADE)

    assert 0o700 == folder.stat().st_mode & 0o777


async def test_each_for_itself(cache: RenditionCache) -> None:
    """Renditions of one attachment, and attachments whose keys differ only in case, are not mistaken for each other."""
    wanted = [
        (key, rendition)
        for key in (KEY, OTHER, KEY.upper(), KEY.lower())
        for rendition in (
            Rendition(),
            Rendition(width=11),
            Rendition(height=11),
            Rendition(width=1, height=1),
            Rendition(width=11, height=11),
            Rendition(width=11, height=11, crop=True),
        )
    ]
    expected = [
        Rendered(content=b"%d" % number, content_type="image/gif", width=number + 1, height=1, name=str(number))
        for number in range(len(wanted))
    ]
    for (key, rendition), made in zip(wanted, expected, strict=True):
        await cache.put(key, rendition, made)

    assert expected == [await cache.get(key, rendition) for key, rendition in wanted]


async def test_file_systems_without_case(cache: RenditionCache, folder: Path) -> None:
    """Where two keys name the same folder, one does not get what belongs to the other."""
    await cache.put(KEY, SMALL, MADE)
    (folder / OTHER[:2]).mkdir()
    shutil.copytree(folder / KEY[:2] / KEY, folder / OTHER[:2] / OTHER)

    assert await cache.get(OTHER, SMALL) is None
    assert MADE == await cache.get(KEY, SMALL)


@pytest.mark.parametrize("key", ["", "Ab3456789", "Ab345678901", "../../etc/", "Ab3456789/", "Ab3456789\n", "\uff11234567890"])
async def test_no_key(cache: RenditionCache, key: str) -> None:
    """What is no key never becomes a path."""
    with pytest.raises(ValueError, match="key"):
        await cache.get(key, SMALL)
    with pytest.raises(ValueError, match="key"):
        await cache.put(key, SMALL, MADE)
    with pytest.raises(ValueError, match="key"):
        await cache.remove(key)


async def test_damaged(cache: RenditionCache, folder: Path) -> None:
    """A file in which one byte is wrong, missing or too many is absent, and is replaced by the next one."""
    await cache.put(KEY, SMALL, MADE)
    (path,) = files(folder)
    whole = path.read_bytes()
    damaged = [whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :] for at in range(len(whole))]
    damaged += [whole[:end] for end in range(len(whole))]
    damaged += [whole + b"\0", bytes(len(whole)), MADE.content]
    for content in damaged:
        path.write_bytes(content)
        assert await cache.get(KEY, SMALL) is None

    await cache.put(KEY, SMALL, MADE)
    assert MADE == await cache.get(KEY, SMALL)


async def test_never_half_visible(folder: Path) -> None:
    """While several shelves write the same rendition, others see all of it or nothing, and nothing else is left."""
    large = Rendered(content=os.urandom(500_000), content_type="image/png", width=1, height=1, name="large")
    shelves = [RenditionCache(str(folder)) for _ in range(4)]

    async def puts(cache: RenditionCache) -> None:
        for _ in range(5):
            await cache.put(KEY, SMALL, large)

    async def gets(cache: RenditionCache) -> list[Rendered | None]:
        return [await cache.get(KEY, SMALL) for _ in range(20)]

    *_, found, others = await asyncio.gather(*map(puts, shelves), gets(shelves[0]), gets(shelves[1]))
    assert found is not None
    assert others is not None
    seen = [*found, *others]
    first = next((at for at, each in enumerate(found) if each is not None), len(found))
    assert all(each is None or each == large for each in seen)
    assert None not in found[first:]
    assert [folder / "Ab" / KEY / "3x"] == files(folder)


@pytest.mark.parametrize(
    ("seconds", "touched"),
    [
        pytest.param(2 * HOUR, True, id="used long ago"),
        pytest.param(HOUR / 2, False, id="used within the hour"),
        pytest.param(-2 * HOUR, True, id="a clock that was wrong"),
    ],
)
async def test_used(cache: RenditionCache, folder: Path, seconds: float, touched: bool) -> None:
    """Who gets a rendition is noted, once in an hour."""
    await cache.put(KEY, SMALL, MADE)
    (path,) = files(folder)
    then = aged(path, seconds)
    assert MADE == await cache.get(KEY, SMALL)

    assert touched == (path.stat().st_mtime != then)
    assert not touched or abs(path.stat().st_mtime - time.time()) < 60


async def test_remove(cache: RenditionCache, folder: Path) -> None:
    """With an attachment all of its renditions go, and no others."""
    for key in (KEY, OTHER, "Ab00000000"):
        for rendition in (SMALL, Rendition()):
            await cache.put(key, rendition, MADE)
    await cache.remove(KEY)
    await cache.remove(KEY)
    await cache.remove("zz34567890")

    assert (None, None) == (await cache.get(KEY, SMALL), await cache.get(KEY, Rendition()))
    assert {OTHER, "Ab00000000"} == {path.parent.name for path in files(folder)}
    assert ["Ab00000000"] == [path.name for path in (folder / "Ab").iterdir()]
    await cache.put(KEY, SMALL, MADE)
    assert MADE == await cache.get(KEY, SMALL)


async def test_prune(cache: RenditionCache, folder: Path) -> None:
    """The least recently used go first, and only until the rest fits."""
    keys = [f"{number:010}" for number in range(6)]
    for age, key in enumerate(keys):
        await cache.put(key, SMALL, MADE)
        aged(folder / key[:2] / key / "3x", 1000 - age)
    size = files(folder)[0].stat().st_size
    aged(folder / keys[0][:2] / keys[0] / "3x", 2 * HOUR)
    assert MADE == await cache.get(keys[0], SMALL)
    await cache.prune()
    assert 6 == len(files(folder))

    await RenditionCache(str(folder), room=6 * size).prune()
    assert 6 == len(files(folder))
    await RenditionCache(str(folder), room=4 * size - 1).prune()
    assert [keys[0], *keys[4:]] == [path.parent.name for path in files(folder)]
    await RenditionCache(str(folder), room=0).prune()
    assert [] == list(folder.iterdir())
    await cache.put(KEY, SMALL, MADE)
    assert MADE == await cache.get(KEY, SMALL)


async def test_prune_without_a_folder(cache: RenditionCache, folder: Path) -> None:
    """Where nothing was ever put there is nothing to prune."""
    await cache.prune()

    assert not folder.exists()


async def test_left_behind(cache: RenditionCache, folder: Path) -> None:
    """What a crash left behind goes with the next pruning, but not what somebody may be at work on."""
    await cache.put(KEY, SMALL, MADE)
    place = folder / "Ab" / KEY
    for name in ("old", "new"):
        (folder / "Ab" / f".{name}").mkdir()
        (folder / "Ab" / f".{name}" / "3x").write_bytes(b"of an attachment that is removed")
        (place / f".{name}").write_bytes(b"half a rendition")
    aged(folder / "Ab" / ".old" / "3x", 2 * HOUR)
    aged(place / ".old", 2 * HOUR)
    await cache.prune()

    assert [folder / "Ab" / ".new" / "3x", place / ".new", place / "3x"] == files(folder)
    assert not (folder / "Ab" / ".old").exists()
    assert MADE == await cache.get(KEY, SMALL)


async def test_trouble(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A disk that takes nothing and gives nothing is told of in the log, and to nobody else."""
    folder.parent.mkdir()
    folder.write_bytes(b"a file where a folder should be")
    cache = RenditionCache(str(folder))
    with caplog.at_level(logging.WARNING, "holdfast"):
        await cache.put(KEY, SMALL, MADE)
        assert ["holdfast"] == [record.name for record in caplog.records]
        assert await cache.get(KEY, SMALL) is None
        await cache.remove(KEY)
        await cache.prune()

    assert {logging.WARNING} == {record.levelno for record in caplog.records}
    assert [folder] == files(folder.parent)


async def test_trouble_with_one_file(cache: RenditionCache, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder where a file should be hurts nobody else, and nothing is left of the attempt to write there."""
    (folder / "Ab" / KEY / "3x").mkdir(parents=True)
    (folder / "Ab" / KEY / "3x" / "inner").write_bytes(b"?")
    with caplog.at_level(logging.WARNING, "holdfast"):
        await cache.put(KEY, SMALL, MADE)
        assert await cache.get(KEY, SMALL) is None

    assert 2 == len(caplog.records)
    assert ["3x"] == [path.name for path in (folder / "Ab" / KEY).iterdir()]
    await cache.put(KEY, Rendition(), MADE)
    assert MADE == await cache.get(KEY, Rendition())
    await cache.remove(KEY)
    await cache.put(KEY, SMALL, MADE)
    assert MADE == await cache.get(KEY, SMALL)


async def test_all_at_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever else happens in the folder, nobody sees anything but a whole rendition or none."""
    shelves = [RenditionCache(str(folder), room=300) for _ in range(3)]

    async def turns(cache: RenditionCache, key: str) -> set[Rendered | None]:
        found = set()
        for _ in range(30):
            await cache.put(key, SMALL, MADE)
            found.add(await cache.get(key, SMALL))
            await cache.prune()
            await cache.remove(key)
        return found

    with caplog.at_level(logging.CRITICAL, "holdfast"):
        seen = await asyncio.gather(*[turns(cache, key) for cache in shelves for key in (KEY, OTHER)])
    assert {None, MADE} >= set().union(*seen)
