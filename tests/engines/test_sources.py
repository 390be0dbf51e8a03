# SPDX-License-Identifier: Apache-2.0
"""Archives of sources, from an HTTP server on this machine into a cache of this test."""

from __future__ import annotations

import io
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from hil.core.errors import StorageError, ToolMissing, UsageError
from hil.core.files import locked
from hil.engines import sources
from hil.engines.sources import Archive
from tests.support.command_line import PROJECT, hil
from tests.support.mirrors import refused_url, serving

FILES = {
    "LICENSE": b"permissive\n",
    "README.md": b"not kept\n",
    "src/a.c": b"int a;\n",
    "src/deep/b.h": b"#pragma once\n",
    "src/../../escape.c": b"not kept either\n",
    "tests/src/c.c": b"not kept\n",
}
KEPT = ("LICENSE", "src/a.c", "src/deep/b.h")


def pack(place: Path, files: dict[str, bytes]) -> None:
    """A .tar.gz as GitHub makes them: one folder, and a header with the commit."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(place, "w:gz", pax_headers={"comment": "c" * 40}) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"name-{'c' * 40}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo(f"name-{'c' * 40}/src/link.c")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """One that ``tmp_path / "www"`` serves, with the digest by sha256sum."""
    for name in KEPT:
        file = tmp_path / "plain" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(FILES[name])
    script = f"sha256sum {' '.join(KEPT)} | sha256sum"
    words = ["sh", "-c", script]
    said = subprocess.run(words, cwd=tmp_path / "plain", check=True, capture_output=True, text=True)
    pack(tmp_path / "www" / "owner" / "name" / "archive" / f"{'c' * 40}.tar.gz", FILES)
    return Archive("owner/name", "c" * 40, 1_234_567, ("LICENSE", "src/"), said.stdout.split()[0])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(sources, "cache", lambda: folder)
    monkeypatch.delenv("HIL_TFLM_DIR", raising=False)
    return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serving(tmp_path / "www") as url:
        monkeypatch.setattr(sources, "HOST", url)
        yield


def left(cache: Path) -> set[str]:
    """What is in the cache, except the locks."""
    return {path.name for path in cache.iterdir() if path.suffix != ".lock"}


@pytest.mark.usefixtures("site")
def test_what_is_kept_is_put_into_the_cache(archive: Archive, cache: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    folder = sources.install(archive, lambda *event: seen.append(event))
    assert folder == cache / "name-ccccccc"
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert files == {name: FILES[name] for name in KEPT}
    assert left(cache) == {"name-ccccccc"}
    assert seen[-1][0] == "name-ccccccc"
    assert seen[-1][1] == seen[-1][2] > 0


@pytest.mark.usefixtures("site")
def test_other_files_are_refused(archive: Archive, cache: Path) -> None:
    other = replace(archive, digest="0" * 64)
    with pytest.raises(ToolMissing, match=r"owner/name ccccccc \(1\.2 MB\): .*files are not those"):
        sources.install(other)
    assert not left(cache)


@pytest.mark.usefixtures("site")
def test_a_page_instead_of_an_archive_is_refused(
    archive: Archive, cache: Path, tmp_path: Path
) -> None:
    (file,) = (tmp_path / "www").rglob("*.tar.gz")
    file.write_bytes(b"<html>sign in to this network first</html>")
    with pytest.raises(ToolMissing, match="not a whole archive"):
        sources.install(archive)
    assert not left(cache)


def test_a_download_that_ends_early_leaves_nothing(
    archive: Archive, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path / "www", cut=20) as url:
        monkeypatch.setattr(sources, "HOST", url)
        with pytest.raises(ToolMissing, match="cannot download owner/name ccccccc"):
            sources.install(archive)
    assert not left(cache)


def test_without_a_network_the_error_says_what_to_set(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "HOST", refused_url())
    with pytest.raises(ToolMissing, match=r"no mirror of .* answers; connect .*HIL_TFLM_DIR"):
        sources.install(archive)


def test_two_processes_download_once(
    archive: Archive, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)
    entered = threading.Event()
    gets: list[str] = []

    def late(file: Path) -> AbstractContextManager[None]:
        if both.wait(60) == 0:
            entered.set()
        return locked(file)

    def asked(path: str) -> None:
        assert entered.wait(60)
        gets.append(path)

    monkeypatch.setattr(sources, "locked", late)
    with serving(tmp_path / "www", asked) as url, ThreadPoolExecutor(2) as pool:
        monkeypatch.setattr(sources, "HOST", url)
        found = [one.result() for one in [pool.submit(sources.install, archive) for _ in "12"]]
    assert found == [cache / "name-ccccccc"] * 2
    assert len(gets) == 1


def test_a_cache_that_cannot_be_written(archive: Archive, cache: Path) -> None:
    cache.write_text("a file, not a folder")
    with pytest.raises(StorageError, match="cache"):
        sources.install(archive)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="choose from tflm, cmsis-nn, esp-nn"):
        sources.missing("tensorflow")


def test_a_build_gets_the_folders_that_are_there(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sources.environment("tflm") == {}
    for archive in (sources.TFLM, sources.ESP_NN):
        sources.place(archive).mkdir(parents=True)
    assert sources.environment("aot") == {}
    assert sources.environment("tflm") == {
        "HIL_TFLM_DIR": str(cache / "esp-tflite-micro-99f49e1"),
        "HIL_TFLM_ESP": str(cache / "esp-nn-d45b843"),
    }
    monkeypatch.setenv("HIL_TFLM_DIR", "/my/tree")
    assert sources.environment("tflm") == {}


@pytest.mark.usefixtures("site")
def test_doctor_says_what_it_downloads_and_finds_it_later(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sources, "NEEDED", {"tflm": (archive,), "esp-nn": (archive,)})
    words = ["doctor", "--board", "native"]
    hil(monkeypatch, *words, "--engine", "tflm")
    shown = capsys.readouterr().out
    assert "missing sources of tflm: no owner/name\n" in shown
    assert "without sources of esp-nn: no owner/name\n" in shown
    assert "-> hil doctor --install --engine tflm" in shown
    hil(monkeypatch, *words, "--install", "--engine", "tflm", "--engine", "esp-nn")
    shown = capsys.readouterr().out
    assert shown.count("downloading owner/name ccccccc (1.2 MB) from GitHub into ") == 1
    assert "ok      sources of tflm: in " in shown
    hil(monkeypatch, *words, "--install", "--engine", "tflm")
    assert "downloading" not in capsys.readouterr().out


def test_doctor_requires_the_sources_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hil(monkeypatch, "doctor", "--board", "native", "--engine", "tflm") == 2
    assert hil(monkeypatch, "doctor", "--board", "native", "--engine", "of-somebody") == 2


def test_the_archives_are_those_that_platformio_gets() -> None:
    text = (PROJECT / "firmware" / "engines" / "tflm.ini").read_text()
    assert f"https://github.com/{sources.TFLM.repository}.git#{sources.TFLM.commit}\n" in text
