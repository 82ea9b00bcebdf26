"""Opens the token verifier or webhook that the settings name."""

from __future__ import annotations

from holdfast.service.accounts.keys import KeyFile, KeySource, PublicKeys, Secret
from holdfast.service.accounts.links import Links
from holdfast.service.accounts.tokens import TokenVerifier
from holdfast.service.accounts.webhook import Webhook
from holdfast.service.asgi.auth import Accounts
from holdfast.service.asgi.cors import parse_list
from holdfast.service.settings import Settings
from holdfast.service.settings_file import SettingsError
from holdfast.storage.records import Tenant


def open_accounts(settings: Settings, links: Links) -> Accounts | None:
    """
    Return the authenticator; None without accounts.

    :raises SettingsError: its keys or webhook cannot be used.
    """
    if settings.auth == "none":
        return None
    tenant, origins = Tenant(settings.default_tenant), frozenset(parse_list(settings.cors_origins)) - {"*"}
    try:
        if settings.authorize_url:
            webhook = Webhook(settings.authorize_url, settings.authorize_secret, default_tenant=tenant)
            return Accounts(links, None, webhook, origins)
        keys: KeySource = Secret(settings.jwt_secret) if settings.jwt_secret else _public_keys(settings.jwt_keys)
    except (OSError, ValueError) as error:
        raise SettingsError(f"HOLDFAST_AUTH=jwt: {error}") from error
    issuer, audience = settings.jwt_issuer or None, settings.jwt_audience or None
    return Accounts(links, TokenVerifier(keys, default_tenant=tenant, issuer=issuer, audience=audience), None, origins)


def _public_keys(where: str) -> KeySource:
    return PublicKeys(where) if "://" in where else KeyFile(where)
