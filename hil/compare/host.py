# SPDX-License-Identifier: Apache-2.0
"""LiteRT's latency on the host in BASE and in NEW: a figure of its own kind.

It is a property of the computer that ran the bench. So it has no limit unless one is set, and it is
judged only between two runs of one computer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from hil.compare.figures import NO_RATIO
from hil.compare.judging import finite, one_sided, to_change
from hil.compare.limits import Growth
from hil.compare.records import ComparedFigure, Word
from hil.report.text import plural
from hil.runs.cells import Cell
from hil.runs.schema_host import HostMachine
from hil.stats import Estimate
from hil.stats.series import HostLatencies, ratio

ALLOW: Final = "host"  # of --allow: judge although the hosts differ
NAMES: Final = {"xnnpack": "host_xnnpack", "reference": "host_reference"}  # by kernels
_REPEATS: Final = 10.0  # percent that one computer varies from run to run (docs/compare.md)


@dataclass(frozen=True, slots=True)
class Measured:
    """One run's network on its host."""

    cell: Cell
    machine: HostMachine | None


def host_figures(
    base: Measured, new: Measured, growth: Growth, allowed: Collection[str] = ()
) -> Iterator[ComparedFigure]:
    """One figure for each set of kernels that either run timed."""
    for kernels, name in NAMES.items():
        limit = finite(getattr(growth, name))
        one, other = (side.cell.host_latencies.get(kernels) for side in (base, new))
        if one is None or other is None:
            before, after = (side and side.median.point for side in (one, other))
            if found := one_sided(name, "host_ns", before, after):
                beyond = found.beyond and limit is not None
                yield msgspec.structs.replace(found, limit=limit, beyond=beyond)
            continue
        why = "" if ALLOW in allowed else not_judged(base, new, kernels)
        yield _figure(name, one, other, limit, why=why, note=why or _noise(base, new))


def not_judged(base: Measured, new: Measured, kernels: str) -> str:
    """Why times of two runs say nothing about a change of the network; empty if they do."""
    one, other = base.machine, new.machine
    if one is None or other is None:
        return "not judged: a host is not known"
    if one.cpu != other.cpu:
        return f"not judged: another host ({one.cpu}, {other.cpu})"
    threads = [side.cell.host_times[kernels].threads for side in (base, new)]
    if threads[0] != threads[1]:
        return f"not judged: {threads[0]} and {plural(threads[1], 'thread')}"
    return ""


def _noise(*sides: Measured) -> str:
    """Why a change may be chance; empty if neither host was noisy."""
    found = [side.machine.noisy for side in sides if side.machine and side.machine.noisy]
    return f"the host was noisy ({found[-1]})" if found else ""


def _figure(
    name: str,
    base: HostLatencies,
    new: HostLatencies,
    limit: float | None,
    *,
    why: str,
    note: str,
) -> ComparedFigure:
    """Not paired: the host's time hardly depends on the sample. ``why``: it is not judged."""
    advanced = base.values.min() > 0 and new.values.min() > 0
    found = ratio(new, base, paired=False) if advanced else None
    word: Word = "undecided"
    if found is not None and not why:
        word = _word(found, _REPEATS if limit is None else limit)
    return ComparedFigure(
        name=name,
        kind="host_ns",
        word=word,
        base=base.median.point,
        new=new.median.point,
        change=None if found is None else to_change("ratio", found),
        limit=limit,
        beyond=word == "worse" and limit is not None,
        n=min(base.values.size, new.values.size),
        note=note if found else NO_RATIO,
    )


def _word(found: Estimate, near: float) -> Word:
    """Better or worse only if the whole interval is more than ``near`` percent away from 1."""
    low, high = 100 * (found.low - 1), 100 * (found.high - 1)
    if low > near:
        return "worse"
    if high < -near:
        return "better"
    return "same" if low >= -near and high <= near else "undecided"
