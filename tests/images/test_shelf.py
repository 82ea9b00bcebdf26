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

from service.images.render import Rendered, render
from service.images.rendition import Rendition
from service.images.shelf import Shelf
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
def shelf(folder: Path) -> Shelf:
    """Return a shelf."""
    return Shelf(str(folder))


def files(folder: Path) -> list[Path]:
    """Return the files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def aged(path: Path, seconds: float) -> float:
    """Make a file look as if it was used so long ago, and return when."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path.stat().st_mtime


async def test_kept(shelf: Shelf, folder: Path) -> None:
    """What was put is there, for this shelf and for the next one in the same folder."""
    assert await shelf.get(KEY, SMALL) is None
    assert not folder.exists()
    await shelf.put(KEY, SMALL, MADE)

    assert MADE == await shelf.get(KEY, SMALL)
    assert MADE == await Shelf(str(folder)).get(KEY, SMALL)
    assert [folder / "Ab" / KEY / "3x"] == files(folder)


async def test_private(shelf: Shelf, folder: Path) -> None:
    """Nobody else on the machine can look into the folder."""
    await shelf.put(KEY, SMALL, MADE)

    assert 0o700 == folder.stat().st_mode & 0o777


async def test_each_for_itself(shelf: Shelf) -> None:
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
        await shelf.put(key, rendition, made)

    assert expected == [await shelf.get(key, rendition) for key, rendition in wanted]


async def test_file_systems_without_case(shelf: Shelf, folder: Path) -> None:
    """Where two keys name the same folder, one does not get what belongs to the other."""
    await shelf.put(KEY, SMALL, MADE)
    (folder / OTHER[:2]).mkdir()
    shutil.copytree(folder / KEY[:2] / KEY, folder / OTHER[:2] / OTHER)

    assert await shelf.get(OTHER, SMALL) is None
    assert MADE == await shelf.get(KEY, SMALL)


@pytest.mark.parametrize("key", ["", "Ab3456789", "Ab345678901", "../../etc/", "Ab3456789/", "Ab3456789\n", "\uff11234567890"])
async def test_no_key(shelf: Shelf, key: str) -> None:
    """What is no key never becomes a path."""
    with pytest.raises(ValueError, match="key"):
        await shelf.get(key, SMALL)
    with pytest.raises(ValueError, match="key"):
        await shelf.put(key, SMALL, MADE)
    with pytest.raises(ValueError, match="key"):
        await shelf.remove(key)


async def test_damaged(shelf: Shelf, folder: Path) -> None:
    """A file in which one byte is wrong, missing or too many is absent, and is replaced by the next one."""
    await shelf.put(KEY, SMALL, MADE)
    (path,) = files(folder)
    whole = path.read_bytes()
    damaged = [whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :] for at in range(len(whole))]
    damaged += [whole[:end] for end in range(len(whole))]
    damaged += [whole + b"\0", bytes(len(whole)), MADE.content]
    for content in damaged:
        path.write_bytes(content)
        assert await shelf.get(KEY, SMALL) is None

    await shelf.put(KEY, SMALL, MADE)
    assert MADE == await shelf.get(KEY, SMALL)


async def test_never_half_visible(folder: Path) -> None:
    """While several shelves write the same rendition, others see all of it or nothing, and nothing else is left."""
    large = Rendered(content=os.urandom(500_000), content_type="image/png", width=1, height=1, name="large")
    shelves = [Shelf(str(folder)) for _ in range(4)]

    async def puts(shelf: Shelf) -> None:
        for _ in range(5):
            await shelf.put(KEY, SMALL, large)

    async def gets(shelf: Shelf) -> list[Rendered | None]:
        return [await shelf.get(KEY, SMALL) for _ in range(20)]

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
async def test_used(shelf: Shelf, folder: Path, seconds: float, touched: bool) -> None:
    """Who gets a rendition is noted, once in an hour."""
    await shelf.put(KEY, SMALL, MADE)
    (path,) = files(folder)
    then = aged(path, seconds)
    assert MADE == await shelf.get(KEY, SMALL)

    assert touched == (path.stat().st_mtime != then)
    assert not touched or abs(path.stat().st_mtime - time.time()) < 60


async def test_remove(shelf: Shelf, folder: Path) -> None:
    """With an attachment all of its renditions go, and no others."""
    for key in (KEY, OTHER, "Ab00000000"):
        for rendition in (SMALL, Rendition()):
            await shelf.put(key, rendition, MADE)
    await shelf.remove(KEY)
    await shelf.remove(KEY)
    await shelf.remove("zz34567890")

    assert (None, None) == (await shelf.get(KEY, SMALL), await shelf.get(KEY, Rendition()))
    assert {OTHER, "Ab00000000"} == {path.parent.name for path in files(folder)}
    assert ["Ab00000000"] == [path.name for path in (folder / "Ab").iterdir()]
    await shelf.put(KEY, SMALL, MADE)
    assert MADE == await shelf.get(KEY, SMALL)


