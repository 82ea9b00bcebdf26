"""The file with settings: where it is, and what it says."""

from __future__ import annotations

import os
import tomllib
from typing import Any

CONFIG = "holdfast.toml"


class SettingsError(Exception):
    """Settings cannot be served with; the message has a line for each mistake, that says which, and what to do."""


def config_path() -> str:
    """Return the path of the file with settings."""
    return os.environ.get("HOLDFAST_CONFIG") or CONFIG


def read_config() -> dict[str, Any]:
    """
    Return what the file says; nothing if there is none, unless `HOLDFAST_CONFIG` names it.

    :raises SettingsError: the file is missing, cannot be read, or is not TOML.
    """
    path = config_path()
    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
    except FileNotFoundError as error:
        if not os.environ.get("HOLDFAST_CONFIG"):
            return {}
        raise SettingsError(f"HOLDFAST_CONFIG={path}: there is no such file") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # of TOML, or of UTF-8
        raise SettingsError(f"{path} is not TOML: {error}") from error
    if "config" in values:
        raise SettingsError(f"{path}: config can only be set in the environment")
    return values
