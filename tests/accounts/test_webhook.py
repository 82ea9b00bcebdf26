"""
The webhook that decides who somebody is.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator

import pytest
from standardwebhooks.webhooks import Webhook as Signer

from holdfast.service.accounts.errors import AccessForbidden, AccountsUnavailable, TokenRefused
from holdfast.service.accounts.webhook import Webhook
from holdfast.storage.records import Subject, Tenant
from tests.accounts.tokens import Answering, Clock, answering

SECRET = "whsec_" + b64encode(b"24 bytes are good enough").decode()


@pytest.fixture
def server() -> Iterator[Answering]:
    """Return a server that knows kelp."""
    with answering() as found:
        found.content = b'{"sub": "kelp", "tenant": "7", "roles": ["admin"]}'
        yield found


async def ask(webhook: Webhook) -> Subject | None:
    """Ask who has a token."""
    found = await webhook.authorize(token="t", method="POST", path="/files", query="a=b", tenant=Tenant("7"))
    return found.subject


async def test_asked(server: Answering) -> None:
    """It is asked by a signed request, and its claims are who asks."""
    webhook = Webhook(server.url, SECRET, default_tenant=Tenant("1"))
    subject = await ask(webhook)
    fields, content = server.asked[0]
    question = Signer(SECRET).verify(content, fields)
    await webhook.close()

    assert "kelp" == subject
    assert {"type": "authorize", "token": "t", "method": "POST", "path": "/files", "query": "a=b", "tenant": "7"} == question


@pytest.mark.parametrize(
    ("status", "content", "error"),
    [
        (401, b"", TokenRefused),
        (403, b"", AccessForbidden),
        (404, b"", AccountsUnavailable),
        (500, b"", AccountsUnavailable),
        (302, b"", AccountsUnavailable),
        (200, b"garbage", AccountsUnavailable),
        (200, b"[]", AccountsUnavailable),
        (200, b"{}", AccountsUnavailable),
        (200, b'{"sub": 5.5}', AccountsUnavailable),
        (200, b'{"sub": "a", "tenant": {"x": 1}}', AccountsUnavailable),
        (200, b'{"sub": "a", "roles": 7}', AccountsUnavailable),
        (200, b"[" * 50_000, AccountsUnavailable),
        (200, json.dumps({"sub": "x" * 70_000}).encode(), AccountsUnavailable),
    ],
)
async def test_answers(server: Answering, status: int, content: bytes, error: type[Exception]) -> None:
    """401 and 403 are what they are; all else is nobody's answer, and tells nothing of the token."""
    server.status, server.content = status, content
    webhook = Webhook(server.url, SECRET, default_tenant=Tenant("1"))
    with pytest.raises(error):
        await ask(webhook)
    await webhook.close()


async def test_nobody_there() -> None:
    """A webhook that does not answer lets nobody in."""
    webhook = Webhook("http://127.0.0.1:9/", SECRET, default_tenant=Tenant("1"))
    with pytest.raises(AccountsUnavailable):
        await ask(webhook)
    await webhook.close()


@pytest.mark.parametrize(("cache", "count"), [("max-age=30", 2), ("no-store", 4), ("private, max-age=99999", 2)])
async def test_remembered(server: Answering, cache: str, count: int) -> None:
    """An answer is remembered for as long as it says, a minute at most."""
    clock = Clock()
    server.fields = {"Cache-Control": cache}
    webhook = Webhook(server.url, SECRET, default_tenant=Tenant("1"), clock=clock)
    for _ in range(3):
        await ask(webhook)
    clock.now += 61
    await ask(webhook)
    await webhook.close()

    assert count == len(server.asked)


async def test_remembered_for_the_same_question(server: Answering) -> None:
    """What was answered to one question says nothing of another token, method, path or query."""
    server.fields = {"Cache-Control": "max-age=30"}
    webhook = Webhook(server.url, SECRET, default_tenant=Tenant("1"), clock=Clock())
    question = {"token": "t", "method": "HEAD", "path": "/files", "query": "a=b"}
    others = [question | {name: other} for name, other in (("token", "u"), ("method", "DELETE"), ("path", "/"), ("query", ""))]
    for asked in (question, *others, question, *others):
        await webhook.authorize(**asked, tenant=Tenant("7"))
    await webhook.close()

    assert [question, *others] == [{name: json.loads(content)[name] for name in question} for _, content in server.asked]


async def test_the_oldest_answer_is_forgotten(server: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered has a bound; what was asked last is kept."""
    monkeypatch.setattr("holdfast.service.accounts.webhook.REMEMBERED", 2)
    server.fields = {"Cache-Control": "max-age=30"}
    webhook = Webhook(server.url, SECRET, default_tenant=Tenant("1"), clock=Clock())
    for token in ("a", "b", "c", "b", "c", "a"):
        await webhook.authorize(token=token, method="GET", path="/", query="", tenant=None)
    await webhook.close()

    assert ["a", "b", "c", "a"] == [json.loads(content)["token"] for _, content in server.asked]
