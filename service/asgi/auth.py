"""Identifies the client: by a token, by a signed link, or, without accounts, by where the request comes from."""

from __future__ import annotations

import logging
import time
from urllib.parse import parse_qs

from holdfast.service.accounts.credentials import token_of
from holdfast.service.accounts.errors import AccessForbidden, AccountsUnavailable, TokenExpired, TokenMissing, Unauthenticated
from holdfast.service.accounts.links import Links
from holdfast.service.accounts.tokens import TokenVerifier
from holdfast.service.accounts.webhook import Webhook
from holdfast.service.asgi.proxies import Proxies
from holdfast.service.core.principals import ANYBODY, Principal
from holdfast.service.protocols.http.wire import RETRY_AFTER, ProtocolError, Request

logger = logging.getLogger("holdfast")

WITHOUT_ACCOUNTS = (
    "accounts are off (HOLDFAST_AUTH=none), so the server answers only requests from this machine; set HOLDFAST_AUTH=jwt, "
    "or HOLDFAST_OPEN_BEHIND_PROXY=true if every client that the proxy lets through may do everything"
)
REALM = 'Bearer realm="holdfast"'


class WithoutAccounts:
    """Lets every client on this machine do everything; with *is_open*, every client that a proxy lets through."""

    def __init__(self, proxies: Proxies, *, is_open: bool) -> None:
        self._proxies = proxies
        self._is_open = is_open
        self._has_warned = False

    async def __call__(self, request: Request) -> Principal:
        """
        Return the principal that may do everything.

        :raises ProtocolError: 403, the request comes, or may come, from another machine.
        """
        if self._is_open or self._proxies.is_local(request.peer, request.fields):
            return ANYBODY
        if not self._has_warned:
            self._has_warned = True
            logger.warning("a request from another machine was refused: %s", WITHOUT_ACCOUNTS)
        raise ProtocolError(403, "accounts_off", WITHOUT_ACCOUNTS)


class Accounts:
    """Asks a token verifier, or else a webhook; a link in the URL takes precedence over both."""

    def __init__(
        self, links: Links, verifier: TokenVerifier | None, webhook: Webhook | None, origins: frozenset[str] = frozenset()
    ) -> None:
        """Pages of *origins* may send cookies."""
        self._links = links
        self._origins = origins
        self._verifier = verifier
        self._webhook = webhook

    async def __call__(self, request: Request) -> Principal:
        """
        Return the principal.

        :raises ProtocolError: 401, the token is missing or refused; 403, the webhook forbids it; 503, keys or webhook fail.
        """
        try:
            link = parse_qs(request.query, max_num_fields=64).get("link") if "link=" in request.query else None
            if link is not None:
                return self._links.verify(link[0], now=time.time())
            # The service's own pages have the origin that clients see, whatever Host the proxy sends.
            origins = self._origins | {request.origin} if "cookie" in request.fields else self._origins
            token = token_of(request.fields, request.method, origins)
            if token is None:
                raise TokenMissing("send a token: Authorization: Bearer TOKEN")
            if self._webhook is not None:
                tenant = request.tenant if request.tenant_named else None
                return await self._webhook.authorize(
                    token=token, method=request.method, path=request.path, query=request.query, tenant=tenant
                )
            if self._verifier is None:
                raise TokenMissing("this service takes no tokens")
            return await self._verifier.verify(token)
        except ValueError as error:
            raise ProtocolError(400, "query_invalid", "the query is malformed") from error
        except Unauthenticated as error:
            raise _unauthenticated(error) from error
        except AccessForbidden as error:
            raise ProtocolError(403, "forbidden", "the authorization webhook forbids this request") from error
        except AccountsUnavailable as error:
            message = "the server cannot check your token now; try again in a moment"
            raise ProtocolError(503, "accounts_unavailable", message, (("Retry-After", RETRY_AFTER),)) from error

    async def close(self) -> None:
        """Close the connections to keys and webhook."""
        for authority in (self._verifier, self._webhook):
            if authority is not None:
                await authority.close()


def _unauthenticated(error: Unauthenticated) -> ProtocolError:
    # RFC 6750, section 3: a challenge without a token names no error.
    if isinstance(error, TokenMissing):
        return ProtocolError(401, "token_missing", error.reason, (("WWW-Authenticate", REALM),))
    challenge = (("WWW-Authenticate", f'{REALM}, error="invalid_token", error_description="{error.reason}"'),)
    if isinstance(error, TokenExpired):
        return ProtocolError(401, "token_expired", error.reason, challenge)
    return ProtocolError(401, "token_invalid", error.reason, challenge)
