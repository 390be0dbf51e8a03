# SPDX-License-Identifier: Apache-2.0
"""Published results and own runs as entries of one table.

Cycles per MAC of a published result, and of an own run on a physical board whose clock is known,
are measured. Those of an own run on an emulator are estimated by `hil.cycles`, or counted where
the data sheet fixes the core's timing. Counted instructions are never ranked among cycles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np

from hil.core.records import EstimatedCycles
from hil.league.published import NETWORKS, NetworkName, Result, network
from hil.runs.cells import Cell
from hil.runs.schema import RunPlan, Tensor
from hil.runs.schema_cycles import CycleEstimate
from hil.runs.schema_energy import EnergyMeasured
from hil.stats.series import Counts, CycleCounts, Latencies

# how an entry's cycles per MAC came about; "none": it has none
Kind: TypeAlias = Literal["published", "measured", "counted", "estimated", "none"]
Sort: TypeAlias = Literal["cycles", "ms", "uj", "round", "core"]
SORTS: Final[tuple[Sort, ...]] = ("cycles", "ms", "uj", "round", "core")


@dataclass(frozen=True, slots=True)
class Known:
    """Which reference network a run has. ``file``: the published file that it is, by its SHA-256;
    empty: known by its structure alone."""

    network: NetworkName
    file: str

    @property
    def how(self) -> str:
        if self.file:
            return f"its model is {self.file.rpartition('/')[2]} of mlcommons/tiny, by SHA-256"
        return "its model has the network's MACs, parameters, and sizes of input and output"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A published result, or an own run (``run``: its key). Null: not known, or not measured.

    ``kind``: how its cycles per MAC came about: published, measured on a board, estimated
    (docs/cycles.md), counted (the data sheet fixes the core's timing), or none.
    ``chip_low`` and ``chip_high``: between these a chip's cycles per MAC lie by the calibration of
    an estimate. ``instructions_per_mac``: of an own run on an emulator. ``ms``, ``uj``
    (microjoules): of one inference. ``accuracy``: AUC of ad, Top-1 in percent of the others.
    ``source``: the file that has a published rate. ``note``: of a published result, a remark; of an
    own run, why it has no cycles.
    """

    network: NetworkName
    kind: Kind
    board: str
    core: str
    software: str
    precision: str
    run: str = ""
    round: str = ""
    submitter: str = ""
    mhz: float | None = None
    ms: float | None = None
    cycles_per_mac: float | None = None
    chip_low: float | None = None
    chip_high: float | None = None
    instructions_per_mac: float | None = None
    uj: float | None = None
    accuracy: float | None = None
    source: str = ""
    note: str = ""

    @property
    def own(self) -> bool:
        return bool(self.run)


def recognised(plan: RunPlan) -> Known | None:
    """The reference network of a run; None if it has another one.

    By the SHA-256 of its model; else by MACs, parameters, and values of input and output, which a
    quantised network shares with its float32 network.
    """
    for name in NETWORKS:
        if file := network(name).file(plan.model_sha256):
            return Known(name, file)
    found = (plan.macs, plan.parameters, _values(plan.input), _values(plan.output))
    for name in NETWORKS:
        one = network(name)
        if found == (one.macs, one.parameters, one.inputs, one.outputs):
            return Known(name, "")
    return None


def _values(tensor: Tensor) -> int:
    return math.prod(tensor.shape)


def published(found: Iterable[Result]) -> Iterator[Entry]:
    for one in found:
        yield Entry(
            network=one.network,
            kind="published",
            board=one.board,
            core=one.core,
            software=one.software,
            precision=one.precision,
            round=one.round,
            submitter=one.submitter,
            mhz=one.mhz,
            ms=one.ms,
            cycles_per_mac=one.cycles_per_mac,
            uj=one.uj,
            accuracy=one.accuracy,
            source=one.source,
            note=one.note,
        )


def own(
    cell: Cell,
    name: NetworkName,
    estimates: Sequence[CycleEstimate] = (),
    clock: float | None = None,
    energy: Sequence[EnergyMeasured] = (),
) -> Entry:
    """The entry of an own run with that network. ``estimates`` and ``energy`` of its folder.
    ``clock``: hertz of its physical board's core; None: what the run stored."""
    plan = cell.plan
    estimate = next((one for one in estimates if one.run == plan.key and not one.why), None)
    time = _Time.of(cell, network(name).macs, estimate, clock)
    return Entry(
        network=name,
        kind=time.kind,
        run=plan.key,
        board=plan.board,
        core=_core(estimate.core) if estimate else "",
        software=f"{plan.engine} + {plan.kernels}" if plan.kernels else plan.engine,
        precision=plan.precision,
        mhz=time.mhz,
        ms=time.ms,
        cycles_per_mac=time.cycles_per_mac,
        chip_low=time.chip_low,
        chip_high=time.chip_high,
        instructions_per_mac=time.instructions_per_mac,
        uj=_microjoules(plan, energy),
        note=time.note,
    )


