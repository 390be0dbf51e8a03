"""Files that are either whole or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hil.errors import StorageError


def replace_file(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path``, then rename; StorageError leaves the old file alone."""
    temporary = ""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as handle:
            temporary = handle.name
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as problem:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise StorageError(
            f"cannot write {path} ({problem.strerror})", "free space or fix the permissions"
        ) from problem
