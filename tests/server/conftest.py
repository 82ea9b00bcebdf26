"""
The server of `tests.server.servers`, for tests that want one.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from holdfast.service.settings import Settings
from tests.server.servers import Server, StartServer


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests marked `each_loop` over the transports of both loops."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.SelectorEventLoop}
    return loops | {"uvloop": uvloop.new_event_loop} if item.get_closest_marker("each_loop") else loops


@pytest.fixture
async def start_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[StartServer]:
    """
    Return what starts a server over the embedded stores, whose threads make a request wait for more than its client.
    """
    async with AsyncExitStack() as stack:

        async def start(*, uvicorn: Mapping[str, object] = {}, **settings: str) -> Server:
            ours = {"DATA_DIR": str(tmp_path), "DURABILITY": "none", "PORT": "0", "SHUTDOWN_GRACE": "5"}
            for name, value in (ours | settings).items():
                monkeypatch.setenv(f"HOLDFAST_{name}", value)
            server = Server(Settings(), **uvicorn)
            await server.start()
            stack.push_async_callback(server.close)
            return server

        yield start


@pytest.fixture
async def server(start_server: StartServer) -> Server:
    """
    Return a server with the settings of most tests.
    """
    return await start_server()


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a client does, it is no error of the server's: none is logged, and no traceback."""
    yield
    logged = [entry for entry in caplog.get_records("call") if entry.exc_info or entry.levelno >= logging.ERROR]

    assert [] == [entry.getMessage() for entry in logged]


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """Return settings with a certificate for 127.0.0.1 that was just made."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "holdfast.test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(1))
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    paths = {"TLS_CERTIFICATE": tmp_path / "certificate.pem", "TLS_KEY": tmp_path / "key.pem"}
    paths["TLS_CERTIFICATE"].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths["TLS_KEY"].write_bytes(private)
    return {name: str(path) for name, path in paths.items()}
