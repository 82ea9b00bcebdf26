"""
Settings: what is read, and what is refused by name, so that nobody believes it protects or stores anything today.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from holdfast.service.settings import Settings, is_loopback, load
from holdfast.service.settings_file import SettingsError
from holdfast.service.stores import open_stores

SECRET = "32 bytes are what a secret needs"

REFUSED = {
    "accounts without keys": {"AUTH": "jwt"},
    "accounts with two kinds of keys": {"AUTH": "jwt", "JWT_SECRET": SECRET, "JWT_KEYS": "https://id.example/jwks"},
    "a secret that is too short": {"AUTH": "jwt", "JWT_SECRET": SECRET[1:]},
    "a webhook without a secret": {"AUTH": "jwt", "AUTHORIZE_URL": "https://id.example/authorize"},
    "a webhook without accounts": {"AUTHORIZE_URL": "https://id.example/authorize", "AUTHORIZE_SECRET": "whsec_AAAA"},
    "a secret without accounts": {"JWT_SECRET": SECRET},
    "another kind of accounts": {"AUTH": "basic"},
    "all addresses": {"HOST": "0.0.0.0"},
    "all IPv6 addresses": {"HOST": "::"},
    "no address, which is all": {"HOST": ""},
    "an address of a network": {"HOST": "192.0.2.1"},
    "a name that may be anywhere": {"HOST": "files.example"},
    "a name that looks like localhost": {"HOST": "localhost.example"},
    "S3": {"S3_ENDPOINT_URL": "http://127.0.0.1:9000"},
    "a public URL without a scheme": {"PUBLIC_URL": "files.example"},
    "a public URL with a query": {"PUBLIC_URL": "https://files.example/?a"},
    "a field with a space": {"CORS_FIELDS": "X-Mine, X Ours"},
    "all fields, which no browser takes with cookies": {"CORS_FIELDS": "*"},
    "a port that is none": {"PORT": "65536"},
    "a negative port": {"PORT": "-1"},
    "a port in words": {"PORT": "http"},
    "no workers": {"WORKERS": "0"},
    "too many workers": {"WORKERS": "257"},
    "a durability that is none": {"DURABILITY": "some"},
    "a hand-off that is none": {"HANDOFF": "maybe"},
    "a certificate without its key": {"TLS_CERTIFICATE": "cert.pem"},
    "a key without its certificate": {"TLS_KEY": "key.pem"},
    "an internal location without files": {"ACCEL_REDIRECT": "/held/", "BYTES_URL": "memory:"},
    "an internal location without an end": {"ACCEL_REDIRECT": "/held"},
    "an internal location with two lines": {"ACCEL_REDIRECT": "/held/\r\nX: /"},
    "an S3 server without a scheme": {"BYTES_URL": "s3://bucket", "S3_ENDPOINT_URL": "nonsense"},
    "an S3 server for files": {"S3_ENDPOINT_URL": "http://127.0.0.1:9"},
    "no size": {"MAX_SIZE": "0"},
    "a size over structured fields": {"MAX_SIZE": "1000000000000000"},
    "a size in words": {"MAX_SIZE": "1 GiB"},
    "expiry at once": {"IDLE_EXPIRY": "0"},
    "expiry in the past": {"FINAL_EXPIRY": "-1"},
    "expiry that is no number": {"FINAL_EXPIRY": "nan"},
    "expiry that never comes": {"FINAL_EXPIRY": "inf"},
    "progress that is never too old": {"IDLE_EXPIRY": "inf"},
    "expiry after the end of dates": {"FINAL_EXPIRY": "1e300"},
    "no time to send": {"IDLE_TIMEOUT": "0"},
    "negative grace": {"SHUTDOWN_GRACE": "-1"},
    "a tenant that is no community": {"DEFAULT_TENANT": "acme"},
    "a tenant with zeros before it": {"DEFAULT_TENANT": "01"},
    "a negative tenant": {"DEFAULT_TENANT": "-1"},
    "a tenant with a line break": {"DEFAULT_TENANT": "1\n"},
    "proxies that are no networks": {"TRUSTED_PROXIES": "proxy.example"},
    "one proxy that is no network": {"TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/33"},
    "a log level that is none": {"LOG_LEVEL": "loud"},
}
ACCEPTED = {
    "nothing": {},
    "accounts": {"AUTH": "jwt", "JWT_SECRET": SECRET},
    "accounts for everybody": {"AUTH": "jwt", "JWT_SECRET": SECRET, "HOST": "0.0.0.0"},
    "another loopback address": {"HOST": "127.8.9.10"},
    "loopback in IPv6": {"HOST": "::1"},
    "localhost": {"HOST": "localhost"},
    "a port that the system chooses": {"PORT": "0"},
    "the last port": {"PORT": "65535"},
    "many workers": {"WORKERS": "256"},
    "the largest size": {"MAX_SIZE": "999999999999999"},
    "a community": {"DEFAULT_TENANT": "999999999999999999"},
    "no proxies": {"TRUSTED_PROXIES": ""},
    "networks": {"TRUSTED_PROXIES": " 10.0.0.0/8 , 2001:db8::/32,192.0.2.7/24"},
    "no origins": {"CORS_ORIGINS": ""},
    "little durability": {"DURABILITY": "none"},
}
UNKNOWN_STORES = {
    "Sentinels without a service": {"METADATA_URL": "redis+sentinel://127.0.0.1"},
    "PostgreSQL for records": {"METADATA_URL": "postgresql://127.0.0.1/a"},
    "no scheme for records": {"METADATA_URL": "records.sqlite"},
    "nothing for records": {"METADATA_URL": ""},
    "S3 without a bucket": {"BYTES_URL": "s3://"},
    "S3 by a path": {"BYTES_URL": "s3:bucket"},
    "no scheme for content": {"BYTES_URL": "/data"},
    "nothing for content": {"BYTES_URL": ""},
    "records in memory for several processes": {"METADATA_URL": "memory:", "WORKERS": "2"},
    "content in memory for several processes": {"BYTES_URL": "memory:", "WORKERS": "2"},
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder of the test's own, where the default data directory may be made."""
    monkeypatch.chdir(tmp_path)


