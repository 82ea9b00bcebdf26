"""
Runs the application under uvicorn, in one process or several.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import multiprocessing.process
import os
import signal
import socket
import ssl
import sys
import threading

import uvicorn
from starlette.applications import Starlette

from holdfast.service.app import application as create_app_from_environment
from holdfast.service.server.configuration import HEAD_TIMEOUT, ServerConfig
from holdfast.service.server.descriptors import Descriptors, raise_limit
from holdfast.service.server.signals import Server, Signals, Workers, begin_worker
from holdfast.service.settings import Settings
from holdfast.service.settings_file import SettingsError

logger = logging.getLogger("holdfast")

# The hand-off of content works on the insides of uvicorn's HTTP protocol; these are the versions whose insides were looked at.
KNOWN = ("0.54",)
BACKLOG = 2048
SWITCH = 0.001  # seconds


def application() -> Starlette:
    """
    Return the application of a process that serves; a worker ends with the process that started it.
    """
    _share_interpreter()
    parent = multiprocessing.parent_process()
    if parent is not None:
        begin_worker()
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    return create_app_from_environment()


def config(settings: Settings) -> uvicorn.Config:
    """
    Return uvicorn's configuration for *settings*.
    """
    configuration = ServerConfig(
        "holdfast.service.server.run:application",
        factory=True,
        http="holdfast.service.server.http:Protocol",
        ws="none",
        loop="uvloop",
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
        backlog=BACKLOG,
        access_log=False,
        log_config=None,
        # The application believes the fields of proxies by itself, the host among them.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_grace,
    )
    configuration.descriptors = Descriptors(raise_limit())
    configuration.idle_timeout = settings.idle_timeout
    configuration.head_timeout = min(HEAD_TIMEOUT, settings.idle_timeout)
    configuration.handoff = settings.handoff == "on" and can_hand_over(uvicorn.__version__)
    return configuration


def can_hand_over(version: str) -> bool:
    """
    Say whether content may be handed over by uvicorn's *version*; where it may not, say so in the log.
    """
    if ".".join(version.split(".")[:2]) in KNOWN:
        return True
    logger.warning("uvicorn %s is not known here: content is received by ASGI, at two to four times the cost", version)
    return False


def check_certificate(settings: Settings) -> None:
    """
    Look at the certificate before anybody connects.

    :raises SettingsError: it cannot be used.
    """
    if settings.tls_certificate:
        try:
            ssl.create_default_context().load_cert_chain(settings.tls_certificate, settings.tls_key)
        except OSError as error:  # and with it ssl.SSLError
            raise SettingsError(f"HOLDFAST_TLS_CERTIFICATE={settings.tls_certificate} cannot be used: {error}") from error


def bind(settings: Settings) -> socket.socket:
    """
    Return the listening socket.

    :raises SettingsError: the address is not to be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"HOLDFAST_PORT={settings.port} of {settings.host} is in use by another process; choose another port"
        else:
            why = os.strerror(error.errno or 0)
            message = f"HOLDFAST_HOST={settings.host}, HOLDFAST_PORT={settings.port} cannot be listened on: {why}"
        raise SettingsError(message) from error
    listening.set_inheritable(True)
    return listening


def run(settings: Settings, listening: socket.socket, signals: Signals) -> None:
    """
    Serve on *listening* until one of *signals* ends it, SIGTERM or SIGINT.
    """
    configuration = config(settings)
    if settings.workers > 1:
        Workers(configuration, sockets=[listening]).run()
    else:
        Server(configuration, signals).run(sockets=[listening])


def _share_interpreter() -> None:
    # Images and large slots are computed on threads.  The event loop waits so long until one of them gives the interpreter's lock
    # back; Python's 5 ms, many times in a request, are what others notice.
    sys.setswitchinterval(SWITCH)


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    # Orphans would keep the port, and nobody would replace those that die.
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
