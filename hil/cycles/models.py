# SPDX-License-Identifier: Apache-2.0
"""The cores whose timing LLVM has a model of, and what that model says of blocks of code."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hil.core.errors import HilError, unknown
from hil.cycles.blocks import Block, llvm_major, llvm_version, tool
from hil.cycles.corrections import (
    CORTEX_M4,
    CORTEX_M7,
    CORTEX_M33,
    NOTHING,
    Missing,
    corrected,
)

_ITERATIONS: Final = 100
_TRIES: Final = 20
_REGION: Final = re.compile(r"^(?=\[\d+\] Code Region - \d+$)", re.M)
_NUMBER: Final = re.compile(r"Code Region - (\d+)$", re.M)
_TOTAL: Final = re.compile(r"^Total Cycles:\s+(\d+)$", re.M)
_WIDTH: Final = re.compile(r"^Dispatch Width:\s+(\d+)$", re.M)
_UNIT: Final = re.compile(r"^\[[\d.]+\]\s+- (\S+)$", re.M)
_PRESSURE: Final = re.compile(r"^Resource pressure per iteration:\n.*\n(.*)$", re.M)
_ERROR: Final = re.compile(r"<stdin>:(\d+):\d+: error: ")
_IT: Final = re.compile(r"it([te]{0,3}) +\w\w$")
_THUMB: Final = "thumbv7em-none-eabihf"
_REFILL: Final = (
    "a taken jump costs 1 cycle more, the least of the 1 to 3 that refill the pipeline of a "
    "Cortex-M4 (Arm DDI 0439, section 3.3)"
)


@dataclass(frozen=True, slots=True)
class Core:
    """A core that LLVM has a scheduling model of.

    ``taken``: cycles of a taken jump beyond those of the model, which has none for it; ``jumps``
    says so in words; ``loops``: instructions whose jump costs nothing. ``note``: what else a reader
    must know of the model. ``since``: the first version of LLVM that has it.
    """

    name: str
    triple: str
    features: str
    taken: int
    jumps: str
    note: str = ""
    since: int = 14
    loops: tuple[str, ...] = ()
    missing: Missing = NOTHING

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What an estimate for this core leaves out, in words."""
        common = (
            "no cache misses and no wait states of flash or RAM",
            "each basic block is timed as in a loop of itself",
        )
        return (*common, self.jumps, *([self.note] if self.note else []))


# No RISC-V core: with its models, llvm-mca 14 issues more instructions a cycle than they allow.
CORES: Final = {
    core.name: core
    for core in (
        Core(
            *("cortex-m7", _THUMB, "+fp-armv8d16", 0, "every jump is predicted and costs nothing"),
            missing=CORTEX_M7,
        ),
        Core("cortex-m4", _THUMB, "+fp-armv8d16", 1, _REFILL, missing=CORTEX_M4),
        Core(
            *("cortex-m3", "thumbv7m-none-eabi", "", 1, _REFILL, "LLVM times it as a Cortex-M4"),
            missing=CORTEX_M4,
        ),
        Core(
            *("cortex-m33", "thumbv8m.main-none-eabihf", "+dsp,+fp-armv8d16", 1, _REFILL),
            "LLVM times it as a Cortex-M4",
            missing=CORTEX_M33,
        ),
        Core(
            *("cortex-m55", "thumbv8.1m.main-none-eabihf", "+dsp,+fp-armv8d16,+lob,+mve.fp", 1),
            "a taken jump costs 1 cycle more, as on a Cortex-M4, but that of LE and LETP nothing",
            since=17,
            loops=("le", "letp"),
        ),
    )
}


def jumps_of(block: Block, core: Core) -> int:
    """Cycles of the taken jumps at the end of ``block``, in all its runs."""
    name = block.code[-1].text.partition(" ")[0]
    return 0 if name in core.loops else core.taken * block.taken


def core_of(name: str) -> Core:
    """The core of that name; UsageError for an unknown one."""
    if name not in CORES:
        raise unknown(f"LLVM's model of core '{name}' is unknown", name, CORES)
    return CORES[name]


