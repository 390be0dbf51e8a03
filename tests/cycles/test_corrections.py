# SPDX-License-Identifier: Apache-2.0
"""hil/cycles/corrections.py: durations that Arm's manual or a measurement gives, and LLVM does not.

The oracle for a Cortex-M4 is table 3-1 and section 3.3.2 of Arm DDI 0439.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hil.cycles.blocks import Block, Instruction
from hil.cycles.corrections import CORTEX_M4, NOTHING, corrected
from hil.cycles.models import CORES, timed
from tests.support.needs import skip_without

_INSTALLED = shutil.which("llvm-mca") or list(Path("/usr/lib").glob("llvm-*/bin/llvm-mca"))
needs_llvm = skip_without([] if _INSTALLED else ["llvm-mca"])


def taken(core: str, *code: str) -> int:
    made = tuple(Instruction(4 * i, 4, text) for i, text in enumerate(code))
    (found,), unknown = timed([Block("f", made, runs=1, taken=0)], CORES[core])
    assert unknown == 0
    return round(found.cycles)


@needs_llvm
@pytest.mark.parametrize(
    ("cycles", "code"),
    [
        (2, ["ldr r0, [r1]"]),
        (3, ["ldr r0, [r1]", "adds r2, r3"]),
        (3, ["ldr r0, [r1]", "adds r2, r0"]),
        (4, ["ldr r0, [r4]", "ldrb r1, [r4, #4]", "ldrsh r2, [r4, #8]"]),  # N loads: N + 1
        (2, ["ldr r0, [r1]", "str r2, [r3]"]),
        (1, ["str r0, [r1]"]),
        (2, ["str r0, [r1, r2]"]),
        (2, ["strb.w r0, [r1, r2, lsl #2]"]),
        (3, ["ldrd r0, r1, [r2]"]),
        (3, ["strd r0, r1, [r2]"]),
        (5, ["ldm.w r4, {r0, r1, r2, r3}"]),
        (5, ["stm.w r4, {r0, r1, r2, r3}"]),
        (6, ["push {r4, r5, r6, r7, lr}"]),
        (6, ["pop {r4, r5, r6, r7, pc}"]),
        (5, ["vldmia r1!, {s0, s1, s2, s3}"]),
        (5, ["vpush {d8-d11}"]),
        (1, ["bl 1f"]),
        (1, ["blx r4"]),
    ],
)
def test_a_cortex_m4_takes_what_its_manual_says(cycles: int, code: list[str]) -> None:
    assert taken("cortex-m4", *code) == cycles


@needs_llvm
def test_a_division_takes_2_to_12_cycles() -> None:
    for core in ("cortex-m3", "cortex-m4", "cortex-m33"):
        for name in ("sdiv", "udiv"):
            assert 2 <= taken(core, f"{name} r0, r1, r2") <= 12


@needs_llvm
def test_a_cortex_m33_loads_in_a_cycle_and_moves_a_register_per_cycle() -> None:
    assert taken("cortex-m33", "ldr r0, [r1]", "add r2, r3") == 2
    assert taken("cortex-m33", "ldm.w r4, {r0, r1, r2, r3}") == 4
    assert taken("cortex-m33", "ldrd r0, r1, [r2]") == 2


@needs_llvm
@pytest.mark.parametrize("core", [name for name, core in CORES.items() if core.since == 14])
def test_a_call_is_not_timed_as_100_cycles(core: str) -> None:
    assert taken(core, "bl 1f") <= 2
    assert taken(core, "adds r0, r1, r2", "blx r4") <= 3


def test_nops_follow_the_instruction_that_takes_longer() -> None:
    code = ["ldr r0, [r1]", "adds r0, r2", "stm r3!, {r0-r2}"]
    assert corrected(code, CORTEX_M4) == [
        *("ldr r0, [r1]", "nop"),
        "adds r0, r2",
        *("stm r3!, {r0-r2}", "nop", "nop", "nop"),
    ]
    assert corrected(code, NOTHING) == code
