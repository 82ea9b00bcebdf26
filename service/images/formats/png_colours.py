"""
Determines the colours of a PNG's samples (W3C PNG, third edition, section 4.3).

"cICP 1, iCCP 2, sRGB 3, cHRM and gAMA 4": the first one that is present and valid counts; the others are ignored.  Each becomes
an ICC profile (ICC.1:2001-04), so that colours are converted in one way only.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache

from holdfast.service.images.errors import BrokenImage

CICP, ICCP, SRGB, CHROMATICITIES, GAMMA = b"cICP", b"iCCP", b"sRGB", b"cHRM", b"gAMA"
CHUNKS = frozenset({CICP, ICCP, SRGB, CHROMATICITIES, GAMMA})

MAX_PROFILE = 4 * 1024 * 1024  # bytes
STEPS = 4096  # of a curve
CODE_POINTS, GAMMA_BYTES, CHROMATICITIES_BYTES = 4, 4, 32
GAMMA_OF_SRGB = 45455
LEAST_EXPONENT = 0.01
LITTLE = 0.01  # an invisible difference of gamma
FLAT = 1e-6  # primaries on one line have no colours
LINEAR, HALF = 0.04045, 0.5  # where curves change

Point = tuple[float, float]
Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]
Primaries = tuple[Point, Point, Point, Point]
"""Red, green, blue and white, as x and y of CIE 1931."""
Curve = Callable[[float], float]
"""How much light a sample stands for; both from 0 to 1."""

D65 = (0.3127, 0.3290)
D50 = (0.9642, 1.0, 0.8249)
BT709: Primaries = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65)
# ITU-T H.273, table 2.
PRIMARIES: dict[int, Primaries] = {
    1: BT709,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
}
BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
WHITE_NITS = 203  # of graphics in HDR, by ITU-R BT.2408


def profiles(chunks: Mapping[bytes, bytes], *, is_grey: bool) -> tuple[bytes, ...]:
    """
    Return the profiles of these chunks by precedence; an empty one stands for sRGB.

    :raises BrokenImage: a profile becomes too large when it is unpacked.
    """
    found = [_of_code_points(chunks.get(CICP), is_grey), _embedded(chunks.get(ICCP))]
    if len(chunks.get(SRGB, b"")) == 1:
        found.append(b"")
    found.append(_of_gamma(chunks.get(GAMMA), chunks.get(CHROMATICITIES), is_grey))
    return tuple(profile for profile in found if profile is not None)


def _of_code_points(chunk: bytes | None, is_grey: bool) -> bytes | None:
    """Return the profile of cICP: primaries, transfer, matrix, range (11.3.2.6: the matrix "shall be set to 0", which is RGB)."""
    if chunk is None or len(chunk) != CODE_POINTS or chunk[2] != 0 or chunk[3] not in (0, 1):
        return None
    primaries, curve = PRIMARIES.get(chunk[0]), CURVES.get(chunk[1])
    if primaries is None or curve is None:
        return None
    if chunk[3] == 1:
        return b"" if (chunk[0], chunk[1]) == (1, 13) else _profile(primaries, curve, is_grey)

    def narrow(sample: float) -> float:
        return curve(min(1.0, max(0.0, (255 * sample - 16) / 219)))  # H.273: black is 16 and white 235, in eight bits

    return _profile(primaries, narrow, is_grey)


def _embedded(chunk: bytes | None) -> bytes | None:
    """Return the profile of iCCP (11.3.2.3): a name, zero, method 0, and the profile in deflate."""
    if chunk is None:
        return None
    _, _, packed = chunk.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], MAX_PROFILE)
    except zlib.error:
        return None
    if unpacker.unconsumed_tail:
        raise BrokenImage(f"a colour profile has more than {MAX_PROFILE} bytes")
    return profile or None


def _of_gamma(gamma: bytes | None, chromaticities: bytes | None, is_grey: bool) -> bytes | None:
    """
    Return the profile of gAMA and cHRM.

    11.3.2.5: writers of sRGB also write a gamma of 45455, for readers of gAMA only.  So this gamma means the curve of sRGB, and
    another gamma a curve that differs from it by their quotient, as in browsers.
    """
    if gamma is None and chromaticities is None:
        return None
    exponent = 1.0
    if gamma is not None and len(gamma) == GAMMA_BYTES and (value := int.from_bytes(gamma, "big")):
        exponent = GAMMA_OF_SRGB / value
    primaries = BT709 if chromaticities is None else _primaries(chromaticities)
    if primaries is None or not LEAST_EXPONENT <= exponent <= 1 / LEAST_EXPONENT:
        return None
    if abs(exponent - 1) < LITTLE and primaries is BT709:
        return b""
    return _profile(primaries, lambda sample: _srgb(sample**exponent), is_grey)


def _primaries(chunk: bytes) -> Primaries | None:
    """Return the primaries of cHRM (11.3.2.1: white, red, green and blue, in 1/100000), or None if they span no colours."""
    if len(chunk) != CHROMATICITIES_BYTES:
        return None
    white, red, green, blue = ((x / 100_000, y / 100_000) for x, y in struct.iter_unpack(">II", chunk))
    given = (red, green, blue, white)
    if all(abs(a - b) < LITTLE / 10 for one, other in zip(given, BT709, strict=True) for a, b in zip(one, other, strict=True)):
        return BT709
    if any(not (0 <= x <= 1 and 0 < y <= 1) for x, y in given) or abs(_determinant(_unscaled(given))) < FLAT:
        return None
    return given


def _srgb(sample: float) -> float:
    return sample / 12.92 if sample <= LINEAR else ((sample + 0.055) / 1.055) ** 2.4


def _bt709(sample: float) -> float:
    # Shown as ITU-R BT.1886 says, which is not the reverse of how a camera codes it.
    return float(sample**2.4)


def _pq(sample: float) -> float:
    """Return the light of SMPTE ST 2084, in parts of the white of graphics; what is brighter is white."""
    power = sample ** (32 / 2523)
    light = max(0.0, power - 107 / 128) / (2413 / 128 - 2392 / 128 * power)
    return float(min(1.0, 10_000 * light ** (8192 / 1305) / WHITE_NITS))


def _hlg(sample: float) -> float:
    """Return the light of ITU-R BT.2100 HLG on a screen of 1000 cd/m², in parts of the white of graphics."""
    if sample <= HALF:
        scene = sample * sample / 3
    else:
        scene = (2.718281828459045 ** ((sample - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return float(min(1.0, 1000 * scene**1.2 / WHITE_NITS))


# ITU-T H.273, table 3.
CURVES: dict[int, Curve] = {
    1: _bt709,
    4: lambda sample: float(sample**2.2),
    5: lambda sample: float(sample**2.8),
    6: _bt709,
    8: lambda sample: sample,
    13: _srgb,
    14: _bt709,
    15: _bt709,
    16: _pq,
    18: _hlg,
}


def _profile(primaries: Primaries, curve: Curve, is_grey: bool) -> bytes:
    """Return a profile of a screen that has these primaries and this curve."""
    steps = struct.pack(f">{STEPS}H", *(round(65535 * min(1.0, max(0.0, curve(at / (STEPS - 1))))) for at in range(STEPS)))
    return _written(primaries, steps, is_grey)


@lru_cache(maxsize=16)
def _written(primaries: Primaries, steps: bytes, is_grey: bool) -> bytes:
    """Return the file: header, directory, and what the directory names (ICC.1, 6.1 and 6.2)."""
    tone = b"curv" + bytes(4) + struct.pack(">I", STEPS) + steps
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 1) + bytes(79), b"wtpt": _xyz(D50)}
    if is_grey:
        tags[b"kTRC"] = tone
    else:
        for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _columns(primaries), strict=True):
            tags[name] = _xyz(column)
        tags |= {b"rTRC": tone, b"gTRC": tone, b"bTRC": tone}
    directory, data, places = b"", b"", dict[bytes, int]()
    begin = 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        if tag not in places:
            places[tag] = begin + len(data)
            data += tag + bytes(-len(tag) % 4)
        directory += name + struct.pack(">II", places[tag], len(tag))
    header = bytearray(128)
    header[0:4] = struct.pack(">I", begin + len(data))
    header[8:12] = b"\x02\x40\0\0"
    header[12:24] = b"mntr" + (b"GRAY" if is_grey else b"RGB ") + b"XYZ "
    header[24:36] = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    header[36:40] = b"acsp"
    header[68:80] = b"".join(map(_fixed, D50))
    return bytes(header) + struct.pack(">I", len(tags)) + directory + data


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(65536 * value))


def _xyz(vector: Vector) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, vector))


def _columns(primaries: Primaries) -> tuple[Vector, Vector, Vector]:
    """Return red, green and blue in XYZ, seen by eyes that are used to D50: scaled to their white, then adapted (Bradford)."""
    x, y = primaries[3]
    white = (x / y, 1.0, (1 - x - y) / y)
    unscaled = _unscaled(primaries)
    scale = _times(_inverse(unscaled), white)
    there, here = _times(BRADFORD, white), _times(BRADFORD, D50)
    back = _inverse(BRADFORD)

    def adapted(colour: int) -> Vector:
        seen = _times(BRADFORD, (unscaled[0][colour], unscaled[1][colour], unscaled[2][colour]))
        a, b, c = (scale[colour] * seen[at] * here[at] / there[at] for at in range(3))
        return _times(back, (a, b, c))

    return adapted(0), adapted(1), adapted(2)


def _unscaled(primaries: Primaries) -> Matrix:
    (rx, ry), (gx, gy), (bx, by), _ = primaries
    return ((rx / ry, gx / gy, bx / by), (1, 1, 1), ((1 - rx - ry) / ry, (1 - gx - gy) / gy, (1 - bx - by) / by))


def _times(matrix: Matrix, vector: Vector) -> Vector:
    a, b, c = (sum(row[at] * vector[at] for at in range(3)) for row in matrix)
    return a, b, c


def _determinant(matrix: Matrix) -> float:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def _inverse(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    by = 1 / _determinant(matrix)
    return (
        ((e * i - f * h) * by, (c * h - b * i) * by, (b * f - c * e) * by),
        ((f * g - d * i) * by, (a * i - c * g) * by, (c * d - a * f) * by),
        ((d * h - e * g) * by, (b * g - a * h) * by, (a * e - b * d) * by),
    )