def _set(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"HOLDFAST_{name}", value)


@pytest.mark.parametrize("values", REFUSED.values(), ids=REFUSED.keys())
def test_refused(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    """What cannot be served with is refused before anything is served."""
    _set(monkeypatch, values)
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize("values", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    """What can be served with is taken from the environment."""
    _set(monkeypatch, values)
    settings = Settings()

    assert {name.lower(): value for name, value in values.items()} == {
        name.lower(): str(getattr(settings, name.lower())) for name in values
    }


@pytest.mark.parametrize("values", UNKNOWN_STORES.values(), ids=UNKNOWN_STORES.keys())
def test_unknown_stores(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    """A store that this version does not have is refused, and the message names the setting."""
    _set(monkeypatch, values)
    with pytest.raises(SettingsError) as caught:
        open_stores(Settings())

    assert any(f"HOLDFAST_{name}" in str(caught.value) for name in values)
    assert os.listdir() == []


async def test_stores_of_the_defaults() -> None:
    """Without settings, everything is kept in one folder."""
    stores = open_stores(Settings())
    for store in (stores.content, stores.metadata, stores.leases):
        await store.ping()
    await stores.close()

    assert os.listdir() == ["holdfast-data"]


async def test_stores_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Records and content are kept where their URLs say."""
    _set(monkeypatch, {"METADATA_URL": f"sqlite:{tmp_path}/records.sqlite", "BYTES_URL": f"file:{tmp_path}/content"})
    await open_stores(Settings()).close()

    assert {"content", "records.sqlite"} <= set(os.listdir())
    assert "holdfast-data" not in os.listdir()


def test_folder_that_cannot_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A data directory that cannot be made is an error that says so, at once."""
    (tmp_path / "file").write_text("")
    _set(monkeypatch, {"DATA_DIR": str(tmp_path / "file" / "data")})
    with pytest.raises(SettingsError, match=f"HOLDFAST_DATA_DIR={tmp_path}/file/data"):
        open_stores(Settings())


FILES = {
    "no TOML": ("port =\n", ["holdfast.toml is not TOML: Invalid value (at line 1, column 7)"]),
    "no UTF-8": ("\udcff", ["holdfast.toml is not TOML: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"]),
    "names that are none": (
        'auht = "jwt"\nzzz = 1',
        ["holdfast.toml, auht: is not a setting; did you mean auth?", "holdfast.toml, zzz: is not a setting"],
    ),
    "another file": ('config = "other.toml"', ["holdfast.toml: config can only be set in the environment"]),
    "a value": ("workers = 0", ["HOLDFAST_WORKERS: Input should be greater than or equal to 1"]),
    "a mistake in a slot": (
        '[[slots]]\nkind = "a"\nslot = "B"\n[[slots]]\nkind = "a"\nmosst = 1\nwho = "admin"',
        [
            "holdfast.toml, [[slots]] number 2, slot: is missing",
            "holdfast.toml, [[slots]] number 2, who: has to be a list, in [ ]",
            "holdfast.toml, [[slots]] number 2, mosst: is not a setting; did you mean most?",
        ],
    ),
    "one slot twice": ('[[slots]]\nkind = "a"\nslot = "B"\n' * 2, ["holdfast.toml, [[slots]]: a/B is defined twice; remove one"]),
    "nobody who is entitled": (
        '[[slots]]\nkind = "a"\nslot = "B"\nentitlement = "Editor"',
        ["holdfast.toml, [[slots]] number 1: a/B: who = entitled and entitlement belong together"],
    ),
    "no entitlement": (
        '[[slots]]\nkind = "a"\nslot = "B"\nwho = ["entitled"]',
        ["holdfast.toml, [[slots]] number 1: a/B: who = entitled and entitlement belong together"],
    ),
    "one table": ('[slots]\nkind = "a"\nslot = "B"', ["holdfast.toml, [[slots]]: has to be a list, in [ ]"]),
}


@pytest.mark.parametrize(("text", "said"), FILES.values(), ids=FILES.keys())
def test_mistakes_in_the_file(tmp_path: Path, text: str, said: list[str]) -> None:
    """Whatever the file says that cannot be meant is refused, with one line for each mistake that says where it stands."""
    (tmp_path / "holdfast.toml").write_text(text, errors="surrogateescape")
    with pytest.raises(SettingsError) as caught:
        load()

    assert said == str(caught.value).split("\n")


def test_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment goes before the file, and what a caller gives before both; a slot may stand there for each kind."""
    slots = '[[slots]]\nkind = "a"\nslot = "B"\n[[slots]]\nkind = "b"\nslot = "B"'
    (tmp_path / "other.toml").write_text(f'port = 1\nworkers = 2\nlog_level = "debug"\n{slots}')
    _set(monkeypatch, {"CONFIG": "other.toml", "WORKERS": "3", "LOG_LEVEL": "error"})
    settings = load(log_level="info")

    assert (1, 3, "info") == (settings.port, settings.workers, settings.log_level)
    assert ["a", "b"] == [slot.kind for slot in settings.slots]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CONFIG", "nope.toml", "HOLDFAST_CONFIG=nope.toml: there is no such file"),
        ("CONFIG", ".", ". cannot be read: Is a directory"),
        ("SLOTS", "text", "HOLDFAST_SLOTS: has to be JSON; better write [[slots]] into holdfast.toml"),
    ],
)
def test_mistakes_about_the_file(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    """A file that was asked for has to be there; slots in the environment are hard to write."""
    _set(monkeypatch, {name: value})
    with pytest.raises(SettingsError) as caught:
        load()

    assert said == str(caught.value)


def test_frozen() -> None:
    """Settings do not change while a process runs."""
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.port = 1


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("10.0.0.1", False),
    ],
)
def test_is_loopback(host: str, loopback: bool) -> None:
    """Loopback is what nobody else reaches."""
    assert loopback is is_loopback(host)


def test_shipped_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped unit has accounts: it starts with the secret that its first lines make, and not without."""
    unit = (Path(__file__).parents[1] / "deploy" / "holdfast.service").read_text()
    for line in re.findall(r"^Environment=(.+)$", unit, re.MULTILINE):
        monkeypatch.setenv(*line.split("=", 1))
    with pytest.raises(SettingsError, match="HOLDFAST_JWT_SECRET"):
        load()
    made = re.search(r"echo (HOLDFAST_JWT_SECRET)=\$\((.+)\) > (\S+)\)$", unit, re.MULTILINE)

    assert made is not None
    assert f"\nEnvironmentFile={made[3]}\n" in unit
    monkeypatch.setenv(made[1], subprocess.run(["sh", "-c", made[2]], capture_output=True, text=True, check=True).stdout.strip())
    assert load().auth == "jwt"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "CORS_ORIGINS",
            "example.com",
            "HOLDFAST_CORS_ORIGINS: example.com is not an origin; write scheme and host, such as https://example.com",
        ),
        ("ACCEL_REDIRECT", "held", "HOLDFAST_ACCEL_REDIRECT: has to begin and end with /, as /held/"),
        ("RELATIVE_LOCATION", "maybe", "HOLDFAST_RELATIVE_LOCATION: has to be true or false"),
        ("MAX_SIZE", "10GB", "HOLDFAST_MAX_SIZE: has to be a plain whole number, without a unit"),
        ("TRUSTED_PROXIES", "foo", "HOLDFAST_TRUSTED_PROXIES: has to be IP addresses or networks, separated by commas"),
    ],
)
def test_what_to_write_instead(monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str) -> None:
    """A value that cannot be used is refused with what to write instead."""
    monkeypatch.setenv(f"HOLDFAST_{name}", value)
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        load()
