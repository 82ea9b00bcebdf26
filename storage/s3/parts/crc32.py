"""The CRC-32 of content from those of its parts."""

# Theory of operation
# -------------------
#
# The bits of a CRC are the coefficients of a polynomial over GF(2), the highest power in the lowest bit.  Appending n bytes
# multiplies the CRC before by x⁸ⁿ modulo the CRC polynomial, and adds the CRC of those bytes.  x⁸ⁿ is a product of repeated
# squares; most parts have one size, so it is cached.

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

# x³² + x²⁶ + x²³ + x²² + x¹⁶ + x¹² + x¹¹ + x¹⁰ + x⁸ + x⁷ + x⁵ + x⁴ + x² + x + 1, without its highest term
POLYNOMIAL = 0xEDB88320
ONE = 1 << 31
EIGHTH_POWER = 1 << 23


def combine(sums: Iterable[tuple[int, int]]) -> int:
    """Return the CRC-32 of content from the pairs (CRC-32, length in bytes) of its parts, in their order."""
    whole = 0
    for crc, length in sums:
        whole = _multiply(_power(length), whole) ^ crc
    return whole


def _multiply(one: int, other: int) -> int:
    product = 0
    while one:
        if one & ONE:
            product ^= other
        one = one << 1 & 0xFFFFFFFF
        other = other >> 1 ^ POLYNOMIAL if other & 1 else other >> 1
    return product


@lru_cache(maxsize=64)
def _power(length: int) -> int:
    """Return x⁸ⁿ for a *length* of n."""
    power, square = ONE, EIGHTH_POWER
    while length:
        if length & 1:
            power = _multiply(power, square)
        square = _multiply(square, square)
        length >>= 1
    return power
