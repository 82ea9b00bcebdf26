"""
The command ``holdfast``, as far as it ends by itself.
"""

from __future__ import annotations

import importlib.metadata
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from typer.testing import CliRunner, Result

from holdfast.service.cli.main import _try_stores, app
from holdfast.service.settings import Settings

SECRET = "32 bytes are what a secret needs"
ACCOUNTS = {"HOLDFAST_AUTH": "jwt", "HOLDFAST_JWT_SECRET": SECRET}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand in a folder of the test's own; signals mean afterwards what they meant before."""
    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def run(*arguments: str, **environment: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", **environment})


def test_version() -> None:
    """The version is that of the distribution."""
    done = run("--version")

    assert (0, importlib.metadata.version("holdfast")) == (done.exit_code, done.output.strip())


def test_help_names_the_file() -> None:
    """Whoever looks for the settings learns where they stand."""
    assert "holdfast.toml" in run("serve", "--help").output


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"HOLDFAST_CONFIG": "/nope.toml"}, ["holdfast: HOLDFAST_CONFIG=/nope.toml: there is no such file"]),
        (
            {"HOLDFAST_PORT": "http", "HOLDFAST_WORKERS": "0"},
            [
                "holdfast: HOLDFAST_PORT: has to be a plain whole number, without a unit",
                "holdfast: HOLDFAST_WORKERS: Input should be greater than or equal to 1",
            ],
        ),
    ],
)
def test_settings_that_cannot_be_served_with(environment: dict[str, str], said: list[str]) -> None:
    """One line for each mistake, and the status 2, whatever the command."""
    for command in (["serve"], ["token", "kelp"]):
        done = run(*command, **environment)

        assert (2, said) == (done.exit_code, done.output.strip().split("\n"))


def test_a_setting_that_is_none() -> None:
    """A name that was mistyped is told; what is for other programs is not."""
    done = run("serve", HOLDFAST_DATA_DIR="/proc/kelp", HOLDFAST_DATADIR="/srv", OTHER_PORT="1")

    assert (2, 2) == (done.exit_code, len(done.output.strip().split("\n")))
    assert "holdfast: HOLDFAST_DATADIR is not a setting; it is ignored" == done.output.split("\n")[0]


def test_folder_that_cannot_be() -> None:
    """The setting that names it is told, in one line."""
    done = run("serve", HOLDFAST_DATA_DIR="/proc/kelp")

    assert (2, 1) == (done.exit_code, len(done.output.strip().split("\n")))
    assert "HOLDFAST_DATA_DIR=/proc/kelp" in done.output
    assert [] == os.listdir()


def test_token() -> None:
    """A token says what it was asked to say."""
    arguments = [
        "--role",
        "admin",
        "--role",
        "account_holder",
        "--capability",
        "view",
        "--entitlement",
        "Any Thing",
        "--tenant",
        "7",
    ]
    done = run("token", "kelp", *arguments, **ACCOUNTS)
    claims = jwt.decode(done.output.strip(), SECRET, algorithms=["HS256"])

    assert ("kelp", "7", ["Any Thing"]) == (claims["sub"], claims["tenant"], claims["entitlements"])
    assert (["admin", "account_holder"], ["view"]) == (claims["roles"], claims["capabilities"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kelp", "--role", "boss"], "'boss' is not one of 'admin', 'account_holder'"),
        (["kelp", "--capability", "fly"], "'fly' is not one of 'upload', 'view', 'attach'"),
        (["kelp", "--tenant", "a/b"], "the token has no usable tenant"),
        (["kelp", "--tenant", ""], "the token has no usable tenant"),
        ([""], "the token has no usable sub"),
        (["kelp", "--seconds", "0"], "--seconds"),
    ],
)
def test_tokens_that_let_nobody_in(arguments: list[str], said: str) -> None:
    """What the service would refuse or not understand is refused when the token is made."""
    done = run("token", *arguments, **ACCOUNTS)

    assert 2 == done.exit_code
    assert said in done.output


def test_token_without_a_secret() -> None:
    """Nothing is signed where there is nothing to sign with."""
    done = run("token", "kelp")

    assert (2, "holdfast: set HOLDFAST_AUTH=jwt and HOLDFAST_JWT_SECRET, the same as for serve\n") == (
        done.exit_code,
        done.output,
    )


def test_check() -> None:
    """The command says where it looks; it ends with 0 when records and content agree, and with 1 when they do not."""
    agreed = run("check")
    part = Path("holdfast-data/attachments/ab/abcdefghij")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"orphan")
    differed = run("check", "--settled", "0")

    assert (0, 1) == (agreed.exit_code, differed.exit_code)
    assert agreed.output.startswith("Records are in ")
    assert "abcdefghij" in differed.output


async def test_content_may_be_out_of_reach(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A bucket that does not answer is told of, and is no reason not to serve: it may come back by itself."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "kelp")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        await _try_stores(Settings(bytes_url="s3://bucket", s3_endpoint_url=url))

    assert "content cannot be stored or read now" in capsys.readouterr().err
