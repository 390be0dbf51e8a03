# SPDX-License-Identifier: Apache-2.0
"""Benches on fake boards: a plan, and the stored facts that do not depend on chance."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hil.bench import BenchPlan, Request, make_plan
from hil.bench.events import Event
from hil.runs.load import load_run, read_samples
from hil.runs.rows import summarise
from hil.runs.schema import Sample
from hil.runs.summary import SummaryRow

PROJECT = Path(__file__).parents[2]


def planned(n: int, **changes: object) -> BenchPlan:
    """The int8 student on ``n`` digits, on the Cortex-M7; ``changes`` replace fields."""
    wanted: dict[str, object] = {
        "project": PROJECT,
        "models": ("student",),
        "precisions": ("int8",),
        "dataset": "auto" if changes.get("data") is not None else "digits",
        "limit": n,
    }
    return make_plan(Request(**{**wanted, **changes}))  # type: ignore[arg-type]


def ignore(_: Event) -> None:
    """Drop an event."""


def answers(folder: Path) -> list[Sample]:
    """All that a run stored, without the times and faults of its line."""
    return [
        msgspec.structs.replace(s, round_trip=None, attempts=1, disturbed=False)
        for s in read_samples(folder)
    ]


def rows(folder: Path) -> list[SummaryRow]:
    """The summary of a run, without its link."""
    stored = load_run(folder)
    found = summarise(stored.manifest, read_samples(folder), stored.host, stored.targets).runs
    return [msgspec.structs.replace(row, link=None) for row in found]
