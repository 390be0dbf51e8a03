# SPDX-License-Identifier: Apache-2.0
"""Stored runs in memory, and changes of them, for tests of comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from hil.compare.records import ComparedFigure, Comparison
from hil.runs.load import StoredRun
from hil.runs.schema import Manifest, RunPlan, Sample
from tests.support import reports
from tests.support.runs import known

N = 200


def run(
    *plans: RunPlan, n: int = N, change: Callable[[Sample], Sample] | None = None, **changes: object
) -> StoredRun:
    """A complete run; ``change`` happens to every sample, ``changes`` the manifest."""
    chosen = plans or (reports.plan(),)
    samples = (sample for plan in chosen for sample in reports.samples(plan, n))
    return reports.run_of(
        reports.manifest(*chosen, n=n, **changes), map(change, samples) if change else samples
    )


def with_memory(stored: StoredRun, **bytes_: int) -> StoredRun:
    """The same run with other figures of memory."""
    ends = tuple(
        msgspec.structs.replace(end, memory=msgspec.structs.replace(known(end.memory), **bytes_))
        for end in stored.manifest.ends
    )
    return with_manifest(stored, ends=ends)


def with_manifest(stored: StoredRun, **changes: object) -> StoredRun:
    manifest: Manifest = msgspec.structs.replace(stored.manifest, **changes)
    return StoredRun(manifest, stored.samples, stored.pictures, stored.torn)


def timed(stored: StoredRun, times: Sequence[int]) -> StoredRun:
    """The same answers with these times, for each run of the matrix."""
    samples = {
        key: tuple(
            msgspec.structs.replace(sample, time=time)
            for sample, time in zip(part, times, strict=True)
        )
        for key, part in stored.samples.items()
    }
    return StoredRun(stored.manifest, samples, stored.pictures, stored.torn)


def figure(found: Comparison, name: str) -> ComparedFigure:
    """The figure with that name, of the only run."""
    (one,) = found.runs
    (wanted,) = [figure for figure in one.figures if figure.name == name]
    return wanted
