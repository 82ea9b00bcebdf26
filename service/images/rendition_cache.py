"""
Keeps renditions as files, so that each is made once.

    folder/Ab/Ab34567890/320x240c       checksum, a line of facts, content
    folder/Ab/Ab34567890/.…             one that is being written
    folder/Ab/.…                        an attachment that is being removed

Everything here can be made again.  So nothing waits for the disk, a damaged file counts as absent, and errors of the disk only
cost time.

Looked at: aiofiles goes to a thread and back for each open, read, write and close.  Here each method is one plain function on a
thread, and so one way there and back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from uuid import uuid4

from holdfast.service.images.render import Rendered
from holdfast.service.images.rendition import Rendition

logger = logging.getLogger("holdfast")

GiB = 1024 * 1024 * 1024
HOUR = 3600.0
CHECKSUM_BYTES = sha256().digest_size
FORM = 2
"""Increased when the form of the files, or the way of making renditions, changes: older files count as absent."""

KEY = re.compile(r"[0-9A-Za-z]{10}")


class RenditionCache:
    """
    Keeps renditions in files below *folder*, which is made when needed; `prune` makes them fit into *room* bytes.

    Several processes may share a folder.
    """

    def __init__(self, folder: str, *, room: int = GiB) -> None:
        self._folder = folder
        self._room = room

    async def get(self, key: str, rendition: Rendition) -> Rendered | None:
        """Return a rendition of the attachment *key*, or None if it is absent, damaged or unreadable."""
        return await asyncio.to_thread(_read, self._path(key, rendition), _label(key, rendition))

    async def put(self, key: str, rendition: Rendition, rendered: Rendered) -> None:
        """Keep a rendition of the attachment *key*, if the disk accepts it."""
        path = self._path(key, rendition)
        facts = f"{rendered.content_type} {rendered.width} {rendered.height} {rendered.name}\n"
        await asyncio.to_thread(self._write, path, _label(key, rendition) + facts.encode("ascii") + rendered.content)

    async def remove(self, key: str) -> None:
        """Remove every rendition of the attachment *key*."""
        await asyncio.to_thread(_remove, self._place(key))

    async def prune(self) -> None:
        """Delete the renditions that were not used for the longest time, until the others fit."""
        await asyncio.to_thread(self._prune)

    def _place(self, key: str) -> str:
        """Return the folder of an attachment."""
        if not KEY.fullmatch(key):
            raise ValueError("a key is ten digits and letters")
        return os.path.join(self._folder, key[:2], key)

    def _path(self, key: str, rendition: Rendition) -> str:
        """Return the file of a rendition."""
        return os.path.join(self._place(key), _spec(rendition))

    def _write(self, path: str, written: bytes) -> None:
        """Write a whole file, or none; its folder may be removed at any moment."""
        folder = os.path.dirname(path)
        temporary = os.path.join(folder, f".{uuid4().hex}")
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            os.makedirs(folder, exist_ok=True)
            with open(temporary, "xb") as file:
                file.write(sha256(written).digest())
                file.write(written)
            os.replace(temporary, path)
        except OSError as error:
            with suppress(OSError):
                os.unlink(temporary)
            logger.warning("cannot keep rendition %s: %s", path, error)

    def _prune(self) -> None:
        """Delete abandoned files, the least recently used ones beyond the room, and empty folders."""
        found = sorted(self._files())
        left = sum(size for _, size, _ in found)
        for _, size, path in found:
            if left <= self._room:
                break
            if _deleted(path):
                left -= size
        for folder, _, _ in os.walk(self._folder, topdown=False):
            if folder != self._folder:
                with suppress(OSError):  # usually not empty
                    os.rmdir(folder)

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """Yield for each rendition when it was last used, its bytes and its path; delete leftovers of crashes."""
        abandoned = time.time() - HOUR
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = os.path.join(folder, name)
                with suppress(FileNotFoundError):  # removed meanwhile
                    status = os.stat(path)
                    if not (name.startswith(".") or os.path.basename(folder).startswith(".")):
                        yield status.st_mtime, status.st_size, path
                    elif status.st_mtime < abandoned:
                        _deleted(path)


def _spec(rendition: Rendition) -> str:
    """Return the name of a rendition: 320x240, 320x240c if cropped, x240 if its width is free."""
    return f"{rendition.width or ''}x{rendition.height or ''}{'c' if rendition.crop else ''}"


def _label(key: str, rendition: Rendition) -> bytes:
    """
    Return the beginning of a file's content after its checksum.

    It repeats the key: on a file system that ignores case, keys that differ only in case share a folder.
    """
    return f"{FORM} {key} {_spec(rendition)} ".encode("ascii")


def _read(path: str, label: bytes) -> Rendered | None:
    """Return the rendition in a file, and set the file's time, to the hour, to when it was used."""
    try:
        with open(path, "rb") as file:
            whole = file.read()
            used = os.fstat(file.fileno()).st_mtime
            found = _parsed(whole, label)
            if found is not None and abs(time.time() - used) > HOUR:
                with suppress(OSError):
                    os.utime(file.fileno())
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("cannot read rendition %s: %s", path, error)
        return None
    if found is None:
        logger.warning("rendition %s is damaged and will be made again", path)
    return found


def _parsed(whole: bytes, label: bytes) -> Rendered | None:
    """Return the rendition in a file's content, if that is intact and begins with *label*."""
    checksum, written = whole[:CHECKSUM_BYTES], whole[CHECKSUM_BYTES:]
    if sha256(written).digest() != checksum or not written.startswith(label):
        return None
    facts, _, content = written[len(label) :].partition(b"\n")
    content_type, width, height, name = facts.decode("ascii").split(" ")
    return Rendered(content=content, content_type=content_type, width=int(width), height=int(height), name=name)


def _remove(place: str) -> None:
    """Remove the folder of an attachment; it disappears at once."""
    removed = os.path.join(os.path.dirname(place), f".{uuid4().hex}")
    try:
        os.rename(place, removed)
        shutil.rmtree(removed)
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.warning("cannot remove renditions %s: %s", place, error)


def _deleted(path: str) -> bool:
    """Delete a file; return whether it is gone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.warning("cannot delete rendition %s: %s", path, error)
        return False
    return True
