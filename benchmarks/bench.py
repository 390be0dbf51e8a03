# SPDX-License-Identifier: Apache-2.0
"""Measures the cost of the bench itself: CPU time per digit, memory, growth. Prints Markdown.

    python benchmarks/bench.py [--digits 1000 10000 100000] [--board native]

Every row runs in its own process, so its peak memory is that of the row only. CPU time is that of
this process, not of an emulator or the firmware; beyond 10,000 digits the test set is repeated.
`start`: imports, data, firmware, reference outputs; `streaming`: first request to last answer
stored; `end`: reading the run back, choosing digits to show, seal; `report`: its pages.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

COLUMNS: Final = (
    "digits",
    "CPU per digit, streaming",
    "start",
    "streaming",
    "end",
    "report",
    "wall",
    "memory at the start",
    "growth while streaming",
    "growth at the end",
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Seconds of CPU and wall time, and the peak memory so far in MB."""

    cpu: float
    wall: float
    memory: float


def mark() -> Mark:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Mark(used.ru_utime + used.ru_stime, time.monotonic(), used.ru_maxrss / 1024)


def measure(count: int, board: str) -> list[Mark]:
    """Marks at the start, the first digit, the last digit, the end of the run, after its report."""
    import numpy as np

    from hil.bench import Request, make_plan, run
    from hil.bench.events import Event, Finished, Streaming
    from hil.report import write

    marks = [Mark(0.0, time.monotonic(), 0.0)]
    request = Request(
        Path(__file__).parents[1], boards=(board,), models=("student",), precisions=("int8",)
    )
    plan = make_plan(request)
    data, rounds = plan.data, -(-count // len(plan.data))
    ids = tuple(f"{one}.{r}" if r else one for r in range(rounds) for one in data.ids)
    chosen = np.arange(count) % len(data)
    data = replace(data, ids=ids[:count], x=data.x[chosen], y=data.y[chosen])

    def emit(event: Event) -> None:
        if (isinstance(event, Streaming) and len(marks) == 1) or isinstance(event, Finished):
            marks.append(mark())

    with tempfile.TemporaryDirectory() as folder:
        run(replace(plan, data=data, total=count), Path(folder) / "run", emit)
        marks.append(mark())
        write(Path(folder) / "run")
        marks.append(mark())
    return marks


def row(count: int, marks: list[Mark]) -> list[str]:
    zero, first, last, _, pages = marks
    return [
        f"{count:,}",
        f"{(last.cpu - first.cpu) / count * 1e6:,.0f} us",
        *(f"{b.cpu - a.cpu:,.1f} s" for a, b in pairwise(marks)),
        f"{pages.wall - zero.wall:,.0f} s",
        f"{first.memory:,.0f} MB",
        f"{last.memory - first.memory:,.1f} MB",
        f"{pages.memory - last.memory:,.1f} MB",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--digits", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--board", default="native")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        marks = measure(arguments.one, arguments.board)
        print(json.dumps([(m.cpu, m.wall, m.memory) for m in marks]))
        return
    rows = []
    for count in arguments.digits:
        words = [sys.executable, __file__, "--one", str(count), "--board", arguments.board]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
        rows.append(row(count, [Mark(*found) for found in json.loads(done.stdout)]))
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines))


if __name__ == "__main__":
    main()
