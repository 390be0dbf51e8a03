# SPDX-License-Identifier: Apache-2.0
"""File names that are not UTF-8, which Linux allows: no command ends in a traceback, and what it
stores is valid JSON."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from hil.core.text import storable
from hil.firmware.build import _image_name, _Special
from hil.testing.lab import FakeLab
from tests.support.command_line import STUDENT, hil

NAME = os.fsdecode(b"caf\xe9")  # Latin-1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and data, all three with that name; nothing is built."""
    made = tmp_path / NAME
    made.mkdir()
    shutil.copy(STUDENT, made / f"{NAME}.tflite")
    x = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8)
    np.savez(made / f"{NAME}.npz", x=x, y=np.array([0, 1, 2]))
    monkeypatch.setattr("hil.api.bench.RealLab", lambda *_: FakeLab())
    return made


def test_every_command_takes_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = folder / "run"
    words = ("bench", "--board", "mps2", "--model", f"{NAME}.tflite", "--data", f"{NAME}.npz")
    more = ("--host-samples", "1", "--no-open", "--out", run)
    code = hil(monkeypatch, *words, *more, folder=folder)
    assert code == 0, capsys.readouterr().err
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    assert manifest["dataset"]["name"] == "caf?"
    assert manifest["runs"][0]["model_file"] == "caf?.tflite"
    assert "caf?.npz" in manifest["command"]
    for file in ("report.md", "report.html", "summary.json", "samples.jsonl"):
        (run / file).read_text("utf-8")
    for command in (
        ("report", run),
        ("verify", run),
        ("compare", run, run, "--format", "json"),
        ("history", folder),
        ("export", f"{NAME}.tflite", "--out", folder / "export"),
    ):
        capsys.readouterr()
        assert hil(monkeypatch, *command, folder=folder) == 0, command
        assert "Traceback" not in capsys.readouterr().err
    for command in (("report", run), ("verify", run), ("history", folder)):
        capsys.readouterr()
        assert hil(monkeypatch, *command, "--json", folder=folder) == 0, command
        assert "caf?" in str(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize(
    "words",
    [
        ("bench", "--model", f"no{NAME}.tflite", "--data", f"{NAME}.npz"),
        ("bench", "--model", f"{NAME}.tflite", "--data", f"no{NAME}.npz"),
        ("bench", "--board", NAME),
        ("bench", "--dataset", NAME),
        ("bench", "--model", NAME),
        ("report", f"no{NAME}"),
        ("compare", f"no{NAME}", f"no{NAME}"),
        ("history", f"no{NAME}"),
        ("flash", "--board", "mps2", "--model", f"no{NAME}.tflite"),
        ("emulate", "mps2", "--firmware", f"no{NAME}"),
        ("listen", "--port", f"no{NAME}", "--pattern", "edge-impulse"),
        ("mlperf", "--board", "native", "--data", f"no{NAME}"),
        ("export", f"no{NAME}.tflite"),
    ],
)
def test_errors_about_them_are_one_line(
    folder: Path,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert hil(monkeypatch, *words, folder=folder) == 2
    said = capsys.readouterr().err
    assert "caf?" in said or repr(NAME)[1:-1] in said
    assert len([line for line in said.splitlines() if line.startswith("error: ")]) == 1


def test_images_of_such_names_get_a_build_folder_each(tmp_path: Path) -> None:
    """The bytes of a name count: in Latin-1 "é" and "è" are two files."""
    files = [tmp_path / os.fsdecode(name) for name in (b"\xe9.tflite", b"\xe8.tflite")]
    plain = _Special(layers=False, sketch=None, fault="", slot="")
    names = {_image_name("mps2", [("net", file)], "aot", plain) for file in files}
    assert len(names) == 2


def test_storable_text_is_what_utf_8_can_hold() -> None:
    assert storable(os.fsdecode(b"a\xe9\xffb")) == "a??b"
    assert storable("é\n日本") == "é\n日本"
