"""
Does what is due, again and again.
"""

from __future__ import annotations

import asyncio
import logging

from service.asgi.weather import Weather
from service.core.errors import StoreFailed, UploadError
from service.core.timekeeper import Timekeeper
from service.core.uploads import Uploads
from service.images.shelf import Shelf

logger = logging.getLogger("holdfast")

SECONDS = 1.0
SWEEP_EVERY = 60 * SECONDS


async def sweep(uploads: Uploads, timekeeper: Timekeeper, shelf: Shelf, weather: Weather) -> None:
    """
    Do what is due, again and again; every process sweeps, and none is in the way of another.
    """
    while True:
        await timekeeper.observe()
        try:
            await uploads.sweep()
        except StoreFailed as error:
            weather.notice(error)
        except UploadError:
            logger.exception("sweeping failed")
        await shelf.prune()
        await weather.look()  # the log is told of a full disk, whoever else asks
        await asyncio.sleep(SWEEP_EVERY)