class ModelFailed(HilError):
    """LLVM's model cannot time the code."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One run of a block, as in a loop of it, without the cost of taken jumps.

    ``width``: instructions that the core issues per cycle. ``pressure``: the names of its units and
    the cycles that the block keeps each busy.
    """

    cycles: float
    width: int
    pressure: tuple[tuple[str, float], ...]


def timed(blocks: Sequence[Block], core: Core) -> tuple[tuple[Timed, ...], int]:
    """What the model says of each block; and how many instructions of the code it does not know,
    which are timed as NOPs.

    Raises:
        ToolMissing: llvm-mca is not installed.
        ModelFailed: It cannot time the code, or this version has no model of the core.
    """
    if llvm_major() < core.since:
        raise ModelFailed(
            f"LLVM {llvm_version()} has no model of {core.name}; LLVM {core.since} and later have",
            f"sudo apt-get install llvm-19, or another version from {core.since} on",
        )
    lines = [".syntax unified"]
    for number, block in enumerate(blocks):
        lines.append(f"@ LLVM-MCA-BEGIN {number}")
        lines += corrected(unconditional([one.text for one in block.code]), core.missing)
        lines += ["1:", "@ LLVM-MCA-END"]
    unknown = 0
    for _ in range(_TRIES):
        done = _mca(lines, core)  # succeeds although it left invalid instructions out
        wrong = {int(number) - 1 for number in _ERROR.findall(done.stderr)}
        wrong |= _unsupported(lines, done.stderr)
        if not wrong:
            break
        for at in wrong:
            lines[at] = "nop"
        unknown += len(wrong)
    found = dict(_regions(done.stdout))
    if len(found) != len(blocks):
        why = " ".join(done.stderr.split())[:300] or "it printed no cycles"
        raise ModelFailed(f"llvm-mca cannot time the code for {core.name}: {why}", "choose another")
    return tuple(found[number] for number in range(len(blocks))), unknown


def _regions(said: str) -> Iterator[tuple[int, Timed]]:
    """What llvm-mca printed of each region, by its number."""
    for text in _REGION.split(said)[1:]:
        number, total, width = (pattern.search(text) for pattern in (_NUMBER, _TOTAL, _WIDTH))
        if not (number and total and width):
            continue
        names, each = _UNIT.findall(text), _PRESSURE.search(text)
        values = [0.0 if one == "-" else float(one) for one in (each[1] if each else "").split()]
        cycles = int(total[1]) / _ITERATIONS
        yield int(number[1]), Timed(cycles, int(width[1]), tuple(zip(names, values, strict=False)))


def _unsupported(lines: Sequence[str], said: str) -> set[int]:
    """The lines of an instruction that the model knows and cannot time."""
    named = re.search(r"note: instruction:\s*(.*)", said)
    if named is None:
        return set()
    name = named[1].split()[0]
    return {at for at, line in enumerate(lines) if line.split()[:1] == [name]}


def unconditional(code: Sequence[str]) -> list[str]:
    """Thumb code without conditions, as if all were met: LLVM's models do not know IT, which
    becomes a NOP."""
    found: list[str] = []
    conditional = 0
    for text in code:
        if block := _IT.match(text):
            conditional = 1 + len(block[1])
            found.append("nop")
        elif conditional:
            conditional -= 1
            name, _, operands = text.partition(" ")
            stem, dot, width = name.partition(".")
            found.append(f"{stem[:-2]}{dot}{width} {operands}".strip())
        else:
            found.append(text)
    return found


def _mca(lines: Sequence[str], core: Core) -> subprocess.CompletedProcess[str]:
    words = [tool("llvm-mca"), f"-mtriple={core.triple}", f"-mcpu={core.name}"]
    words += [f"-iterations={_ITERATIONS}", "-instruction-info=false"]
    source = "\n".join([*lines, ""])
    return subprocess.run(
        words, input=source, capture_output=True, text=True, timeout=600, check=False
    )
