"""The command ``holdfast``."""

from __future__ import annotations

import asyncio
import enum
import importlib.metadata
import logging
import os
from typing import Annotated

import typer

from holdfast.service.accounts.errors import TokenRefused
from holdfast.service.accounts.making import make_token
from holdfast.service.cli.checking import checked
from holdfast.service.core import principals
from holdfast.service.core.principals import Capability
from holdfast.service.server.run import bind, check_certificate, run
from holdfast.service.server.signals import Signals
from holdfast.service.settings import Settings, load
from holdfast.service.settings_file import SettingsError
from holdfast.service.store_locations import StoreLocations, public_url
from holdfast.service.stores import open_stores
from holdfast.storage.errors import StorageError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Holdfast, a resumable upload service.")


class Role(enum.StrEnum):
    """The roles that this service knows; it ignores others."""

    ADMIN = principals.ADMIN
    ACCOUNT_HOLDER = principals.ACCOUNT_HOLDER


def _version(asked: bool) -> None:
    if asked:
        typer.echo(importlib.metadata.version("holdfast"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Holdfast, a resumable upload service."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (HOLDFAST_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (HOLDFAST_PORT).")] = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C.  Settings come from environment variables or holdfast.toml; see deploy/README.md."""
    signals = Signals()
    signals.listen()
    settings = _settings(host=host, port=port)
    for name in sorted(set(os.environ) - {f"HOLDFAST_{name.upper()}" for name in Settings.model_fields}):
        if name.startswith("HOLDFAST_"):
            typer.echo(f"holdfast: {name} is not a setting; it is ignored", err=True)
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("uvicorn", "botocore"):
        logging.getLogger(noisy).setLevel("WARNING")
    try:
        # Before the service says that it runs: stores that cannot be written, or are missing, are reported now.
        asyncio.run(_try_stores(settings))
        check_certificate(settings)
        listening = bind(settings)
    except (SettingsError, StorageError) as error:
        raise _refused(error) from error
    typer.echo(_welcome(settings, listening.getsockname()[1]))
    run(settings, listening, signals)


@app.command()
def token(
    subject: Annotated[str, typer.Argument(help="The user (sub).")],
    tenant: Annotated[
        str | None, typer.Option(help="The user's tenant, such as a community key; HOLDFAST_DEFAULT_TENANT if not given.")
    ] = None,
    role: Annotated[list[Role] | None, typer.Option(help="May be repeated.")] = None,
    entitlement: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    capability: Annotated[list[Capability] | None, typer.Option(help="May be repeated; all, if none is given.")] = None,
    seconds: Annotated[int, typer.Option(min=1, help="How long it is valid.")] = 3600,
) -> None:
    """Make a token for development, signed with HOLDFAST_JWT_SECRET."""
    settings = _settings()
    if not settings.jwt_secret:
        raise _refused(SettingsError("set HOLDFAST_AUTH=jwt and HOLDFAST_JWT_SECRET, the same as for serve"))
    try:
        made = make_token(
            secret=settings.jwt_secret,
            tenant=settings.default_tenant if tenant is None else tenant,
            subject=subject,
            roles=role or (),
            entitlements=entitlement or (),
            capabilities=capability or None,
            seconds=seconds,
            issuer=settings.jwt_issuer or None,
            audience=settings.jwt_audience or None,
        )
    except TokenRefused as error:
        raise _refused(error) from error
    typer.echo(made)


@app.command()
def check(
    key: Annotated[str | None, typer.Argument(help="An upload to explain: what keeps it, or when it is purged.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Remove content that no record needs.")] = False,
    settled: Annotated[float, typer.Option(min=0, help="Ignore what changed less than this many seconds ago.")] = 86_400,
) -> None:
    """Compare records and content, both ways.  Exits with 1 if they differ; the service may run meanwhile."""
    settings = _settings()
    typer.echo(_where(settings))
    try:
        lines = asyncio.run(checked(settings, key, repair=repair, settled=settled))
    except (SettingsError, StorageError) as error:
        raise _refused(error) from error
    for line in lines.text:
        typer.echo(line)
    raise typer.Exit(0 if lines.agree else 1)


def _settings(**given: object) -> Settings:
    try:
        return load(**{name: value for name, value in given.items() if value is not None})
    except SettingsError as error:
        raise _refused(error) from error


def _refused(error: Exception) -> typer.Exit:
    """Print the error, and return the exit of the command."""
    for line in str(error).split("\n"):
        typer.echo(f"holdfast: {line}", err=True)
    return typer.Exit(2)


async def _try_stores(settings: Settings) -> None:
    """Ping every store.  Without records the service cannot start; failing content is only reported, since it may come back."""
    stores = open_stores(settings)
    try:
        try:
            await stores.metadata.ping()
            await stores.leases.ping()
        except StorageError as error:
            where = public_url(settings.metadata_url)
            raise SettingsError(f"HOLDFAST_METADATA_URL={where}: this store cannot keep records now: {error}") from error
        for sentence in await stores.advice() if stores.advice is not None else ():
            typer.echo(f"holdfast: {sentence}", err=True)
        try:
            await stores.content.ping()
        except StorageError as error:
            typer.echo(f"holdfast: content cannot be stored or read now: {error}", err=True)
    finally:
        await stores.close()


def _where(settings: Settings) -> str:
    places = StoreLocations.of(settings)
    return f"Records are in {places.records}, content in {places.content}."


def _welcome(settings: Settings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"{'https' if settings.tls_certificate else 'http'}://{host}:{port}"
    processes = "1 process" if settings.workers == 1 else f"{settings.workers} processes"
    return f"""\
Holdfast serves {url}/files  ({processes})
{_where(settings)}
Ctrl-C ends it.

Upload something with tus, and fetch it again:

  location=$(printf 'Hello, Holdfast!\\n' | curl -sS -D - -o /dev/null {url}/files \\
    -H 'Tus-Resumable: 1.0.0' -H 'Upload-Length: 17' -H 'Content-Type: application/offset+octet-stream' \\
    --data-binary @- | tr -d '\\r' | sed -n 's/^location: //p'); curl -sS "$location"
"""


def main() -> None:
    """Run the command line."""
    app()
