# SPDX-License-Identifier: Apache-2.0
"""The user's folder, and the firmware's sources with and without a checkout."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.core.errors import ConfigError, StorageError
from hil.firmware import cache_folder, find_project, firmware_tree, project

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package folder of an installed wheel with a few files of firmware."""
    package = tmp_path / "site-packages" / "hil"
    scripts = package / "tree" / "firmware" / "scripts"
    scripts.mkdir(parents=True)
    (package / "tree" / "platformio.ini").write_text("[env]\n")
    (scripts / "image.py").write_text("pass\n")
    (scripts / "__pycache__").mkdir()
    (scripts / "__pycache__" / "image.pyc").write_bytes(b"0")
    monkeypatch.setattr("importlib.resources.files", lambda _: package)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project._unpacked.cache_clear()
    yield package
    project._unpacked.cache_clear()


def test_the_project_is_the_checkout_that_contains_a_folder() -> None:
    assert find_project(CHECKOUT / "firmware" / "src") == CHECKOUT
    assert firmware_tree(CHECKOUT) == CHECKOUT


def test_the_project_is_the_nearest_folder_with_settings(tmp_path: Path) -> None:
    (tmp_path / "hil.toml").touch()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find_project(inner) == tmp_path


def test_without_settings_the_project_is_the_folder_itself(tmp_path: Path) -> None:
    assert find_project(tmp_path) == tmp_path


def test_an_editable_installation_builds_in_its_checkout(tmp_path: Path) -> None:
    assert firmware_tree(tmp_path) == CHECKOUT


@pytest.mark.usefixtures("installed")
def test_an_installed_package_builds_in_a_copy(tmp_path: Path) -> None:
    tree = firmware_tree(tmp_path)
    assert tree.parent == cache_folder()
    files = {str(f.relative_to(tree)) for f in tree.rglob("*") if f.is_file()}
    assert files == {"platformio.ini", "firmware/scripts/image.py"}
    (tree / "kept").touch()  # such as a build
    project._unpacked.cache_clear()
    assert firmware_tree(tmp_path) == tree
    assert (tree / "kept").exists()


def test_another_version_gets_a_copy_of_its_own(installed: Path, tmp_path: Path) -> None:
    first = firmware_tree(tmp_path)
    (installed / "tree" / "platformio.ini").write_text("[env]\nother = 1\n")
    project._unpacked.cache_clear()
    assert firmware_tree(tmp_path) != first


@pytest.mark.usefixtures("installed")
def test_a_copy_that_was_interrupted_is_made_again(tmp_path: Path) -> None:
    tree = firmware_tree(tmp_path)
    tree.rename(tree.with_suffix(".part"))
    (tree.with_suffix(".part") / "platformio.ini").write_text("half")
    project._unpacked.cache_clear()
    assert (firmware_tree(tmp_path) / "platformio.ini").read_text() == "[env]\n"


def test_an_installation_without_firmware_is_named(installed: Path, tmp_path: Path) -> None:
    shutil.rmtree(installed / "tree")
    with pytest.raises(ConfigError, match="has no firmware"):
        firmware_tree(tmp_path)


@pytest.mark.usefixtures("installed")
def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(StorageError):
        firmware_tree(tmp_path)
