# SPDX-License-Identifier: Apache-2.0
"""Emulators that are npm packages: pinned, compared with a hash, installed as a whole."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from hil.boards.npm import NpmPackage, install
from hil.core.errors import ToolMissing

HASH = "sha512-" + "A" * 86 + "=="
PACKAGE = NpmPackage(name="emulates", version="1.2.3", integrity=HASH)


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, beside an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def npm(folder: Path, body: str) -> None:
    """A program `npm` with the shell commands ``body``; no other program is on PATH."""
    (folder / "npm").write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n")
    (folder / "npm").chmod(0o755)


def test_npm_gets_the_version_and_the_hash_and_runs_no_script(bin_folder: Path) -> None:
    npm(bin_folder, 'mkdir -p node_modules/emulates; echo "$@" > node_modules/emulates/said')
    before = PACKAGE.installed
    folder = install(PACKAGE)
    assert (before, PACKAGE.installed) == (False, True)
    assert folder == PACKAGE.folder
    words = (folder / "said").read_text().split()
    assert words[0] == "ci"  # it fails if the lock file and the package are not the same
    assert "--ignore-scripts" in words
    lock = json.loads((folder.parents[1] / "package-lock.json").read_text())
    entry = lock["packages"]["node_modules/emulates"]
    assert entry == {"version": "1.2.3", "integrity": HASH}
    assert lock["packages"][""]["dependencies"] == {"emulates": "1.2.3"}


def test_an_installed_package_is_not_installed_again(bin_folder: Path) -> None:
    npm(bin_folder, "mkdir -p node_modules/emulates")
    install(PACKAGE)
    npm(bin_folder, "exit 1")
    assert install(PACKAGE) == PACKAGE.folder


def test_nothing_is_left_of_a_package_that_could_not_be_installed(bin_folder: Path) -> None:
    npm(bin_folder, "mkdir -p node_modules/emulates; echo npm error code EINTEGRITY; exit 1")
    with pytest.raises(ToolMissing, match=r"emulates 1\.2\.3: npm reports: .*EINTEGRITY") as error:
        install(PACKAGE)
    assert ".npmrc" in error.value.hint
    assert not PACKAGE.installed
    left = list(PACKAGE.folder.parents[2].iterdir())
    assert [path.suffix for path in left] == [".lock"]


def test_npm_that_installs_something_else_is_an_error(bin_folder: Path) -> None:
    npm(bin_folder, "mkdir -p node_modules/other")
    with pytest.raises(ToolMissing, match="npm reports: nothing"):
        install(PACKAGE)


@pytest.mark.usefixtures("bin_folder")
def test_without_npm_the_error_says_how_to_get_it() -> None:
    with pytest.raises(ToolMissing, match="npm is not installed") as error:
        install(PACKAGE)
    assert error.value.hint == "sudo apt-get install npm"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "../escape"),
        ("name", "Upper"),
        ("name", ""),
        ("version", "^1.2.3"),
        ("version", "latest"),
        ("integrity", "sha1-abc"),
        ("integrity", HASH[:-1]),
    ],
)
def test_a_package_is_one_version_with_a_hash(key: str, value: str) -> None:
    table = {"name": "emulates", "version": "1.2.3", "integrity": HASH, key: value}
    with pytest.raises(msgspec.ValidationError, match=rf"emulator\.npm\.{key}"):
        msgspec.convert(table, NpmPackage)


def test_scoped_packages_have_a_folder_of_their_own() -> None:
    package = NpmPackage(name="@some/emulator", version="2.0.0", integrity=HASH)
    assert package.folder.parts[-4:] == (
        "@some+emulator-2.0.0",
        "node_modules",
        "@some",
        "emulator",
    )
