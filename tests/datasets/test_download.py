# SPDX-License-Identifier: Apache-2.0
"""Downloads from an HTTP server on this machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from hil import datasets
from hil.core.errors import DataError
from hil.datasets import download, mnist
from tests.support import idx_files

pytestmark = pytest.mark.usefixtures("cache")


def test_missing_files_are_downloaded_once_with_progress(
    cache: Path, mirror: tuple[Path, str], refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = mirror
    idx_files.write(folder)
    monkeypatch.setattr(mnist, "MIRRORS", (refused, url))
    seen: list[tuple[str, int, int]] = []

    dataset = datasets.load("mnist", "test", progress=lambda *event: seen.append(event))

    assert dataset.x.tobytes() == idx_files.contents("test")["t10k-images-idx3-ubyte"][16:]
    size = (folder / "t10k-images-idx3-ubyte.gz").stat().st_size
    assert ("t10k-images-idx3-ubyte.gz", size, size) in seen
    assert {p.name for p in cache.iterdir()} == {p.name for p in folder.iterdir()}
    monkeypatch.setattr(mnist, "MIRRORS", ())
    assert datasets.load("mnist", "test").fingerprint == dataset.fingerprint


def test_a_mirror_with_a_wrong_file_is_skipped(
    mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = mirror
    idx_files.write(folder)
    for path in idx_files.write(folder / "foreign").values():
        path.write_bytes(b"sign in to this network first")
    monkeypatch.setattr(mnist, "MIRRORS", (f"{url}foreign/", url))
    # whichever answers first, the right one must win
    monkeypatch.setattr(download, "answering", lambda mirrors, _: mirrors)
    assert len(datasets.load("mnist", "test")) == 30


def test_a_wrong_download_leaves_no_file(
    cache: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = mirror
    for path in idx_files.write(folder).values():
        path.write_bytes(b"sign in to this network first")
    monkeypatch.setattr(mnist, "MIRRORS", (url,))
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.gz could not be downloaded"):
        datasets.load("mnist", "test")
    assert list(cache.iterdir()) == []


def test_a_cache_folder_that_cannot_be_created(
    cache: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = mirror
    idx_files.write(folder)
    cache.write_text("a file, not a folder")
    monkeypatch.setattr(mnist, "MIRRORS", (url,))
    with pytest.raises(DataError, match="could not be downloaded"):
        datasets.load("mnist", "test")


def test_a_download_that_is_too_slow_is_ended(
    mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = mirror
    idx_files.write(folder)
    monkeypatch.setattr(mnist, "MIRRORS", (url,))
    monkeypatch.setattr(download, "TOTAL_S", -1.0)
    with pytest.raises(DataError, match="not finished within"):
        datasets.load("mnist", "test")


@pytest.mark.timeout(300)
def test_a_mirror_that_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(download, "CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert download.answering((url,), "file") == ()
