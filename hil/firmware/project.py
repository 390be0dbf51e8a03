# SPDX-License-Identifier: Apache-2.0
"""The folder of the user's project, and where the firmware's sources are: in a checkout, or a copy
of the installed package's files in the user's cache."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import ExitStack
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

import platformdirs

from hil.core.errors import ConfigError, StorageError
from hil.core.files import locked
from hil.core.settings import SETTINGS

_PACKED: Final = "tree"  # folder of the wheel; a checkout has none
_LEAVE: Final = ("__pycache__", "*.pyc")
_IN_USE: Final = ExitStack()  # locks until the process ends


def find_project(start: Path | None = None) -> Path:
    """The user's folder: the nearest one from ``start`` (default: the current folder) upwards that
    has a `hil.toml` or is a checkout of this project, else ``start``.

    Its `boards/` and limits are used, and its commit is stored with a run.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / SETTINGS).is_file() or is_checkout(folder):
            return folder
    return here


def is_checkout(folder: Path) -> bool:
    """Whether ``folder`` has this project's firmware and its `platformio.ini`."""
    return (folder / "platformio.ini").is_file() and (folder / "firmware" / "scripts").is_dir()


def firmware_tree(project: Path) -> Path:
    """The folder with `platformio.ini`, `firmware/` and `models/` that images are built in.

    ``project`` if it is a checkout, else the checkout that this package was installed from with
    `pip install -e`, else a copy of the wheel's files in the user's cache.
    """
    if is_checkout(project):
        return project
    tree = installed_tree()
    return _unpacked(tree) if tree.name == _PACKED else tree


def installed_tree() -> Path:
    """The same folder as it is installed, which may be read-only: that of the wheel, or the
    checkout that this package was installed from with `pip install -e`.

    ConfigError if there is none.
    """
    package = Path(str(resources.files("hil")))
    if is_checkout(package.parent):
        return package.parent
    if not is_checkout(package / _PACKED):
        raise ConfigError(
            f"this installation has no firmware in {package / _PACKED}",
            "pip install --force-reinstall it",
        )
    return package / _PACKED


def cache_folder() -> Path:
    """The folder of the user's cache for copies of the firmware, with their builds."""
    return platformdirs.user_cache_path("tinyml-hil") / "firmware"


def copy_of(packed: Path) -> Path:
    """The place of the copy of ``packed`` in the user's cache, named after its content."""
    return cache_folder() / _key(packed)


def lock_of(copy: Path) -> Path:
    """The file that a process locks, shared, as long as it uses ``copy``."""
    return copy.with_suffix(".lock")


@cache
def _unpacked(packed: Path) -> Path:
    """The copy of ``packed`` in the user's cache, which this process keeps from being removed.

    PlatformIO writes below the folder that it builds in, and site-packages may be read-only.
    """
    target = copy_of(packed)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _IN_USE.enter_context(locked(lock_of(target), shared=True))
        if not target.is_dir():
            with locked(target.with_suffix(".new")):
                _copy(packed, target)
    except OSError as problem:
        raise StorageError(
            f"cannot copy the firmware's sources to {target} ({problem.strerror or problem})",
            "free space, or set XDG_CACHE_HOME to a folder that can be written",
        ) from problem
    return target


def _copy(packed: Path, target: Path) -> None:
    if target.is_dir():  # another process has made it meanwhile
        return
    part = target.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    shutil.copytree(packed, part, ignore=shutil.ignore_patterns(*_LEAVE))
    part.rename(target)


def _key(folder: Path) -> str:
    """Hash of the names and contents of all files in ``folder``."""
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            name, content = str(file.relative_to(folder)), file.read_bytes()
            found.update(f"{len(name)} {name} {len(content)} ".encode() + content)
    return found.hexdigest()[:12]
