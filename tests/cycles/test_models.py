# SPDX-License-Identifier: Apache-2.0
"""hil/cycles/models.py: cycles of blocks whose timing Arm's manuals give."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import hil.cycles.models
from hil.core.errors import UsageError
from hil.cycles.blocks import Block, Instruction, llvm_major
from hil.cycles.models import CORES, ModelFailed, core_of, timed
from tests.support.needs import skip_without

_INSTALLED = shutil.which("llvm-mca") or list(Path("/usr/lib").glob("llvm-*/bin/llvm-mca"))
VERSION = llvm_major() if _INSTALLED else 0
pytestmark = skip_without([] if _INSTALLED else ["llvm-mca"])


def block(*code: str) -> Block:
    made = tuple(Instruction(4 * i, 4, text) for i, text in enumerate(code))
    return Block("f", made, runs=1, taken=0)


def each(core: str, *found: Block) -> list[float]:
    made, unknown = timed(found, CORES[core])
    assert unknown == 0
    return [round(one.cycles) for one in made]


def test_a_cortex_m4_issues_one_instruction_per_cycle() -> None:
    """Cortex-M4 Technical Reference Manual, table 3-1: ADD, SMLAD and MOV take one cycle."""
    adds = block(*["add r0, r1, r2"] * 6)
    sums = block(*["smlad r0, r1, r2, r0"] * 3, "mov r3, r4")
    assert each("cortex-m4", adds, sums) == [6, 4]


def test_a_cortex_m7_issues_two() -> None:
    adds = block("add.w r0, r1, r2", "add.w r3, r1, r2", "add.w r4, r1, r2", "add.w r5, r1, r2")
    assert each("cortex-m7", adds) == [2]


def test_conditional_instructions_are_timed_as_if_their_condition_were_met() -> None:
    plain = block("nop", "mov r0, r1", "add r2, r3, r4")
    conditional = block("ite lt", "movlt r0, r1", "addge r2, r3, r4")
    assert each("cortex-m4", plain, conditional) == [3, 3]


def test_a_branch_to_any_place_is_timed() -> None:
    assert each("cortex-m4", block("subs r0, #1", "bne 1f"), block("cbz r0, 1f")) == [2, 1]


def test_an_instruction_that_the_model_does_not_know_is_counted() -> None:
    (found,), unknown = timed([block("add r0, r1, r2", "vmull.p8 q0, d2, d4")], CORES["cortex-m4"])
    assert (round(found.cycles), unknown) == (2, 1)


def test_a_version_of_llvm_without_the_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hil.cycles.models, "llvm_version", lambda: "14.0.6")
    monkeypatch.setattr(hil.cycles.models, "llvm_major", lambda: 14)
    with pytest.raises(ModelFailed, match="LLVM 14.0.6 has no model of cortex-m55"):
        timed([block("nop")], CORES["cortex-m55"])


@pytest.mark.parametrize("name", [n for n, core in CORES.items() if core.since <= VERSION])
def test_every_core_times_code_and_states_what_it_assumes(name: str) -> None:
    assert each(name, block("mul r0, r1, r2", "ldr r3, [r4]"))[0] >= 1
    assert len(core_of(name).assumptions) >= 3


def test_an_unknown_core_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="cortex-m6"):
        core_of("cortex-m6")
