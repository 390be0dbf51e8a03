# SPDX-License-Identifier: Apache-2.0
"""benchmarks/engines.py: measured and stored figures, and those of engines that do not fit."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.scripts import load_script


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script with its own copy of the store, all tools installed, and a fake bench."""
    module = load_script("engines")
    copy = tmp_path / "tflm.toml"
    copy.write_bytes(module.STORE.read_bytes())
    monkeypatch.setattr(module, "STORE", copy)
    monkeypatch.setattr(module, "missing_tools", lambda _: [])
    made = {"student int8": module.Figures(12_345, 16, 4096, 0, 200)}
    monkeypatch.setattr(module, "measure", lambda *_: made)
    monkeypatch.setattr(module.datasets, "choose", lambda _: ("digits", ""))
    for variable in (module.TREE, module.CMSIS_NN):
        monkeypatch.delenv(variable, raising=False)
    return module


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["engines.py", *words])
    script.main()


def test_stored_figures_are_marked_without_a_tree(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(script, monkeypatch)
    said = capsys.readouterr().out.splitlines()
    rows = [line for line in said if line.startswith("| mps2 ")]
    assert "| mps2 | student int8 | aot | 12,345 | 16 | 4,096 | 0 of 200 |" in rows
    stored = [row for row in rows if "| tflm" in row]
    assert len(stored) >= 4
    assert all(row.endswith(" * |") for row in stored)
    assert "tflm on mps2: stored in tflm.toml (*); missing here: HIL_TFLM_DIR" in said
    assert "| mega2560 | all | tflm | does not fit |  |  |  |" in said


def test_figures_are_measured_and_stored_with_a_tree(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(script.TREE, "/a/tree")
    before = script.stored()
    run(script, monkeypatch, "--store")
    assert "| mps2 | student int8 | tflm | 12,345 | 16 | 4,096 | 0 of 200 |" in (
        capsys.readouterr().out
    )
    after = script.stored()
    assert after["mps2"]["tflm"] == {"student int8": script.Figures(12_345, 16, 4096, 0, 200)}
    assert after["mps2"]["tflm+CMSIS-NN"] == before["mps2"]["tflm+CMSIS-NN"]  # not measured now
    assert "aot" not in after["mps2"]


def test_an_engine_sees_only_its_own_trees(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(script.TREE, "/a/tree")
    monkeypatch.setenv(script.CMSIS_NN, "/another")
    with script.only([script.TREE]):
        assert script.TREE in script.os.environ
        assert script.CMSIS_NN not in script.os.environ
    assert script.os.environ[script.CMSIS_NN] == "/another"
