"""
Keys, tokens signed with them, and a server that publishes keys and decides.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SECRET = "32 bytes are what a secret needs"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """
    Return good claims but for those *changed*; None takes one away.
    """
    good = {"sub": "kelp", "tenant": "1", "exp": int(time.time()) + 600, **changed}
    return {name: value for name, value in good.items() if value is not None}


def signed(key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **changed: Any) -> str:  # noqa: ANN401 - as jwt
    """
    Return a token.
    """
    return jwt.encode(claims(**changed), key, algorithm=algorithm, headers={} if kid is None else {"kid": kid})


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """
    Return the public half.
    """
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str | None, **more: str) -> dict[str, Any]:
    """
    Return the public half as a JWK.
    """
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    value: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key()))
    return {**value, **({} if kid is None else {"kid": kid}), **more}


class Answering(ThreadingHTTPServer):
    """
    A server on loopback that gives one answer, which a test may change, and remembers what it was asked.

    It answers when it is *free* to, and byte by byte with a *pause* (seconds) between them, if it has one.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.status, self.content, self.fields = 200, b"{}", {"Content-Type": "application/json"}
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.free = threading.Event()
        self.free.set()
        self.pause = 0.0
        answering = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                answering.asked.append(({name.lower(): value for name, value in self.headers.items()}, content))
                self.send_response(answering.status)
                for name, value in {**answering.fields, "Content-Length": str(len(answering.content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                answering.free.wait(60)
                with suppress(OSError):  # whoever asked is tired of it
                    for at in range(len(answering.content) if answering.pause else 0):
                        time.sleep(answering.pause)
                        self.wfile.write(answering.content[at : at + 1])
                    self.wfile.write(b"" if answering.pause else answering.content)

            do_POST = do_GET  # noqa: N815 - as the library calls it

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def publish(self, *keys: dict[str, Any]) -> None:
        """
        Answer with a set of keys from now on.
        """
        self.status, self.content = 200, json.dumps({"keys": keys}).encode()


@contextmanager
def answering() -> Iterator[Answering]:
    """
    Serve for as long as a test takes.
    """
    with Answering() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.free.set()
        server.shutdown()
        thread.join()


class Clock:
    """
    The time of a test.
    """

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now
