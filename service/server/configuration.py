"""The configuration of the HTTP protocol, beyond uvicorn's."""

from __future__ import annotations

from uvicorn.config import Config

from holdfast.service.server.descriptors import Descriptors

HEAD_TIMEOUT = 30.0  # seconds
IDLE_TIMEOUT = 60.0  # seconds
UNLIMITED = Descriptors(4 * 1024 * 1024)


class ServerConfig(Config):
    """
    Uvicorn's configuration, with the seconds that a head may take and that a client may read nothing, whether content is handed
    over, and the budget of descriptors.
    """

    head_timeout: float = HEAD_TIMEOUT
    idle_timeout: float = IDLE_TIMEOUT
    handoff: bool = False
    descriptors: Descriptors = UNLIMITED
