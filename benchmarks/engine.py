"""Instructions, arena and flash of the engine `aot` on the emulated Cortex-M7, beside TFLM's.

    python benchmarks/engine.py

Counts are exact and the same on every machine, so there is no run-to-run noise to average. TFLM's
rows were measured once on the same machine model, compiler and flags (`tflm.toml` says how);
its sources cannot be had everywhere, so they are not built here.
"""

from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path

from hil import datasets
from hil.bench import Request, make_plan, run
from hil.bench.events import Event
from hil.report import write
from hil.runlog.schema import SummaryRow

HERE = Path(__file__).parent
DIGITS = 20


def measure() -> dict[str, SummaryRow]:
    """One summary row for each of the four models, by `model precision`."""
    dataset, note = datasets.choose("auto")
    print(note or f"data set: {dataset}")
    plan = make_plan(Request(project=HERE.parent, dataset=dataset, limit=DIGITS))
    with tempfile.TemporaryDirectory() as folder:
        run(plan, Path(folder), ignore)
        rows = write(Path(folder)).summary.runs
    return {f"{row.model} {row.precision}": row for row in rows}


def ignore(_: Event) -> None:
    """The table at the end is enough."""


def main() -> None:
    tflm = tomllib.loads((HERE / "tflm.toml").read_text())
    head = f"{'network':<16}{'engine':<16}{'instructions':>14}{'arena B':>10}{'flash B':>10}"
    print(f"{head}{'x instr.':>10}{'x arena':>9}")
    for name, row in measure().items():
        assert row.memory is not None and row.time.median is not None
        flash = row.memory.flash_model + row.memory.flash_code
        print(f"{name:<16}{'aot':<16}{row.time.median:>14,.0f}{row.memory.arena:>10,}{flash:>10,}")
        for engine, figures in tflm[name].items():
            count, arena, size = figures["instructions"], figures["arena"], figures["flash"]
            print(
                f"{'':<16}{engine:<16}{count:>14,}{arena:>10,}{size:>10,}"
                f"{count / row.time.median:>10.1f}{arena / row.memory.arena:>9.1f}"
            )


if __name__ == "__main__":
    main()
