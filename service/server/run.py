"""Runs the application under uvicorn, in one process or several."""

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

# The hand-off uses internals of uvicorn's HTTP protocol; it was checked with these versions.
KNOWN = ("0.54",)
BACKLOG = 2048
SWITCH = 0.001  # seconds


def application() -> Starlette:
    """Return the application of a serving process; a worker ends with its parent."""
    _share_interpreter()
    parent = multiprocessing.parent_process()
    if parent is not None:
        begin_worker()
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    return create_app_from_environment()


def config(settings: Settings) -> uvicorn.Config:
    """Return uvicorn's configuration for *settings*."""
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
        # The application reads the fields of proxies itself, including the host.
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
    """Say whether the hand-off works with uvicorn's *version*; log it if not."""
    if ".".join(version.split(".")[:2]) in KNOWN:
        return True
    logger.warning("uvicorn %s was not tested with Holdfast: content is received by ASGI, at two to four times the cost", version)
    return False


def check_certificate(settings: Settings) -> None:
    """
    Load the certificate before the service starts.

    :raises SettingsError: it cannot be used.
    """
    if settings.tls_certificate:
        try:
            ssl.create_default_context().load_cert_chain(settings.tls_certificate, settings.tls_key)
        except OSError as error:  # includes ssl.SSLError
            raise SettingsError(f"HOLDFAST_TLS_CERTIFICATE={settings.tls_certificate} cannot be used: {error}") from error


def bind(settings: Settings) -> socket.socket:
    """
    Return the listening socket.

    :raises SettingsError: the address is in use, or not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"HOLDFAST_PORT={settings.port} of {settings.host} is in use by another process; choose another port"
        else:
            why = os.strerror(error.errno or 0)
            message = f"HOLDFAST_HOST={settings.host}, HOLDFAST_PORT={settings.port}: cannot listen: {why}"
        raise SettingsError(message) from error
    listening.set_inheritable(True)
    return listening


def run(settings: Settings, listening: socket.socket, signals: Signals) -> None:
    """Serve on *listening* until one of *signals* ends it, SIGTERM or SIGINT."""
    configuration = config(settings)
    if settings.workers > 1:
        Workers(configuration, sockets=[listening]).run()
    else:
        Server(configuration, signals).run(sockets=[listening])


def _share_interpreter() -> None:
    # Threads compute images and large slots.  The event loop waits this long for one to release the interpreter's lock;
    # Python's default of 5 ms, many times in a request, would be noticeable.
    sys.setswitchinterval(SWITCH)


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    # An orphan would keep the port, and no parent would replace it if it died.
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
