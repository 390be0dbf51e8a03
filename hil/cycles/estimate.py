# SPDX-License-Identifier: Apache-2.0
"""Cycles of one inference: what ran in an emulator, times what a model of LLVM's says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.core.records import EstimatedCycles
from hil.cycles.blocks import Block, blocks
from hil.cycles.bottleneck import bottleneck
from hil.cycles.counting import Window
from hil.cycles.models import Core, ModelFailed, Timed, jumps_of, timed


@dataclass(frozen=True, slots=True)
class Part:
    """A function, or one of its blocks. ``runs``: of the block; of a function, 0. ``bottleneck``:
    what limits the block; of a function, what limits the most of its cycles."""

    function: str
    instructions: int
    cycles: float
    runs: int = 0
    code: tuple[str, ...] = ()
    bottleneck: str = ""

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
    each, unknown = timed(found, core)
    parts = [_part(block, one, core) for block, one in zip(found, each, strict=True)]
    total = round(sum(part.cycles for part in parts))
    return Estimate(
        core,
        seen,
        EstimatedCycles(total),
        _functions(parts),
        tuple(sorted(parts, key=lambda part: -part.cycles)[:hottest]),
        unknown,
    )


def _part(block: Block, one: Timed, core: Core) -> Part:
    code = tuple(instruction.text for instruction in block.code)
    cycles = one.cycles * block.runs + jumps_of(block, core)
    limit = bottleneck(block, one, core)
    return Part(block.function, block.instructions, cycles, block.runs, code, limit)


def _functions(parts: Sequence[Part]) -> tuple[Part, ...]:
    sums: dict[str, tuple[int, float]] = {}
    limits: dict[str, dict[str, float]] = {}
    for part in parts:
        instructions, cycles = sums.get(part.function, (0, 0.0))
        sums[part.function] = instructions + part.instructions, cycles + part.cycles
        each = limits.setdefault(part.function, {})
        each[part.bottleneck] = each.get(part.bottleneck, 0.0) + part.cycles
    found = [
        Part(name, *both, bottleneck=max(limits[name], key=lambda one: limits[name][one]))
        for name, both in sums.items()
    ]
    return tuple(sorted(found, key=lambda part: -part.cycles))
