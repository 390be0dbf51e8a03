# SPDX-License-Identifier: Apache-2.0
"""The rows of summary.json, made of `Cell`s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from hil import stats
from hil.core.records import Task
from hil.runs.agreement import is_ours
from hil.runs.cells import Cell, cells
from hil.runs.host import figures
from hil.runs.schema import (
    SCHEMA,
    Manifest,
    Sample,
)
from hil.runs.schema_cycles import CycleEstimate
from hil.runs.schema_energy import EnergyMeasured
from hil.runs.schema_host import HostLatencies
from hil.runs.scores import Score
from hil.runs.summary import (
    Accuracy,
    Agreement,
    EnergyRow,
    EstimatedCycles,
    Interval,
    Link,
    ScoreRow,
    Summary,
    SummaryRow,
    Time,
)


def summarise(
    manifest: Manifest,
    samples: Iterable[Sample],
    host: HostLatencies | None = None,
    targets: npt.NDArray[np.float32] | None = None,
    estimates: Sequence[CycleEstimate] = (),
    energy: Sequence[EnergyMeasured] = (),
) -> Summary:
    """One row per run that has an answer or a failed request, in the manifest's order.

    Accuracy: share of samples whose answer is the label, `Cell.answers`; the host's is LiteRT's.
    Errors and AUC: `hil.runs.scores`. Times: median and percentiles, linear between order
    statistics. ``memory`` and ``link`` are None for a run that is not complete, other figures where
    they are not known.
    """
    by_run: dict[str, list[Sample]] = {}
    for sample in samples:
        by_run.setdefault(sample.run, []).append(sample)
    found = (cell for cell in cells(manifest, by_run, host, targets) if cell.n or cell.failures)
    cycles = {one.run: one for one in estimates if not one.why}
    measured = {one.run: one for one in energy}
    rows = []
    for cell in found:
        key = cell.plan.key
        row = _row(cell, manifest.dataset.name, cycles.get(key))
        rows.append(_with_energy(row, measured.get(key)))
    return Summary(schema=SCHEMA, runs=tuple(rows))


def _row(cell: Cell, dataset: str, cycles: CycleEstimate | None) -> SummaryRow:
    plan, end = cell.plan, cell.end
    host_latency, host_estimates = figures(cell.series, cell.host_times)
    row = SummaryRow(
        board=plan.board,
        engine=plan.engine,
        model=plan.model,
        precision=plan.precision,
        dataset=dataset,
        n=cell.n,
        accuracy=_accuracy(cell),
        agreement=_agreement(cell),
        time=_time(cell),
        memory=end.memory if end else None,
        link=Link(
            bytes_out=end.bytes_out,
            bytes_in=end.bytes_in,
            seconds=end.seconds,
            retries=end.retries,
            faults=end.faults,
            left_out=cell.left_out or UNSET,
        )
        if end
        else None,
        marks=end.marks if end else None,
        intervals=_intervals(cell, host_estimates),
        estimated_cycles=_cycles(cycles) if cycles else UNSET,
        host_latency=host_latency or UNSET,
        failed=cell.failures or UNSET,
        wrong=UNSET if is_ours(plan) or cell.unexpected is None or not cell.n else cell.unexpected,
        task=UNSET if cell.task in (Task.CLASSIFICATION, Task.NONE) else cell.task,
    )
    more = {name: _score(found) for name, found in cell.scores.items()}
    return msgspec.structs.replace(row, **more) if more else row


def _cycles(found: CycleEstimate) -> EstimatedCycles:
    return EstimatedCycles(
        core=found.core,
        cycles=found.cycles,
        instructions=found.instructions,
        calibration=found.calibration or UNSET,
        time=found.time or UNSET,
    )


def _with_energy(row: SummaryRow, found: EnergyMeasured | None) -> SummaryRow:
    """The row with its energy and its intervals, if it was measured."""
    spans = (
        {}
        if found is None
        else {
            "joules": found.joules,
            "above_idle": found.above_idle,
            "idle_watts": found.idle,
            "seconds": found.seconds,
        }
    )
    known = {name: span for name, span in spans.items() if span is not None}
    if found is None or found.why or len(known) < len(spans):
        return row
    intervals = {
        f"energy.{name}": Interval(
            low=span.low,
            high=span.high,
            confidence=stats.CONFIDENCE,
            method="Student's t",
            n=found.windows,
        )
        for name, span in known.items()
    }
    return msgspec.structs.replace(
        row,
        energy=EnergyRow(
            **{name: span.point for name, span in known.items()},
            volts=found.volts,
            idle_mode=found.idle_mode,
            windows=found.windows,
            simulated=found.simulated,
        ),
        intervals=row.intervals | intervals,
    )


def _score(found: Score) -> ScoreRow:
    device, host = (one.point if one else None for one in (found.device, found.host))
    return ScoreRow(device=device, host=host)


def _accuracy(cell: Cell) -> Accuracy | None:
    if cell.accuracy is None:
        return None
    host = cell.host_accuracy
    return Accuracy(device=cell.accuracy.point, host=host.point if host else None)


def _agreement(cell: Cell) -> Agreement | None:
    if not cell.n or (cell.agreement is None and cell.to_litert is None):
        return None
    to_litert = cell.to_litert
    return Agreement(
        argmax=cell.agreement.point if cell.agreement else None,
        outputs=(cell.n - to_litert.samples) / cell.n if to_litert else None,
        differing_litert=to_litert.elements if to_litert else None,
        differing_oracle=cell.to_oracle.elements if cell.to_oracle else None,
        max_abs=to_litert.max_abs if to_litert else None,
        max_real=UNSET if cell.chooses or cell.reach is None else cell.reach,
    )


def _intervals(cell: Cell, host: Mapping[str, stats.Estimate]) -> dict[str, Interval]:
    """The interval of each estimate of a row, by its path in the row."""
    found = {
        "accuracy.device": cell.accuracy,
        "accuracy.host": cell.host_accuracy,
        "agreement.argmax": cell.agreement,
        "time.median": cell.time,
        **host,
    }
    for name, score in cell.scores.items():
        found |= {f"{name}.device": score.device, f"{name}.host": score.host}
    return {
        name: Interval(
            low=one.low, high=one.high, confidence=one.confidence, method=one.method, n=one.n
        )
        for name, one in found.items()
        if one is not None
    }


def _time(cell: Cell) -> Time:
    unit = cell.plan.clock.unit
    if cell.time is None:
        return Time(unit=unit, median=None, p5=None, p95=None, n=0)
    p5, p95 = cell.spread()
    return Time(unit=unit, median=cell.time.point, p5=p5, p95=p95, n=int(cell.times.size))
