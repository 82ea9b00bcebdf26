"""
A process that renders one kind of image, and prints how many bytes it needed for that and how many it kept.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from PIL import Image

from holdfast.service.images.limits import ImageLimits
from holdfast.service.images.memory import give_back
from holdfast.service.images.pool import Images
from holdfast.service.images.rendition import Rendition
from tests.images.pictures import chunk, encoded, swapped_profile, with_chunks

RENDITIONS = (Rendition(width=100), Rendition())


def made(kind: str, side: int) -> bytes:
    """Return a square image that is small while it is encoded."""
    match kind:
        case "deep":
            return with_chunks(encoded(Image.new("I;16", (side, side)), "PNG"), chunk(b"tRNS", b"\0\1"))
        case "coloured":
            return encoded(Image.new("RGBA", (side, side)), "PNG", icc_profile=swapped_profile())
        case "turned":
            exif = Image.Exif()
            exif[0x0112] = 6
            return encoded(Image.new("RGB", (side, side)), "JPEG", exif=exif)
    frames = [Image.new("P", (side, side), colour) for colour in range(3)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], disposal=3)


def known(fact: str) -> int:
    """Return what the kernel counts of this process (bytes)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(fact))


async def main(kind: str, side: int) -> None:
    """Render a small image, so that all code is loaded, and then a large one."""
    images = Images(ImageLimits())
    small, large = made(kind, 10), made(kind, side)

    async def read_small() -> bytes:
        return small

    async def read_large() -> bytes:
        return large

    for rendition in RENDITIONS:
        await images.render(read_small, rendition)
    give_back()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak
    before = known("VmRSS")
    for rendition in RENDITIONS:
        await images.render(read_large, rendition)
    print(known("VmHWM") - before, known("VmRSS") - before)
    await images.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
