"""Writing outputs whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hil.errors import StorageError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path with the same suffix, which becomes ``path`` when the block succeeds.

    Raises:
        StorageError: the folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            part = Path(folder) / path.name
            yield part
            part.replace(path)
    except OSError as error:
        what = f"{path} cannot be written ({error.strerror or error})"
        raise StorageError(what, "check the folder's permissions and the free space") from error


def write(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all; errors as in ``replacing``."""
    with replacing(path) as part:
        part.write_bytes(content)


def sha256(path: Path) -> str:
    """SHA-256 of a file, hex; empty when there is no such file."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