async def test_prune(shelf: Shelf, folder: Path) -> None:
    """The least recently used go first, and only until the rest fits."""
    keys = [f"{number:010}" for number in range(6)]
    for age, key in enumerate(keys):
        await shelf.put(key, SMALL, MADE)
        aged(folder / key[:2] / key / "3x", 1000 - age)
    size = files(folder)[0].stat().st_size
    aged(folder / keys[0][:2] / keys[0] / "3x", 2 * HOUR)
    assert MADE == await shelf.get(keys[0], SMALL)
    await shelf.prune()
    assert 6 == len(files(folder))

    await Shelf(str(folder), room=6 * size).prune()
    assert 6 == len(files(folder))
    await Shelf(str(folder), room=4 * size - 1).prune()
    assert [keys[0], *keys[4:]] == [path.parent.name for path in files(folder)]
    await Shelf(str(folder), room=0).prune()
    assert [] == list(folder.iterdir())
    await shelf.put(KEY, SMALL, MADE)
    assert MADE == await shelf.get(KEY, SMALL)


async def test_prune_without_a_folder(shelf: Shelf, folder: Path) -> None:
    """Where nothing was ever put there is nothing to prune."""
    await shelf.prune()

    assert not folder.exists()


async def test_left_behind(shelf: Shelf, folder: Path) -> None:
    """What a crash left behind goes with the next pruning, but not what somebody may be at work on."""
    await shelf.put(KEY, SMALL, MADE)
    place = folder / "Ab" / KEY
    for name in ("old", "new"):
        (folder / "Ab" / f".{name}").mkdir()
        (folder / "Ab" / f".{name}" / "3x").write_bytes(b"of an attachment that is removed")
        (place / f".{name}").write_bytes(b"half a rendition")
    aged(folder / "Ab" / ".old" / "3x", 2 * HOUR)
    aged(place / ".old", 2 * HOUR)
    await shelf.prune()

    assert [folder / "Ab" / ".new" / "3x", place / ".new", place / "3x"] == files(folder)
    assert not (folder / "Ab" / ".old").exists()
    assert MADE == await shelf.get(KEY, SMALL)


async def test_trouble(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A disk that takes nothing and gives nothing is told of in the log, and to nobody else."""
    folder.parent.mkdir()
    folder.write_bytes(b"a file where a folder should be")
    shelf = Shelf(str(folder))
    with caplog.at_level(logging.WARNING, "holdfast"):
        await shelf.put(KEY, SMALL, MADE)
        assert ["holdfast"] == [record.name for record in caplog.records]
        assert await shelf.get(KEY, SMALL) is None
        await shelf.remove(KEY)
        await shelf.prune()

    assert {logging.WARNING} == {record.levelno for record in caplog.records}
    assert [folder] == files(folder.parent)


async def test_trouble_with_one_file(shelf: Shelf, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder where a file should be hurts nobody else, and nothing is left of the attempt to write there."""
    (folder / "Ab" / KEY / "3x").mkdir(parents=True)
    (folder / "Ab" / KEY / "3x" / "inner").write_bytes(b"?")
    with caplog.at_level(logging.WARNING, "holdfast"):
        await shelf.put(KEY, SMALL, MADE)
        assert await shelf.get(KEY, SMALL) is None

    assert 2 == len(caplog.records)
    assert ["3x"] == [path.name for path in (folder / "Ab" / KEY).iterdir()]
    await shelf.put(KEY, Rendition(), MADE)
    assert MADE == await shelf.get(KEY, Rendition())
    await shelf.remove(KEY)
    await shelf.put(KEY, SMALL, MADE)
    assert MADE == await shelf.get(KEY, SMALL)


async def test_all_at_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever else happens in the folder, nobody sees anything but a whole rendition or none."""
    shelves = [Shelf(str(folder), room=300) for _ in range(3)]

    async def turns(shelf: Shelf, key: str) -> set[Rendered | None]:
        found = set()
        for _ in range(30):
            await shelf.put(key, SMALL, MADE)
            found.add(await shelf.get(key, SMALL))
            await shelf.prune()
            await shelf.remove(key)
        return found

    with caplog.at_level(logging.CRITICAL, "holdfast"):
        seen = await asyncio.gather(*[turns(shelf, key) for shelf in shelves for key in (KEY, OTHER)])
    assert {None, MADE} >= set().union(*seen)
