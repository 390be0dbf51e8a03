# SPDX-License-Identifier: Apache-2.0
"""hil/cycles/blocks.py: what llvm-objdump of several versions prints, as instructions."""

from __future__ import annotations

import pytest

from hil.cycles.blocks import Instruction, instructions

LLVM_14 = """
00000044 <sums>:
      44: 92 e8 f0 0f  \tldm.w\tr2, {r4, r5, r6, r7}
      48: 99 42        \tcmp\tr1, r3
      4a: fb d1        \tbne\t0x44 <sums>             @ imm = #-10
      4c: 23 f0 07 03  \tbic\tr3, r3, #7
"""
LLVM_19 = """
00000044 <sums>:
      44: e892 0ff0    \tldm.w\tr2, {r4, r5, r6, r7}
      48: 4299         \tcmp\tr1, r3
      4a: d1fb         \tbne\t0x44 <sums>             @ imm = #-0xa
      4c: f023 0307    \tbic\tr3, r3, #0x7
"""


@pytest.mark.parametrize(("listing", "seven"), [(LLVM_14, "#7"), (LLVM_19, "#0x7")])
def test_code_is_read_in_bytes_and_in_halfwords(listing: str, seven: str) -> None:
    assert instructions(listing) == {
        0x44: Instruction(0x44, 4, "ldm.w r2, {r4, r5, r6, r7}"),
        0x48: Instruction(0x48, 2, "cmp r1, r3"),
        0x4A: Instruction(0x4A, 2, "bne 1f"),
        0x4C: Instruction(0x4C, 4, f"bic r3, r3, {seven}"),
    }
