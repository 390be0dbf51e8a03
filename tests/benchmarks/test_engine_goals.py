# SPDX-License-Identifier: Apache-2.0
"""benchmarks/engine.py: the committed networks stay within the goals that it prints."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hil.engines.aot.engine import arena_bytes, layers_of
from hil.runs.agreement import NEAR_TOLERANCE
from hil.tflite import read_model
from tests.support.needs import skip_without
from tests.support.scripts import load_script

TOOLS = ("arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm")
goals = load_script("engine")
ON_MPS2 = [goal for goal in goals.GOALS if goal.board == "mps2"]


@pytest.mark.firmware
@skip_without(tool for tool in TOOLS if not shutil.which(tool))
@pytest.mark.parametrize("goal", ON_MPS2, ids=lambda goal: f"{goal.engine}-{goal.network}")
def test_a_network_stays_within_its_goal(goal: object, tmp_path: Path) -> None:
    assert isinstance(goal, goals.Goal)
    graph = read_model(goals.MODELS / f"{goal.network}.tflite")
    fused = goal.engine == "aot-fast"
    counts = goals.layer_counts(graph, fused=fused, folder=tmp_path)
    assert len(counts) == len(layers_of(graph))
    assert sum(counts) <= goal.stretch
    assert arena_bytes(graph) <= goal.arena
    over = goals.flash_over_weights(graph, fused=fused, folder=tmp_path)
    assert 0 < over <= goals.FLASH


def test_there_is_a_goal_for_each_network_and_engine() -> None:
    assert len(ON_MPS2) == 6
    assert all(goal.stretch < goal.wanted for goal in ON_MPS2)


@pytest.mark.firmware
@skip_without(tool for tool in TOOLS if not shutil.which(tool))
def test_the_fast_engine_is_close_in_float32_and_exact_in_int8() -> None:
    found = goals.measure("mps2", ("aot-fast",), "digits", 3)
    assert len(found) == 4
    for name, it in found.items():
        if name.endswith("int8"):
            assert it.differing == 0
        else:
            assert 0 < it.off <= NEAR_TOLERANCE
