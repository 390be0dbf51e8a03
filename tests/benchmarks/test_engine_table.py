# SPDX-License-Identifier: Apache-2.0
"""benchmarks/engines.py: what is measured, what is stored and what cannot be are told apart."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "engines.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script with a store of its own, every tool there, and benches that cost nothing."""
    spec = importlib.util.spec_from_file_location("engine_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "engine_table", module)
    spec.loader.exec_module(module)
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


def test_without_a_tree_stored_figures_are_marked(
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


def test_with_a_tree_figures_are_measured_and_can_be_stored(
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


def test_an_engine_sees_its_own_trees_only(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(script.TREE, "/a/tree")
    monkeypatch.setenv(script.CMSIS_NN, "/another")
    with script.only([script.TREE]):
        assert script.TREE in script.os.environ
        assert script.CMSIS_NN not in script.os.environ
    assert script.os.environ[script.CMSIS_NN] == "/another"
