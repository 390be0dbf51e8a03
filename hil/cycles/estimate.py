# SPDX-License-Identifier: Apache-2.0
"""Cycles of one inference: what ran in an emulator, times what a model of LLVM's says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.core.records import EstimatedCycles
from hil.cycles.blocks import Block, blocks
from hil.cycles.counting import Window
from hil.cycles.models import Core, ModelFailed, cycles_of, jumps_of


@dataclass(frozen=True, slots=True)
class Part:
    """A function, or one of its blocks. ``runs``: of the block; of a function, 0."""

    function: str
    instructions: int
    cycles: float
    runs: int = 0
    code: tuple[str, ...] = ()

    @property
    def per_cycle(self) -> float:
        return self.instructions / self.cycles if self.cycles else 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """``functions`` and ``hottest`` blocks: most cycles first. ``instructions`` is the exact count
    that the blocks add up to. ``unknown``: instructions of the code that the model does not have.
    """

    core: Core
    instructions: int
    cycles: EstimatedCycles
    functions: tuple[Part, ...]
    hottest: tuple[Part, ...]
    unknown: int


def estimate(elf: Path, window: Window, core: Core, *, hottest: int = 8) -> Estimate:
    """What one inference takes on ``core``, from what ran in ``window``.

    Raises:
        ToolMissing: LLVM's programs are not installed.
        ModelFailed: LLVM's model cannot time the code, or code ran that the image does not have.
    """
    found = blocks(elf, window, core.triple, core.features)
    seen = sum(block.instructions for block in found)
    if seen != window.instructions:
        raise ModelFailed(
            f"llvm-objdump shows {seen:,} of the {window.instructions:,} instructions that ran",
            "report it as an error of hil, with the version of LLVM; code that the firmware copies "
            "to RAM cannot be timed",
        )
    each, unknown = cycles_of(found, core)
    parts = [
        _part(block, one * block.runs + jumps_of(block, core))
        for block, one in zip(found, each, strict=True)
    ]
    total = round(sum(part.cycles for part in parts))
    return Estimate(
        core,
        seen,
        EstimatedCycles(total),
        _functions(parts),
        tuple(sorted(parts, key=lambda part: -part.cycles)[:hottest]),
        unknown,
    )


def _part(block: Block, cycles: float) -> Part:
    code = tuple(one.text for one in block.code)
    return Part(block.function, block.instructions, cycles, block.runs, code)


def _functions(parts: Sequence[Part]) -> tuple[Part, ...]:
    sums: dict[str, tuple[int, float]] = {}
    for part in parts:
        instructions, cycles = sums.get(part.function, (0, 0.0))
        sums[part.function] = instructions + part.instructions, cycles + part.cycles
    found = [Part(name, *both) for name, both in sums.items()]
    return tuple(sorted(found, key=lambda part: -part.cycles))
