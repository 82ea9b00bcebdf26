"""
Renders an image in another size, as pixels only.

Every rendition is encoded anew from decoded pixels, so it has no metadata and no trick of the original.  The same content and
rendition give the same bytes, as long as Pillow is the same; so the bytes determine the name of a rendition.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from io import BytesIO
from math import ceil

from PIL import Image, ImageCms, ImageMath

from holdfast.service.images.formats import animation
from holdfast.service.images.formats.outline import Outline
from holdfast.service.images.inspect import SIDEWAYS, Content, admitted, decoding, opened, refuse_missing_pixels
from holdfast.service.images.limits import ImageLimits, Mpx
from holdfast.service.images.pixels.scale import scaled
from holdfast.service.images.pixels.strips import in_strips
from holdfast.service.images.pixels.writing import written
from holdfast.service.images.rendition import Placement, Rendition, place

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
QUALITY = 85
# Grey samples of few bits are scaled to eight, but the transparent one is given in its original bits.
SPREAD = {1: 255, 2: 85, 4: 17}
DEEP = 16
FINER = 2
FINE = 16 * Mpx


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A rendition; *name* is its SHA-256 in base64url, so it can be cached for ever."""

    content: bytes
    content_type: str
    width: int
    height: int
    name: str


def render(content: Content, rendition: Rendition, limits: ImageLimits) -> Rendered:
    """
    Return an image in the size of *rendition*, of the same media type.

    :raises ImageRefused: the content is no image, or exceeds *limits*
    """
    return rendered(admitted(content, limits), rendition)


def rendered(image: Outline, rendition: Rendition) -> Rendered:
    """Return an admitted image in the size of *rendition*."""
    refuse_missing_pixels(image)
    sideways = image.orientation in SIDEWAYS
    upright = (image.height, image.width) if sideways else (image.width, image.height)
    placement = place(*upright, rendition)
    with decoding():
        made = animation.encoded(image, placement) if image.frames else _still(image, placement)
    return Rendered(
        content=made,
        content_type=image.content_type,
        width=placement.size[0],
        height=placement.size[1],
        name=urlsafe_b64encode(hashlib.sha256(made).digest()).rstrip(b"=").decode("ascii"),
    )


def _still(image: Outline, placement: Placement) -> bytes:
    """Return a JPEG or PNG of the placed pixels; each step holds at most the pixels before and after it."""
    pixels, placement, profiles = _decoded(image, placement)
    if image.orientation in TURNS:
        pixels = pixels.transpose(TURNS[image.orientation])
    pixels = scaled(pixels, placement)
    for profile in profiles:
        changed = _in_srgb(pixels, profile)
        if changed is not None:
            pixels = changed
            break
    if pixels.mode == "CMYK":
        pixels = pixels.convert("RGB")
    pixels.info = {}  # Pillow would write it again
    if image.content_type == "image/jpeg":
        # A progressive JPEG is held as a whole once more while it is encoded.
        is_small = pixels.width * pixels.height <= FINE
        return written(pixels, "JPEG", quality=QUALITY, optimize=is_small, progressive=is_small)
    return written(pixels, "PNG")


def _decoded(image: Outline, placement: Placement) -> tuple[Image.Image, Placement, tuple[bytes, ...]]:
    """
    Return pixels that can be resized, their placement, and the profiles that may define their colours.

    A JPEG that is shown much smaller is decoded at a half, a quarter or an eighth, but at least twice as large as shown.
    """
    with opened(image) as found:
        across, down = (FINER * short / (high - low) for low, high, short in _sides(placement))
        if image.orientation in SIDEWAYS:
            across, down = down, across
        drafted = found.draft(None, (ceil(image.width * across), ceil(image.height * down)))
        found.load()
        if drafted is not None:
            scale = drafted[1][2] / image.width
            left, top, right, bottom = placement.box
            placement = replace(placement, box=(left * scale, top * scale, right * scale, bottom * scale))
        profile = found.info.get("icc_profile")
        return _plain(found, image.depth), placement, (profile,) if isinstance(profile, bytes) else image.profiles


def _sides(placement: Placement) -> tuple[tuple[float, float, int], tuple[float, float, int]]:
    """Return for each direction where the shown part begins and ends, and in which size it is shown."""
    left, top, right, bottom = placement.box
    return (left, right, placement.size[0]), (top, bottom, placement.size[1])


def _plain(found: Image.Image, depth: int) -> Image.Image:
    """
    Return pixels that can be resized: L, LA, RGB, RGBA or CMYK.

    ========  =====================================  =========
    mode      transparency                           becomes
    ========  =====================================  =========
    1, L      one grey, in the bits of the file      L, LA
    I;16      one grey of 16 bits                    L, LA
    P         one index, or alpha for each colour    RGB, RGBA
    RGB       one colour, in the bits of the file    RGB, RGBA
    ========  =====================================  =========
    """
    clear = found.info.pop("transparency", None)
    match found.mode:
        case "1" | "L":
            pixels = found.convert("L")
            if isinstance(clear, int):
                grey = clear * SPREAD.get(depth, 1) if found.mode == "L" else clear
                pixels.putalpha(pixels.point(lambda value: 0 if value == grey else 255))
            return pixels
        case "I;16":
            return in_strips(found, "L" if clear is None else "LA", lambda strip: _of_eight_bits(strip, clear))
        case "P":
            found.info |= {} if clear is None else {"transparency": clear}
            return found.convert("RGB" if clear is None else "RGBA")
        case "RGB" if isinstance(clear, tuple):
            found.info["transparency"] = tuple(value >> 8 for value in clear) if depth == DEEP else clear
            # RGB has room for alpha already, so this takes no copy.
            opaque = in_strips(found, "L", lambda strip: strip.convert("RGBA").getchannel("A"))
            del found.info["transparency"]
            found.putalpha(opaque)
            return found
        case "L" | "LA" | "RGB" | "RGBA" | "CMYK":
            return found
    return found.convert("RGB")


def _of_eight_bits(grey: Image.Image, clear: object) -> Image.Image:
    """Return a picture of 16 bits as L or LA; Pillow's own conversion would clip it to eight bits."""
    deep = grey.convert("I")
    pixels: Image.Image = ImageMath.lambda_eval(lambda values: values["grey"] / 256, grey=deep).convert("L")
    if isinstance(clear, int):
        opaque = ImageMath.lambda_eval(lambda values: (values["grey"] != clear) * 255, grey=deep)
        pixels.putalpha(opaque.convert("L"))
    return pixels


def _in_srgb(pixels: Image.Image, profile: bytes) -> Image.Image | None:
    """
    Return the same colours in sRGB, which browsers assume for pixels without a profile; an empty profile changes nothing.

    None means that the profile is broken or for other colours, and is ignored, as browsers do.
    """
    if not profile:
        return pixels
    has_alpha = pixels.mode in ("LA", "RGBA")
    plain = pixels.mode.removesuffix("A") if has_alpha else pixels.mode

    def change(strip: Image.Image) -> Image.Image:
        changed = ImageCms.applyTransform(strip.convert(plain), transform) or strip
        if has_alpha:
            changed.putalpha(strip.getchannel("A"))
        return changed

    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        transform = ImageCms.buildTransform(source, target, plain, "RGB")
        return in_strips(pixels, "RGBA" if has_alpha else "RGB", change)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
