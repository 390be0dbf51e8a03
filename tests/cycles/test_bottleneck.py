# SPDX-License-Identifier: Apache-2.0
"""hil/cycles/bottleneck.py: blocks that are limited by one thing only."""

from __future__ import annotations

import pytest

from hil.cycles.bottleneck import bottleneck
from hil.cycles.models import CORES, timed
from tests.cycles.test_models import VERSION, block, pytestmark

__all__ = ["pytestmark"]

INDEPENDENT = {
    "issue": ("add.w r0, r1, r2", "add.w r3, r1, r2", "sub.w r4, r1, r2", "and.w r5, r1, r2"),
    "load": ("ldr r0, [r8]", "ldr r1, [r8, #4]", "ldr r2, [r8, #8]", "ldr r3, [r8, #12]"),
    "multiply": ("smlad r0, r8, r9, r0", "smlad r1, r8, r9, r1", "smlad r2, r8, r9, r2"),
    "float": ("vadd.f32 s0, s8, s9", "vmul.f32 s1, s8, s9", "vadd.f32 s2, s8, s9"),
}


def found(core: str, *code: str) -> str:
    one = block(*code)
    ((measured,), _) = timed([one], CORES[core])
    return bottleneck(one, measured, CORES[core])


@pytest.mark.parametrize("core", ["cortex-m7", "cortex-m4"])
@pytest.mark.parametrize("kind", INDEPENDENT)
def test_independent_instructions_are_limited_by_what_runs_them(core: str, kind: str) -> None:
    assert found(core, *INDEPENDENT[kind]) == kind


def test_shifts_share_one_unit_of_a_cortex_m7() -> None:
    assert found("cortex-m7", *["asr.w r0, r8, r9", "asr.w r1, r8, r9"] * 2) == "shift"


def test_a_chain_waits_for_its_own_results() -> None:
    """MLA of a Cortex-M4 takes its sum a cycle late in LLVM's model; on a Cortex-M7 every result of
    a multiplication is there after 2 cycles."""
    assert found("cortex-m7", "mul r0, r0, r8", "mul r0, r0, r9", "mul r0, r0, r8") == "dependency"
    assert found("cortex-m4", *["mla r0, r8, r9, r0"] * 4) == "dependency"


def test_a_load_that_nothing_overlaps_limits_a_cortex_m4() -> None:
    """Arm DDI 0439, section 3.3.2: 2 cycles, unless another load or store follows."""
    assert found("cortex-m4", "ldr r0, [r8]", "add r1, r2, r3") == "load"


def test_what_waits_for_a_loaded_value_waits_for_a_result() -> None:
    """Load-use: the address of each load is the value of the one before."""
    assert found("cortex-m7", *["ldr r0, [r0]"] * 4) == "dependency"


@pytest.mark.skipif(CORES["cortex-m55"].since > VERSION, reason="LLVM has no Cortex-M55")
def test_vectors_have_units_of_their_own() -> None:
    """In LLVM's model every other instruction of a Cortex-M55 takes its only ALU for a cycle."""
    assert found("cortex-m55", *INDEPENDENT["issue"]) == "issue"
    assert found("cortex-m55", "vmlava.s16 r0, q0, q1", "vmlava.s16 r2, q2, q3") == "multiply"
    assert found("cortex-m55", "vldrw.u32 q0, [r0]", "vldrw.u32 q1, [r0, #16]") == "load"
    assert found("cortex-m55", "vadd.i32 q0, q1, q2", "vadd.i32 q3, q1, q2") == "issue"
