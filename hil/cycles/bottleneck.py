# SPDX-License-Identifier: Apache-2.0
"""What limits a block: issue slots, a unit of the core, or waiting for results.

llvm-mca analyses bottlenecks only of cores that execute out of order, so the rule is our own: a
block is limited by what alone would take as long. Issue: its instructions over those that issue per
cycle, or what an ALU takes that they share. A unit: the cycles that the model keeps it busy. If the
block takes over a tenth longer than each of them, it waits: for loads, if most of that is what
`corrections` adds to them, else for results of earlier instructions (dependency). Jumps are not
counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

from hil.cycles.blocks import Block
from hil.cycles.models import Core, Timed, unconditional

Bottleneck: TypeAlias = Literal["issue", "load", "multiply", "shift", "float", "dependency"]
Unit: TypeAlias = Literal["load", "multiply", "shift", "float"]

_SLACK: Final = 0.1  # of the cycles of a block: its start and its end
# units of LLVM's models by their names
_UNITS: Final[tuple[tuple[re.Pattern[str], Unit], ...]] = (
    (re.compile(r"UnitLoad"), "load"),
    (re.compile(r"UnitStore"), "load"),
    (re.compile(r"UnitMAC|UnitVecFPALU"), "multiply"),
    (re.compile(r"UnitShift1"), "shift"),
    (re.compile(r"UnitShift2"), "shift"),
    (re.compile(r"UnitSIMD"), "shift"),
    (re.compile(r"UnitVFP"), "float"),
)
# a model with a single unit, as that of the Cortex-M4: instructions by their names
_NAMES: Final[tuple[tuple[re.Pattern[str], Unit], ...]] = (
    (re.compile(r"v?(ldr|str|ldm|stm|push|pop)"), "load"),
    (re.compile(r"mul|ml[as]|[su]ml|[su]mul|sm[mu]|smusd|umaal"), "multiply"),
    (re.compile(r"v(add|sub|mul|div|sqrt|f?n?m[als]|cvt)"), "float"),
)


def bottleneck(block: Block, timed: Timed, core: Core) -> Bottleneck:
    """What limits ``block``, which the model of ``core`` has timed."""
    code = unconditional([one.text for one in block.code])
    waits = _load_waits(code, core) / timed.width
    issue = len(code) / timed.width + waits
    issue = max(issue, _others(timed.pressure))
    busy = _busy(code, timed, waits)
    lowest = max([issue, *busy.values()])
    stalls = timed.cycles - lowest
    if stalls > _SLACK * timed.cycles and stalls >= waits:
        return "dependency"
    if waits > _SLACK * timed.cycles:
        return "load"
    return next((unit for unit, cycles in busy.items() if cycles >= lowest), "issue")


def _load_waits(code: Sequence[str], core: Core) -> int:
    """NOPs that stand for what loads and stores take beyond the model."""
    pairs = zip(code, [*code[1:], ""], strict=True)
    return sum(core.missing.cycles(one, after) for one, after in pairs if _kind(one) == "load")


def _busy(code: Sequence[str], timed: Timed, waits: float) -> dict[Unit, float]:
    """Cycles that each kind of unit is busy with a block."""
    found = _units(timed.pressure) if len(timed.pressure) > 1 else _named(code, timed.width)
    if waits:
        found["load"] = found.get("load", 0.0) + waits
    return found


def _named(code: Sequence[str], width: int) -> dict[Unit, float]:
    found: dict[Unit, float] = {}
    for kind in map(_kind, code):
        if kind is not None:
            found[kind] = found.get(kind, 0.0) + 1 / width
    return found


def _units(pressure: Iterable[tuple[str, float]]) -> dict[Unit, float]:
    """Units that one pattern names share the work; of the others of a kind, the busiest counts."""
    groups: dict[re.Pattern[str], list[float]] = {}
    for name, cycles in pressure:
        for pattern, _ in _UNITS:
            if pattern.search(name):
                groups.setdefault(pattern, []).append(cycles)
    found: dict[Unit, float] = {}
    for pattern, kind in _UNITS:
        if each := groups.get(pattern):
            found[kind] = max(found.get(kind, 0.0), sum(each) / len(each))
    return found


def _others(pressure: Sequence[tuple[str, float]]) -> float:
    """Cycles that the busiest unit without a kind takes: it issues, adds and moves. Units of one
    name share the work."""
    groups: dict[str, list[float]] = {}
    for name, cycles in pressure:
        if not any(pattern.search(name) for pattern, _ in _UNITS):
            groups.setdefault(name, []).append(cycles)
    return max((sum(each) / len(each) for each in groups.values()), default=0.0)


def _kind(text: str) -> Unit | None:
    return next((kind for pattern, kind in _NAMES if pattern.match(text)), None)
