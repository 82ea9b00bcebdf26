"""
Whoever may ask: tokens of the people that tests are about.
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.service.accounts.making import make_token
from holdfast.service.core.policies import GROUP_AVATAR
from tests.protocols.service import Serve, Service

SECRET = "32 bytes are what a secret needs"
ACCOUNTS = {"auth": "jwt", "jwt_secret": SECRET}

KELP = "0f8fad5b-d9cb-469f-a165-70867728950e"
WRACK = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
GROUP = "60af77fd294165466ccdf510"
TEAM = "11111111-2222-4333-8444-555555555555"

TOKENS: Mapping[str, str | None] = {
    "nobody": None,
    "owner": make_token(secret=SECRET, tenant="1", subject=KELP),
    "member": make_token(secret=SECRET, tenant="1", subject=WRACK),
    "viewer": make_token(secret=SECRET, tenant="1", subject=KELP, capabilities=["view"]),
    "uploader": make_token(secret=SECRET, tenant="1", subject=KELP, capabilities=["upload"]),
    "attacher": make_token(secret=SECRET, tenant="1", subject=KELP, capabilities=["attach"]),
    "admin": make_token(secret=SECRET, tenant="1", subject="root", roles=["admin"]),
    "holder": make_token(secret=SECRET, tenant="1", subject="boss", roles=["account_holder"]),
    "entitled": make_token(secret=SECRET, tenant="1", subject="lists", entitlements=[str(GROUP_AVATAR.entitlement)]),
    "stranger": make_token(secret=SECRET, tenant="2", subject=KELP, roles=["admin", "account_holder"]),
}


def bearing(who: str) -> dict[str, str]:
    """
    Return the fields that say who asks.
    """
    token = TOKENS[who]
    return {} if token is None else {"Authorization": f"Bearer {token}"}


async def serve_accounts(serve: Serve) -> Service:
    """
    Return a service with accounts that knows two users, a group and an organization's group.
    """
    service = await serve(**ACCOUNTS)
    for path in (f"user/{KELP}", f"user/{WRACK}", f"group/{GROUP}", f"organization_group/{TEAM}"):
        fields = {**bearing("admin"), "Content-Type": "application/json"}
        answer = await service.send("PUT", f"/api/v1/objects/{path}", fields, b'{"name": "Kelp"}')
        assert answer.status_code == 200
    return service
