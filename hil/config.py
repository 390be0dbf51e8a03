"""TOML -> frozen configuration records; an unknown key or a wrong type is refused with its path."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from hil.errors import ConfigError

T = TypeVar("T")

MOST: Final = 1 << 20  # bytes of a file that a person writes
# what msgspec raises of a text that is no record of a kind: the last of brackets without end
NO_RECORD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every configuration record."""


def read_toml(path: Path, kind: type[T], *, hint: str = "see docs/adding-a-board.md") -> T:
    """The record of type ``kind`` that the file holds, or ConfigError naming file and key."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
        if len(content) > MOST:
            raise ConfigError(f"{path} is longer than {MOST} bytes", hint)
        return msgspec.toml.decode(content, type=kind)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read ({problem.strerror})", "check the path") from None
    except NO_RECORD as problem:
        raise ConfigError(f"{path}: {problem}", hint) from None
