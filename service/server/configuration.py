"""
How the HTTP protocol of this service differs from uvicorn's, as one value.
"""

from __future__ import annotations

from uvicorn.config import Config

from holdfast.service.server.descriptors import Descriptors

HEAD_TIMEOUT = 30.0  # seconds
IDLE_TIMEOUT = 60.0  # seconds
UNLIMITED = Descriptors(4 * 1024 * 1024)


class ServerConfig(Config):
    """
    Uvicorn's configuration, how long a head may take and a client read nothing (seconds), whether content is handed over, and how
    many descriptors there are.
    """

    head_timeout: float = HEAD_TIMEOUT
    idle_timeout: float = IDLE_TIMEOUT
    handoff: bool = False
    descriptors: Descriptors = UNLIMITED
