# SPDX-License-Identifier: Apache-2.0
"""The kernels for Xtensa's MAC16 (ESP32, S2, S3) give the same bytes, in few instructions.

Debian has no compiler for these cores, but one for the LX106, which has the same base instructions,
and QEMU has a core with MAC16, the DE212. So the assembler gets the other instructions as macros.
Neither has a multiplication with the high word of the result, so an ESP32 takes fewer instructions.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hil.boards.config import load_board
from hil.boards.station import missing_tools
from hil.engines.aot.weighted import choosing
from tests.engines.test_lx106 import LX106
from tests.support.bare_metal import random_models, verdict
from tests.support.needs import skip_without

MODELS = Path(__file__).parents[2] / "models" / "mnist"

# name, operands, the three bytes (Xtensa ISA Reference Manual, chapter 7)
_OPCODES = [
    ("ldinc", "mw, as", r"4, \as | \mw << 4, 0x80"),
    ("loopnez", "as, to", r"0x76, 0x90 | \as, \to - . - 2"),
    ("max", "ar, as, at", r"\at << 4, \ar << 4 | \as, 0x53"),
    ("clamps", "ar, as, n", r"(\n - 7) << 4, \ar << 4 | \as, 0x33"),
    ("mul.da.ll", "mx, at", r"4 | \at << 4, \mx << 6, 0x64"),
    *(
        (f"{to}sr.acc{part}", "at", rf"\at << 4, {register}, {opcode}")
        for part, register in (("lo", 0x10), ("hi", 0x11))
        for to, opcode in (("r", 0x03), ("w", 0x13))
    ),
]
for _halves, _n in (("ll", 8), ("hh", 11)):
    _OPCODES += [
        (f"mula.da.{_halves}", "mx, at", rf"4 | \at << 4, \mx << 6, 0x60 | {_n}"),
        (f"mula.dd.{_halves}", "mx, my", rf"4 | (\my & 1) << 6, \mx << 6, 0x20 | {_n}"),
        (
            f"mula.da.{_halves}.ldinc",
            "mw, as, mx, at",
            rf"4 | \at << 4, \as | \mw << 4 | \mx << 6, 0x40 | {_n}",
        ),
        (
            f"mula.dd.{_halves}.ldinc",
            "mw, as, mx, my",
            rf"4 | (\my & 1) << 6, \as | \mw << 4 | \mx << 6, {_n}",
        ),
    ]
_NUMBERS = [f".set {kind}{n}, {n}" for kind, count in (("m", 4), ("a", 16)) for n in range(count)]
_ASSEMBLY = [
    *_NUMBERS,
    *(f".macro {name} {operands}\n.byte {code}\n.endm" for name, operands, code in _OPCODES),
]
_MACROS = "\n".join(_ASSEMBLY).replace("\\", "\\\\").replace("\n", "\\n")

OPTIONS = ("MAC16", "LOOPS", "MINMAX", "CLAMPS")
DE212 = replace(
    LX106,
    compiler=(*LX106.compiler, *(f"-DXCHAL_HAVE_{name}=1" for name in OPTIONS)),
    # one instruction at a time: within a block, QEMU 7.2 reads what m0 was before LDINC
    emulator=(*("de212" if word == "lx106" else word for word in LX106.emulator), "-singlestep"),
    clock=f'__asm__("{_MACROS}");\n{LX106.clock}',
)

pytestmark = [pytest.mark.firmware, skip_without(missing_tools(load_board("lx106")))]


def test_random_networks(tmp_path: Path) -> None:
    assert verdict(DE212, random_models("int8", tmp_path), 1 << 31, tmp_path) == 0


def test_random_networks_that_widen_their_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "WORTH", 0)
    assert verdict(DE212, random_models("in fours", tmp_path), 1 << 31, tmp_path) == 0


@pytest.mark.parametrize(
    ("model", "limit"), [("student_int8", 250_000), ("teacher_int8", 4_300_000)]
)
def test_the_models_take_few_instructions(model: str, limit: int, tmp_path: Path) -> None:
    models = {"net": MODELS / f"{model}.tflite"}
    assert verdict(DE212, models, limit, tmp_path) == 0
    without = replace(DE212, compiler=(*DE212.compiler, "-DHIL_NO_MAC16"))
    assert verdict(without, models, limit, tmp_path) == 2, "MAC16 was not used"