def _microjoules(plan: RunPlan, energy: Sequence[EnergyMeasured]) -> float | None:
    """Of an inference, idle power included, as MLPerf Tiny publishes it; None: not measured."""
    measured = (one.joules for one in energy if one.run == plan.key and not one.simulated)
    return next((1e6 * one.point for one in measured if one), None)


def _core(llvm: str) -> str:
    """LLVM's name of a core, as published results spell it."""
    return llvm.replace("cortex-m", "Cortex-M").replace("plus", "+")


def own_session(
    name: NetworkName,
    board: str,
    software: str,
    per_s: float | None,
    uj: float | None,
    clock: float | None,
) -> Entry:
    """The entry of a session of MLPerf Tiny on an own board: its inferences per second, or the
    energy of one. ``clock`` in hertz."""
    if per_s is None:
        time = _Time(note=_ENERGY_ALONE)
    else:
        time = _measured(1 / per_s, clock, network(name).macs)
    return Entry(
        network=name,
        kind=time.kind,
        run=board,
        board=board,
        core="",
        software=software,
        precision="",
        mhz=time.mhz,
        ms=time.ms,
        cycles_per_mac=time.cycles_per_mac,
        uj=uj,
        note=time.note,
    )


_ENERGY_ALONE: Final = "a session in energy mode has no throughput"
_NO_CLOCK: Final = "the clock of its core is not known: name it by --clock, as --clock 480MHz"
_ONLY_COUNTED: Final = "instructions are not cycles: bench it with --cycles to estimate them"
_UNTIMED: Final = "it has no time"


@dataclass(frozen=True, slots=True)
class _Time:
    """What an own run's time says per MAC, each kind in its own field."""

    kind: Kind = "none"
    mhz: float | None = None
    ms: float | None = None
    cycles_per_mac: float | None = None
    chip_low: float | None = None
    chip_high: float | None = None
    instructions_per_mac: float | None = None
    note: str = ""

    @classmethod
    def of(
        cls, cell: Cell, macs: int, estimate: CycleEstimate | None, clock: float | None
    ) -> _Time:
        match cell.series:
            case Latencies(values=us) if not cell.plan.emulated:
                hertz = clock or cell.plan.clock.hertz or None
                return _measured(float(np.median(us)) / 1e6, hertz, macs)
            case CycleCounts(values=cycles_counted):
                return cls("counted", cycles_per_mac=float(np.median(cycles_counted)) / macs)
            case Counts(values=instructions):
                per_mac = float(np.median(instructions)) / macs
                if estimate is None:
                    return cls(instructions_per_mac=per_mac, note=_ONLY_COUNTED)
                return _estimated(estimate, per_mac, macs)
            case _:
                return cls(note=_UNTIMED)


def _estimated(estimate: CycleEstimate, instructions_per_mac: float, macs: int) -> _Time:
    """Of an emulated core; with a calibration, between what a chip's cycles lie."""
    cycles = EstimatedCycles(estimate.cycles).count / macs
    of = estimate.calibration
    return _Time(
        "estimated",
        cycles_per_mac=cycles,
        chip_low=cycles / of.high if of else None,
        chip_high=cycles / of.low if of else None,
        instructions_per_mac=instructions_per_mac,
    )


def _measured(seconds: float, hertz: float | None, macs: int) -> _Time:
    """Of a physical board."""
    if hertz is None:
        return _Time(ms=1000 * seconds, note=_NO_CLOCK)
    return _Time("measured", hertz / 1e6, 1000 * seconds, seconds * hertz / macs)


def ordered(entries: Iterable[Entry], by: Sort = "cycles") -> tuple[Entry, ...]:
    """Smallest first, then by cycles per MAC; entries without that figure last."""
    return tuple(sorted(entries, key=_KEYS[by]))


def _last(value: float | None) -> float:
    return math.inf if value is None else value


def _by_cycles(one: Entry) -> tuple[float, bool, str, str, str]:
    return (_last(one.cycles_per_mac), not one.own, one.round, one.source, one.run)


_KEYS: Final[Mapping[Sort, Callable[[Entry], tuple[object, ...]]]] = {
    "cycles": _by_cycles,
    "ms": lambda one: (_last(one.ms), *_by_cycles(one)),
    "uj": lambda one: (_last(one.uj), *_by_cycles(one)),
    "round": lambda one: (one.round, *_by_cycles(one)),
    "core": lambda one: (one.core or "~", *_by_cycles(one)),
}
