# SPDX-License-Identifier: Apache-2.0
"""benchmarks/coverage.py: what the page says of three networks whose operators are known."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.scripts import load_script
from tests.support.tflite import Net

pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")
pytest.importorskip("bakenn", reason="the extra bakenn is not installed")

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("coverage")


@pytest.fixture(scope="module")
def said(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The lines of the page."""
    folder = tmp_path_factory.mktemp("networks")
    (folder / "ours").mkdir()
    (folder / "made").mkdir()
    shutil.copy(PROJECT / "models" / "mnist" / "student_int8.tflite", folder / "ours")
    odd = Net().input((1, 4)).op("UNIQUE", (1, 4)).op("RELU", (1, 4)).op("HASHTABLE", (1, 4))
    (folder / "made" / "odd.tflite").write_bytes(odd.finish())
    (folder / "made" / "broken.tflite").write_bytes(b"\0\0\0\0TFL3")
    files = [script.examine(path) for path in sorted(folder.glob("*/*.tflite"))]
    text: str = script.page(files)
    return text.splitlines()


def test_files_are_counted_by_folder(said: list[str]) -> None:
    assert "| made | 2 | 0 | 0 | 0 |" in said
    assert "| ours | 1 | 1 | 1 | 1 |" in said
    assert "| all | 3 | 1 | 1 | 1 |" in said


def test_every_engine_says_each_missing_operator(said: list[str]) -> None:
    for code in ("UNIQUE", "HASHTABLE"):
        assert said.count(f"| does not have {code} | 1 | made/odd |") == 3
    assert "| does not have RELU | 1 | made/odd |" in said  # bakenn
    assert "| a float32 model: the engine bakenn computes in int8 only | 1 | made/odd |" in said


def test_operators_have_types(said: list[str]) -> None:
    assert "| CONV_2D | int8 | 1 | 1 | 1 | 1 |" in said
    assert "| RELU | float32 | 1 | 0 | 0 | 0 |" in said


def test_the_committed_page_has_all_tables(said: list[str]) -> None:
    """The networks are not in this repository, so only its form is checked."""
    committed = (PROJECT / "docs" / "coverage.md").read_text("utf-8").splitlines()
    assert [line for line in committed if line.startswith("#")] == [
        line for line in said if line.startswith("#")
    ]
