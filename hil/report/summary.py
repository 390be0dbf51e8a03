"""A stored run -> ``summary.json``'s contract (hil.runlog.schema)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET

from hil import stats
from hil.report.cells import Cell, cells
from hil.runlog.schema import (
    SCHEMA,
    Accuracy,
    Agreement,
    Interval,
    Link,
    Manifest,
    Sample,
    Summary,
    SummaryRow,
    Time,
)


def summarise(manifest: Manifest, samples: Iterable[Sample]) -> Summary:
    """One row a run that has an answer, in the manifest's order.

    Accuracy: share of samples whose largest output (the first of equals) is at the label; host
    is LiteRT's. Times: median and percentiles, linear between order statistics. ``memory`` and
    ``link`` are None for a run that has not reached its end.
    """
    by_run: dict[str, list[Sample]] = {}
    for sample in samples:
        by_run.setdefault(sample.run, []).append(sample)
    rows = [_row(cell, manifest.dataset.name) for cell in cells(manifest, by_run) if cell.n]
    return Summary(schema=SCHEMA, runs=tuple(rows))


def _row(cell: Cell, dataset: str) -> SummaryRow:
    plan, end = cell.plan, cell.end
    return SummaryRow(
        board=plan.board,
        engine=plan.engine,
        model=plan.model,
        precision=plan.precision,
        dataset=dataset,
        n=cell.n,
        accuracy=Accuracy(device=cell.accuracy.point, host=cell.host_accuracy.point),
        agreement=Agreement(
            argmax=cell.same_answer / cell.n,
            outputs=(cell.n - cell.to_litert.samples) / cell.n,
            differing_litert=cell.to_litert.elements,
            differing_oracle=cell.to_oracle.elements if cell.to_oracle else None,
            max_abs=cell.to_litert.max_abs,
        ),
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
        intervals=_intervals(cell),
    )


def _intervals(cell: Cell) -> dict[str, Interval]:
    """Of each figure of a row that is an estimate, by its path in the row."""
    found = {
        "accuracy.device": cell.accuracy,
        "accuracy.host": cell.host_accuracy,
        "agreement.argmax": stats.proportion(cell.same_answer, cell.n),
        "time.median": cell.time,
    }
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
