# SPDX-License-Identifier: Apache-2.0
"""What LLVM's models of Arm cores leave out, written as NOPs that take its time.

A scheduler needs to know what an instruction delays, not what it takes, so the models give a load
multiple, a division and a call one number each, which is wrong as a duration. The figures below are
those of Arm's Cortex-M4 Technical Reference Manual (DDI 0439, table 3-1 and section 3.3.2). Arm
publishes none for the Cortex-M7 and M33: theirs were measured with the cycle counter of an
STM32H743 and an RP2350 (github.com/jnk0le/random, "pipeline cycle test").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

_CALL: Final = re.compile(r"(?:bl|(blx))\s+(.*)")
_LIST: Final = re.compile(r"\{(.*)\}")
_RANGE: Final = re.compile(r"[a-z](\d+)-[a-z](\d+)")
_MANY: Final = re.compile(r"v?(ldm|stm|push|pop)")
_PAIR: Final = re.compile(r"(ldr|str)d\b")
_LOAD: Final = re.compile(r"v?ldr")
_STORE: Final = re.compile(r"v?str")
_SUM: Final = re.compile(r"\[\w+, *[a-z]\w*")  # an address that is the sum of two registers
_DIVISION: Final = re.compile(r"[su]div")


@dataclass(frozen=True, slots=True)
class Missing:
    """Cycles that an instruction takes beyond those of LLVM's model.

    ``many``: of a load or store multiple, by the number of registers. ``pair``: of LDRD and STRD.
    ``load``: of a load that no other load or store follows. ``summed``: of a store to the sum of
    two registers. ``division``: of SDIV and UDIV.
    """

    many: Callable[[int], int] = lambda _: 0
    pair: int = 0
    load: int = 0
    summed: int = 0
    division: int = 0

    def cycles(self, text: str, after: str) -> int:
        """Of the instruction ``text``, if ``after`` is the next one of its block."""
        if _MANY.match(text):
            return self.many(_registers(text))
        if _PAIR.match(text):
            return self.pair
        if _LOAD.match(text):
            return 0 if _overlaps(after) else self.load
        if _STORE.match(text):
            return self.summed if _SUM.search(text) else 0
        return self.division if _DIVISION.match(text) else 0


NOTHING: Final = Missing()
# DDI 0439: N registers take 1 + N cycles, a load 2 or, before a load or store, 1; a division 2 to
# 12, of which this is the middle
CORTEX_M4: Final = Missing(many=lambda count: count, pair=2, load=1, summed=1, division=6)
# N registers take N / 2 cycles; the model has 2 of them
CORTEX_M7: Final = Missing(many=lambda count: max(0, (count + 1) // 2 - 2))
# N registers take N cycles; loads overlap with what follows, if that does not need the value
CORTEX_M33: Final = Missing(many=lambda count: count - 1, pair=1, division=6)


def corrected(code: Sequence[str], missing: Missing) -> list[str]:
    """``code`` with NOPs after instructions that take longer than LLVM's model says, and with jumps
    in the place of calls, which llvm-mca times as 100 cycles."""
    found: list[str] = []
    for text, after in zip(code, [*code[1:], ""], strict=True):
        found.append(_jump(text))
        found += ["nop"] * missing.cycles(text, after)
    return found


def _jump(text: str) -> str:
    call = _CALL.fullmatch(text.strip())
    if call is None:
        return text
    return f"bx {call[2]}" if call[1] and call[2] != "1f" else "b 1f"


def _overlaps(text: str) -> bool:
    """Whether this instruction hides the second cycle of a load before it."""
    return bool(_LOAD.match(text) or _STORE.match(text)) and not _PAIR.match(text)


def _registers(text: str) -> int:
    listed = _LIST.search(text)
    return sum(map(_span, listed[1].split(","))) if listed else 0


def _span(one: str) -> int:
    found = _RANGE.fullmatch(one.strip())
    return int(found[2]) - int(found[1]) + 1 if found else 1
