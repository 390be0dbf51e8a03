# SPDX-License-Identifier: Apache-2.0
"""Files: write atomically, lock between processes, hash, and read as configuration."""

from __future__ import annotations

import fcntl
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
from hil.core.text import closest


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path with the same name, which replaces ``path`` when the block succeeds.

    StorageError if the folder cannot be written or the disk is full; ``path`` is then unchanged.
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
    """Write ``content`` to ``path`` and flush it to disk, whole or not at all; see `replacing`."""
    with replacing(path) as part, part.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def write_plain(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` without flushing it to disk, for files that can be made again;
    StorageError if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as problem:
        raise StorageError(
            f"cannot write {path} ({problem.strerror})", "free space or fix its permissions"
        ) from problem


def did_you_mean(path: Path) -> str:
    """The beginning of a hint: the file beside ``path``, which does not exist, with almost the same
    name; empty if there is none."""
    try:
        beside = [one.name for one in path.parent.iterdir() if one.suffix == path.suffix]
    except OSError:
        return ""
    found = "" if path.exists() else closest(path.name, beside)
    return f"did you mean {path.with_name(found)}? " if found else ""


def is_plain(path: Path) -> bool:
    """Whether ``path`` is a regular file, not a link (which may lead anywhere), device or pipe."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


@contextmanager
def locked(file: Path, *, wait: bool = True, shared: bool = False) -> Iterator[None]:
    """Lock ``file``, which is created empty if needed, for one process at a time, or, if
    ``shared``, for any number of processes that share it.

    The lock is released after the block, or when the process ends for any reason. The file stays.

    Raises:
        InUse: another process has the lock and ``wait`` is false.
        StorageError: the file cannot be created or locked.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as problem:
        raise _cannot_lock(file, problem) from None
    # flock(2) itself: the package filelock would add 1.1 MB to the installation, and poll
    with os.fdopen(lock):
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(lock, kind | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise InUse(f"another process has locked {file}", "wait for it to end") from None
        except OSError as problem:  # a file system without locks
            raise _cannot_lock(file, problem) from None
        yield


def _cannot_lock(file: Path, problem: OSError) -> StorageError:
    what = f"cannot lock {file} ({problem.strerror})"
    return StorageError(what, "choose another folder, or fix its permissions")


def sha256(path: Path) -> str:
    """SHA-256 of a file in hex; empty if the file does not exist."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


T = TypeVar("T")

_LONGEST: Final = 1 << 20  # bytes of a configuration file
# what msgspec raises for text that is not a record: RecursionError for endless brackets
NO_RECORD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every configuration record: frozen, and unknown keys are an error."""


def read_toml(path: Path, kind: type[T], *, hint: str = "see docs/adding-a-board.md") -> T:
    """The file as a record of type ``kind``; ConfigError names the file and the key."""
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
        if len(content) > _LONGEST:
            raise ConfigError(f"{path} is longer than {_LONGEST} bytes", hint)
        return msgspec.toml.decode(content, type=kind)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read ({problem.strerror})", "check the path") from None
    except NO_RECORD as problem:
        raise ConfigError(f"{path}: {problem}", hint) from None
