# SPDX-License-Identifier: Apache-2.0
"""Downloads against a small HTTP server of our own on a port the system picks."""

from __future__ import annotations

import functools
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil import datasets
from hil.core.errors import DataError
from hil.datasets import download, mnist
from tests.support import idx_files

pytestmark = pytest.mark.usefixtures("cache")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the URL that serves it."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def refused() -> str:
    """A URL at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


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


def test_a_mirror_with_a_foreign_file_is_passed_over(
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


def test_nothing_is_left_of_a_foreign_download(
    cache: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = mirror
    for path in idx_files.write(folder).values():
        path.write_bytes(b"sign in to this network first")
    monkeypatch.setattr(mnist, "MIRRORS", (url,))
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.gz could not be downloaded"):
        datasets.load("mnist", "test")
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_made(
    cache: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = mirror
    idx_files.write(folder)
    cache.write_text("a file, not a folder")
    monkeypatch.setattr(mnist, "MIRRORS", (url,))
    with pytest.raises(DataError, match="could not be downloaded"):
        datasets.load("mnist", "test")


def test_a_trickle_is_ended(mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, url = mirror
    idx_files.write(folder)
    monkeypatch.setattr(mnist, "MIRRORS", (url,))
    monkeypatch.setattr(download, "TOTAL_S", -1.0)
    with pytest.raises(DataError, match="not finished within"):
        datasets.load("mnist", "test")


@pytest.mark.timeout(300)
def test_a_mirror_that_accepts_and_says_nothing_does_not_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(download, "CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert download.answering((url,), "file") == ()


def test_auto_takes_mnist_when_a_mirror_has_it(
    mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = mirror
    idx_files.write(folder)
    monkeypatch.setattr(mnist, "MIRRORS", (url,))
    assert datasets.choose("auto") == ("mnist", "")


def test_auto_without_mnist_takes_digits_and_says_so(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", (refused,))
    name, note = datasets.choose("auto")
    assert name == "digits"
    assert "MNIST is not here" in note
    assert "digits were used instead" in note


def test_auto_with_mnist_here(cache: Path) -> None:
    idx_files.write(cache)
    assert datasets.choose("auto") == ("mnist", "")


def test_auto_refuses_wrong_files_instead_of_hiding_them(cache: Path) -> None:
    idx_files.write(cache)["labels"].write_bytes(b"not labels")
    with pytest.raises(DataError, match="t10k-labels"):
        datasets.choose("auto")


@pytest.mark.parametrize("name", ["mnist", "digits"])
def test_a_name_is_taken_at_its_word(name: str) -> None:
    assert datasets.choose(name) == (name, "")
