# SPDX-License-Identifier: Apache-2.0
"""hil/cycles/estimate.py: an estimate covers every instruction that ran, or there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

import hil.cycles.estimate
from hil.cycles.blocks import Block, Instruction
from hil.cycles.counting import Window
from hil.cycles.estimate import estimate
from hil.cycles.models import CORES, ModelFailed, Timed, jumps_of

BLOCK = Block("f", (Instruction(0, 2, "nop"), Instruction(2, 2, "nop")), runs=3, taken=1)


def test_code_that_the_image_does_not_have_makes_no_estimate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hil.cycles.estimate, "blocks", lambda *_: (BLOCK,))
    with pytest.raises(ModelFailed, match=r"shows 6 of the 8 instructions"):
        estimate(Path("firmware.elf"), Window({0: 3, 2: 3, 64: 2}, {}), CORES["cortex-m4"])


def test_a_taken_jump_costs_what_the_core_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hil.cycles.estimate, "blocks", lambda *_: (BLOCK,))
    monkeypatch.setattr(hil.cycles.estimate, "timed", lambda *_: ((Timed(2.0, 1, ()),), 0))
    window = Window({0: 3, 2: 3}, {})
    found = estimate(Path("firmware.elf"), window, CORES["cortex-m4"])
    assert (found.instructions, found.cycles.count) == (6, 2 * 3 + 1)
    assert estimate(Path("firmware.elf"), window, CORES["cortex-m7"]).cycles.count == 6


def test_the_jump_of_a_low_overhead_loop_costs_nothing() -> None:
    loop, other = (Block("f", (Instruction(0, 4, text),), 9, 8) for text in ("le lr, 1f", "b 1f"))
    assert (jumps_of(loop, CORES["cortex-m55"]), jumps_of(other, CORES["cortex-m55"])) == (0, 8)
