"""Reads the settings file."""

from __future__ import annotations

import os
import tomllib
from typing import Any

CONFIG = "holdfast.toml"


class SettingsError(Exception):
    """The settings are invalid; the message has one line per mistake, with what to do."""


def config_path() -> str:
    """Return the path of the file with settings."""
    return os.environ.get("HOLDFAST_CONFIG") or CONFIG


def read_config() -> dict[str, Any]:
    """
    Return the values in the file, {} if it is missing and `HOLDFAST_CONFIG` does not name it.

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
