"""
Pixels in their place.
"""

from __future__ import annotations

from math import ceil, floor

from PIL import Image

from service.images.rendition import Placement


def scaled(picture: Image.Image, placement: Placement) -> Image.Image:
    """
    Return the part of a picture that is shown, as large as it is shown; pixels that are not made smaller stay as they are.
    """
    if placement.size == picture.size:
        return picture
    left, top, right, bottom = placement.box
    if (float(placement.size[0]), float(placement.size[1])) == (right - left, bottom - top):
        # Made "smaller" by nothing, colours that are nearly clear would lose their lower bits.
        return picture.crop((int(left), int(top), int(right), int(bottom)))
    # Cut off first: what is beside the part that is shown must not be mixed into its edges.
    whole = (floor(left), floor(top), ceil(right), ceil(bottom))
    box = (left - whole[0], top - whole[1], right - whole[0], bottom - whole[1])
    part = picture if whole == (0, 0, *picture.size) else picture.crop(whole)
    return part.resize(placement.size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
