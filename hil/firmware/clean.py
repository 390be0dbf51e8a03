# SPDX-License-Identifier: Apache-2.0
"""Remove what this package keeps in the user's cache: builds, copies of the firmware of other
versions, or everything. Results are never there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hil.core.errors import ConfigError, InUse, StorageError
from hil.core.files import locked
from hil.firmware.project import cache_folder, copy_of, installed_tree, lock_of

_LOCKS: Final = (".lock", ".new")  # empty, and kept: a process may be about to lock them
_BUILDS: Final = Path(".pio") / "images"


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A folder or file that was removed with its ``size`` in bytes, or left for a reason."""

    path: Path
    size: int
    left: str = ""


def clean(
    *, everything: bool = False, running: Callable[[Path], bool] = lambda _: False
) -> Iterator[Cleaned]:
    """Remove builds, and the copies of the firmware of other versions; with ``everything`` all
    copies, and the other caches: data sets, converted models, answers of the host, sources of
    engines.

    A copy that another process uses is left, and one in which something is ``running``.
    """
    folder, current = cache_folder(), _current()
    for copy in _content(folder):
        if copy.suffix in _LOCKS:
            continue
        whole = everything or copy != current
        if whole or (copy / _BUILDS).is_dir():
            if running(copy):
                yield Cleaned(copy, 0, "an emulator runs in it")
            else:
                yield _unused(copy, copy if whole else copy / _BUILDS)
    for cache in _content(folder.parent) if everything else ():
        if cache != folder:
            yield _removed(cache)


def _current() -> Path | None:
    """The copy that this version uses; None in a checkout, which builds in itself."""
    try:
        return copy_of(installed_tree())
    except ConfigError:
        return None


def _content(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _unused(copy: Path, path: Path) -> Cleaned:
    """Remove ``path`` in ``copy``, unless a process uses it."""
    try:
        with locked(lock_of(copy), wait=False):
            return _removed(path)
    except InUse:
        return Cleaned(path, 0, "another process uses it")


def _removed(path: Path) -> Cleaned:
    try:
        size = _size(path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as problem:
        raise StorageError(
            f"cannot remove {path} ({problem.strerror or problem})", "fix its permissions"
        ) from problem
    return Cleaned(path, size)


def _size(path: Path) -> int:
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir() or file.is_symlink())
