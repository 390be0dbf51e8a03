# SPDX-License-Identifier: Apache-2.0
"""`hil clean`: what is removed from the cache, and what is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from hil.boards.emulator import Detached, _started, runs_in
from hil.cli.main import main
from hil.core.files import locked
from hil.firmware import cache_folder, project
from hil.firmware.clean import clean
from hil.firmware.project import copy_of, lock_of


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package's firmware, and a cache with copies of it and of another version."""
    package = tmp_path / "site-packages" / "hil"
    (package / "tree" / "firmware" / "scripts").mkdir(parents=True)
    (package / "tree" / "platformio.ini").write_text("[env]\n")
    monkeypatch.setattr("importlib.resources.files", lambda _: package)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for copy in (copy_of(package / "tree"), cache_folder() / "0123456789ab"):
        images = copy / ".pio" / "images"
        images.mkdir(parents=True)
        (copy / "platformio.ini").write_bytes(b"0" * 10)
        (images / "program").write_bytes(b"0" * 100)
        lock_of(copy).touch()
    answers = cache_folder().parent / "reference"
    answers.mkdir()
    (answers / "a.outputs").write_bytes(b"0" * 1000)
    return package / "tree"


def left() -> set[str]:
    root = cache_folder().parent
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_builds_and_other_versions_are_removed(packed: Path) -> None:
    mine = copy_of(packed)
    cleaned = {one.path: one.size for one in clean()}
    assert cleaned == {mine / ".pio" / "images": 100, cache_folder() / "0123456789ab": 110}
    locks = {"firmware/0123456789ab.lock", f"firmware/{mine.name}.lock"}
    assert left() == {f"firmware/{mine.name}/platformio.ini", "reference/a.outputs", *locks}
    assert list(clean()) == []


def test_all_removes_everything_but_locks(packed: Path) -> None:
    assert sum(one.size for one in clean(everything=True)) == 110 + 110 + 1000
    names = (copy_of(packed).name, "0123456789ab")
    assert left() == {f"firmware/{name}.lock" for name in names}


def test_a_copy_that_another_process_uses_is_left(packed: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from hil.core.files import locked\n"
        "with locked(Path(sys.argv[1]), shared=True):\n"
        "    print('locked', flush=True)\n"
        "    sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(lock_of(copy_of(packed)))]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as user:
        assert user.stdout
        assert user.stdout.readline() == "locked\n"
        reasons = {one.path.parent.parent.name or "": one.left for one in clean()}
        assert reasons[copy_of(packed).name] == "another process uses it"
        assert (copy_of(packed) / ".pio" / "images" / "program").exists()
        user.communicate("")
    assert any(one.path == copy_of(packed) / ".pio" / "images" for one in clean())


def test_two_processes_share_a_copy(packed: Path) -> None:
    with locked(lock_of(copy_of(packed)), shared=True):
        project._unpacked.cache_clear()
        assert project._unpacked(packed) == copy_of(packed)
        project._unpacked.cache_clear()
    project._IN_USE.close()


def test_an_emulator_that_was_left_running_keeps_its_firmware(packed: Path) -> None:
    copy = copy_of(packed)
    (copy / ".pio" / "hil").mkdir()
    me = Detached(pid=os.getpid(), port="p", firmware="f", started=_started(os.getpid()))
    (copy / ".pio" / "hil" / "mps2.json").write_bytes(msgspec.json.encode(me))
    found = {one.path: one.left for one in clean(everything=True, running=runs_in)}
    assert found[copy] == "an emulator runs in it"
    assert (copy / ".pio" / "images" / "program").exists()


@pytest.mark.usefixtures("packed")
def test_the_command_says_how_much_it_removed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["hil", "clean", "--all"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "reference: 1,000 bytes" in said
    assert said.endswith("\n1,220 bytes removed\n")
