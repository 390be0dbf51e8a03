"""TOML -> frozen configuration records; an unknown key or a wrong type is refused with its path."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from hil.errors import ConfigError

T = TypeVar("T")


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every configuration record."""


def read_toml(path: Path, kind: type[T], *, hint: str = "see docs/adding-a-board.md") -> T:
    """The record of type ``kind`` that the file holds, or ConfigError naming file and key."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read ({problem.strerror})", "check the path") from None
    except msgspec.DecodeError as problem:
        raise ConfigError(f"{path}: {problem}", hint) from None
