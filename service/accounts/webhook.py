"""
Asks another service who sent a request and whether it is allowed.

Requests are signed as Standard Webhooks prescribes.  The answer is 200 with claims (`holdfast.service.accounts.claims`), 401
or 403.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
from standardwebhooks.webhooks import Webhook as Signer

from holdfast.service.accounts.asking import Answer, ask
from holdfast.service.accounts.claims import principal_of
from holdfast.service.accounts.errors import AccessForbidden, AccountsUnavailable, TokenRefused
from holdfast.service.accounts.keys import require_safe
from holdfast.service.core.principals import Principal
from holdfast.storage.records import Tenant

KiB = 1024
MAX_ANSWER = 64 * KiB
SECONDS = 1.0
TIMEOUT = 3 * SECONDS
REMEMBERED = 4096
REMEMBERED_FOR = 60

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=([0-9]{1,9})(?:$|[\s,])")


class Webhook:
    """The service at *url*; *secret* (``whsec_…``) signs the requests to it."""

    def __init__(self, url: str, secret: str, *, default_tenant: Tenant, clock: Callable[[], float] = time.time) -> None:
        require_safe(url)
        self._url = url
        self._signer = Signer(secret)
        self._default_tenant = default_tenant
        self._clock = clock
        self._client = httpx.AsyncClient(timeout=TIMEOUT)
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    async def authorize(self, *, token: str, method: str, path: str, query: str, tenant: Tenant | None) -> Principal:
        """
        Return the principal that sent a request; *tenant* is that of the URL, if it names one.

        :raises TokenRefused: the service answers 401.
        :raises AccessForbidden: the service answers 403.
        :raises AccountsUnavailable: the service fails, or its answer is not understood.
        """
        name = hashlib.sha256("\n".join((token, method, path, query)).encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(name)
        if known is not None and self._clock() < known[0]:
            return known[1]
        asked = {"type": "authorize", "token": token, "method": method, "path": path, "query": query, "tenant": tenant}
        answer = await self._ask(json.dumps(asked))
        match answer.status:
            case httpx.codes.OK:
                pass
            case httpx.codes.UNAUTHORIZED:
                raise TokenRefused("the token is not valid here")
            case httpx.codes.FORBIDDEN:
                raise AccessForbidden("the authorization service forbids this request")
            case _:
                raise AccountsUnavailable(f"the webhook answered {answer.status}")
        try:
            claims = json.loads(answer.content)
        except (ValueError, RecursionError) as error:
            raise AccountsUnavailable("the webhook's answer is not JSON") from error
        if not isinstance(claims, dict):
            raise AccountsUnavailable("the webhook's answer has no claims")
        try:
            principal = principal_of(claims, default_tenant=self._default_tenant)
        except TokenRefused as error:
            # The webhook is wrong, not the client's token.
            raise AccountsUnavailable("the webhook's answer has no usable claims") from error
        age = _MAX_AGE.search(answer.fields.get("cache-control", ""))
        if age is not None:
            self._known[name] = self._clock() + min(int(age[1]), REMEMBERED_FOR), principal
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return principal

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, question: str) -> Answer:
        name, now = f"msg_{secrets.token_urlsafe(16)}", datetime.now(UTC)
        fields = {
            "content-type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(name, now, question),
        }
        client, url = self._client, self._url
        return await ask(client, "POST", url, most=MAX_ANSWER, seconds=TIMEOUT, content=question, fields=fields)
