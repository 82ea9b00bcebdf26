"""Sweeps the stores of expired and unfinished uploads, again and again."""

from __future__ import annotations

import asyncio
import logging

from holdfast.service.core.errors import StoreFailed, UploadError
from holdfast.service.core.timekeeper import Timekeeper
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.service.health.stores import StoreHealth
from holdfast.service.images.rendition_cache import RenditionCache

logger = logging.getLogger("holdfast")

SECONDS = 1.0
SWEEP_EVERY = 60 * SECONDS


async def sweep(uploads: Uploads, timekeeper: Timekeeper, cache: RenditionCache, store_health: StoreHealth) -> None:
    """Do what is due, once a minute; every process sweeps, and they do not disturb each other."""
    while True:
        await timekeeper.observe()
        try:
            await uploads.sweep()
        except StoreFailed as error:
            store_health.notice(error)
        except UploadError:
            logger.exception("the sweep failed; the next one starts in %d seconds", SWEEP_EVERY)
        await cache.prune()
        await store_health.ask()  # logs a full disk even if no client asks for the health
        await asyncio.sleep(SWEEP_EVERY)
