# SPDX-License-Identifier: Apache-2.0
"""Files that are either whole or not there."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from hil.core.errors import ConfigError, InUse, StorageError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path with the same name, which becomes ``path`` when the block succeeds.

    StorageError when the folder cannot be written or the disk is full; an earlier ``path`` is
    then as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # a folder, so that the file gets the permissions any new file would get
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            part = Path(folder) / path.name
            yield part
            part.replace(path)
    except OSError as problem:
        raise StorageError(
            f"cannot write {path} ({problem.strerror or problem})",
            "free space or fix the folder's permissions",
        ) from problem


def replace_file(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, and onto the disk, whole or not at all; see `replacing`."""
    with replacing(path) as part, part.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def is_plain(path: Path) -> bool:
    """Whether ``path`` is a file itself: no link, which may lead anywhere, no device, no pipe."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


@contextmanager
def locked(file: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock ``file``, which one process has at a time, and which is created empty.

    It is free again after the block, or when the process ends, however it ends; the file stays.

    Raises:
        InUse: another process holds it and ``wait`` is false.
        StorageError: it cannot be created or locked.
    """
    from filelock import FileLock, Timeout  # brings asyncio; most commands lock nothing

    lock = FileLock(file, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        raise InUse(f"another process holds {file}", "wait for it to end") from None
    except OSError as problem:
        what = f"cannot lock {file} ({problem.strerror})"
        raise StorageError(what, "choose another folder, or fix its permissions") from None
    try:
        yield
    finally:
        lock.release()


def sha256(path: Path) -> str:
    """SHA-256 of a file, hex; empty when there is no such file."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


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
