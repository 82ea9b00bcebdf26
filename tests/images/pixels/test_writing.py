"""
What the writing of pictures promises: other threads run meanwhile.
"""

from __future__ import annotations

import itertools
import threading
import time
from io import BytesIO

from PIL import Image

from holdfast.service.images.pixels.writing import written


def test_others_run_meanwhile() -> None:
    """
    Another thread gets its turn while a large JPEG is encoded: of the time that encoding computes, most is not in one piece.
    """
    picture = Image.effect_noise((2000, 2000), 60)
    made: list[bytes] = []
    encoder = threading.Thread(target=lambda: made.append(written(picture, "JPEG", quality=85, optimize=True, progressive=True)))
    encoder.start()
    assert encoder.ident is not None
    clock = time.pthread_getcpuclockid(encoder.ident)
    seen = [0.0]
    while encoder.is_alive():
        try:
            seen.append(time.clock_gettime(clock))
        except OSError:  # it ended just now
            break
    encoder.join()

    assert (2000, 2000) == Image.open(BytesIO(made[0]), formats=["JPEG"]).size
    longest = max(after - before for before, after in itertools.pairwise(seen))
    assert longest < seen[-1] / 2, f"{longest:.3f} of {seen[-1]:.3f} s in one piece"
