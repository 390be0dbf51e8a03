# SPDX-License-Identifier: Apache-2.0
"""Data sets by name, and what `auto` chooses."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil import datasets
from hil.core.errors import DataError, UsageError
from hil.datasets import mnist
from tests.support import idx_files

pytestmark = pytest.mark.usefixtures("cache")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="no split is called 'validation'"):
        datasets.load("digits", "validation")
    with pytest.raises(UsageError, match="called 'cifar'; did you mean cifar10[?] choose"):
        datasets.load("cifar")
    with pytest.raises(UsageError, match="called 'cifar'; did you mean cifar10[?] choose"):
        datasets.choose("cifar")


def test_auto_is_mnist_if_a_mirror_has_it(
    mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = mirror
    idx_files.write(folder)
    monkeypatch.setattr(mnist, "MIRRORS", (url,))
    assert datasets.choose("auto") == ("mnist", "")


def test_auto_is_digits_without_mnist_and_the_note_says_so(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", (refused,))
    name, note = datasets.choose("auto")
    assert name == "digits"
    assert "MNIST is not available" in note
    assert "digits are used instead" in note


def test_auto_is_mnist_if_it_is_on_this_machine(cache: Path) -> None:
    idx_files.write(cache)
    assert datasets.choose("auto") == ("mnist", "")


def test_auto_does_not_substitute_wrong_files(cache: Path) -> None:
    idx_files.write(cache)["labels"].write_bytes(b"not labels")
    name, note = datasets.choose("auto")
    assert (name, note) == ("mnist", "")
    with pytest.raises(DataError, match="t10k-labels"):
        datasets.load(name)


@pytest.mark.parametrize("name", ["mnist", "digits"])
def test_a_name_is_not_substituted(name: str) -> None:
    assert datasets.choose(name) == (name, "")
