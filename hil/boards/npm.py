# SPDX-License-Identifier: Apache-2.0
"""Emulators that are npm packages: a pinned version in the user's cache, installed by npm itself.

npm compares the package with the board file's hash, runs none of its scripts, and asks the
registry that the user's `.npmrc` names.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import platformdirs

from hil.core.errors import StorageError, ToolMissing
from hil.core.files import Config, locked

_INSTALL: Final = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
_LIMIT_S: Final = 300.0


class NpmPackage(Config, frozen=True):
    """One version of a package without dependencies. ``integrity``: as in npm's lock files."""

    name: str
    version: str
    integrity: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(@[a-z0-9-][a-z0-9._-]*/)?[a-z0-9-][a-z0-9._-]*", self.name):
            raise ValueError(f"emulator.npm.name: {self.name!r} is not the name of a package")
        if not re.fullmatch(r"\d+\.\d+\.\d+[a-z0-9.-]*", self.version):
            raise ValueError(f"emulator.npm.version: {self.version!r} is not one version")
        if not re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", self.integrity):
            raise ValueError("emulator.npm.integrity is not `sha512-` and 88 characters of base64")

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def folder(self) -> Path:
        """Where it is, or would be."""
        return _tree(self) / "node_modules" / self.name

    @property
    def installed(self) -> bool:
        """Whether it is there; `install` puts it there as a whole."""
        return self.folder.is_dir()


def _tree(package: NpmPackage) -> Path:
    name = package.name.replace("/", "+")
    return platformdirs.user_cache_path("tinyml-hil") / "npm" / f"{name}-{package.version}"


def install(package: NpmPackage) -> Path:
    """Put ``package`` into the cache, unless it is there, and return its folder.

    Raises:
        ToolMissing: npm is not installed, cannot download the package, or it has another hash.
        StorageError: the cache cannot be written.
    """
    npm = shutil.which("npm")
    tree = _tree(package)
    try:
        with locked(tree.with_name(f"{tree.name}.lock")):
            if package.installed:
                return package.folder
            if not npm:
                raise ToolMissing(
                    f"npm is not installed, and {package} comes from it",
                    "sudo apt-get install npm",
                )
            with tempfile.TemporaryDirectory(dir=tree.parent, prefix=f".{tree.name}.") as folder:
                made = Path(folder) / "tree"
                made.mkdir()
                _run(npm, package, made)
                made.replace(tree)
    except OSError as problem:
        raise StorageError(
            f"cannot write {tree} ({problem.strerror or problem})",
            "free space, or set XDG_CACHE_HOME to a folder that can be written",
        ) from problem
    return package.folder


def _run(npm: str, package: NpmPackage, folder: Path) -> None:
    """`npm ci` in ``folder``, from a lock file with the version and the hash."""
    wanted = {package.name: package.version}
    described = {"name": "tinyml-hil-cache", "version": "1.0.0", "dependencies": wanted}
    locked_packages = {
        "": described,
        f"node_modules/{package.name}": {
            "version": package.version,
            "integrity": package.integrity,
        },
    }
    lock = {**described, "lockfileVersion": 3, "packages": locked_packages}
    (folder / "package.json").write_text(json.dumps({**described, "private": True}))
    (folder / "package-lock.json").write_text(json.dumps(lock))
    try:
        done = subprocess.run(
            [npm, *_INSTALL],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed(package, f"npm took over {_LIMIT_S:.0f} s") from None
    if done.returncode or not (folder / "node_modules" / package.name).is_dir():
        said = [line for line in done.stdout.splitlines() if line.strip()]
        first = said[:2] or ["nothing"]
        raise _failed(package, f"npm reports: {'; '.join(first)}")


def _failed(package: NpmPackage, how: str) -> ToolMissing:
    return ToolMissing(
        f"cannot install {package}: {how}",
        "connect this machine to npm's registry, or name a mirror in ~/.npmrc",
    )
