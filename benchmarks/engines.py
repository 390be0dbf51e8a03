# SPDX-License-Identifier: Apache-2.0
"""Compares engines on every network, precision and board. Prints Markdown.

    python benchmarks/engines.py [--limit DIGITS] [--store]

TFLM is built and run if HIL_TFLM_DIR (and HIL_CMSIS_NN_DIR) name a source tree (docs/engines.md);
otherwise its rows are those of `tflm.toml`, and are marked. `--store` writes that file from this
run. bakenn's rows need its package. Instruction counts of an emulator are exact, so there is no
run-to-run noise to average.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TypeAlias

from hil import datasets
from hil.bench import Request, make_plan, run
from hil.bench.events import Event
from hil.boards.config import load_board
from hil.boards.station import missing_tools
from hil.core.files import replace_file
from hil.report import Report, write

HERE = Path(__file__).parent
STORE = HERE / "tflm.toml"
BOARDS = ("mps2", "rv32", "mega2560")
TREE, CMSIS_NN = "HIL_TFLM_DIR", "HIL_CMSIS_NN_DIR"
KERNELS = "HIL_BAKENN"
COLUMNS = ("board", "network", "engine", "instructions", "arena B", "flash B", "differing outputs")
ABOUT = """\
# TensorFlow Lite Micro on the emulated boards, for machines without its sources.
# Written by `python benchmarks/engines.py --store`; networks of models/{dataset}.
# `flash`: bytes of the network's constants plus all code of the image with both networks.
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one network needs. Bytes; ``instructions`` is None without a clock that counts them."""

    instructions: int | None
    arena: int
    flash: int
    differing: int
    outputs: int

    def cells(self, mark: str = "") -> list[str]:
        count = "n/a" if self.instructions is None else f"{self.instructions:,}"
        differing = f"{self.differing} of {self.outputs:,}{mark}"
        return [count, f"{self.arena:,}", f"{self.flash:,}", differing]


Table: TypeAlias = dict[str, Figures]  # by `model precision`


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine as it is built here: its name, the source trees it needs, its boards."""

    title: str
    name: str
    wants: tuple[str, ...] = ()
    boards: tuple[str, ...] = BOARDS
    package: str = ""  # the Python package that generates it
    kernels: str = ""  # value of HIL_BAKENN; empty: the chip's own

    @property
    def lacks(self) -> list[str]:
        lacking = [variable for variable in self.wants if not os.environ.get(variable)]
        absent = self.package and importlib.util.find_spec(self.package) is None
        return [*lacking, self.package] if absent else lacking


ENGINES = (
    Engine("aot", "aot"),
    Engine("tflm", "tflm", (TREE,)),
    Engine("tflm+CMSIS-NN", "tflm", (TREE, CMSIS_NN), ("mps2",)),
    Engine("bakenn+CMSIS-NN", "bakenn", (), ("mps2",), "bakenn"),
    Engine("bakenn+ESP-NN's C", "bakenn", (), ("rv32",), "bakenn", "esp32"),
    Engine("bakenn", "bakenn", (), BOARDS, "bakenn", "portable"),
)


@contextmanager
def only(wanted: Iterable[str], kernels: str = "") -> Iterator[None]:
    """The environment with only the source trees ``wanted``, and bakenn's ``kernels``."""
    hidden = {key: os.environ.pop(key, None) for key in {TREE, CMSIS_NN, KERNELS} - set(wanted)}
    os.environ[KERNELS] = kernels
    try:
        yield
    finally:
        del os.environ[KERNELS]
        os.environ.update({key: value for key, value in hidden.items() if value})


def measure(board: str, engine: Engine, dataset: str, limit: int) -> Table:
    """Bench both networks in all precisions that ``board`` can hold."""
    with only(engine.wants, engine.kernels), tempfile.TemporaryDirectory() as folder:
        project, engines = HERE.parent, (engine.name,)
        plan = make_plan(Request(project, (board,), engines=engines, dataset=dataset, limit=limit))
        run(plan, Path(folder), ignore)
        return figures(write(Path(folder)))


def figures(report: Report) -> Table:
    table = {}
    for plan, row in zip(report.manifest.runs, report.summary.runs, strict=True):
        assert row.memory
        assert row.memory.arena is not None
        assert row.memory.flash is not None
        assert row.agreement
        assert row.agreement.differing_oracle is not None
        table[f"{row.model} {row.precision}"] = Figures(
            None if row.time.median is None else round(row.time.median),
            row.memory.arena,
            row.memory.flash,
            row.agreement.differing_oracle,
            row.n * prod(plan.output.shape),
        )
    return table


def ignore(_: Event) -> None:
    """Show no progress: the table at the end is enough."""


def stored() -> dict[str, dict[str, Table]]:
    """Board -> engine's title -> figures."""
    found = tomllib.loads(STORE.read_text())
    return {
        board: {
            title: {network: Figures(**values) for network, values in table.items()}
            for title, table in engines.items()
        }
        for board, engines in found.items()
    }


def store(tables: dict[tuple[str, str], Table], dataset: str) -> None:
    """Write the figures of TFLM that were measured now, and keep the others."""
    kept = {
        (board, title): t for board, engines in stored().items() for title, t in engines.items()
    }
    lines = [ABOUT.format(dataset=dataset)]
    for (board, title), table in sorted({**kept, **tables}.items()):
        lines.append(f'[{board}."{title}"]\n')
        for network, it in table.items():
            lines.append(
                f'"{network}" = {{ instructions = {it.instructions}, arena = {it.arena}, '
                f"flash = {it.flash}, differing = {it.differing}, outputs = {it.outputs} }}\n"
            )
        lines.append("\n")
    replace_file(STORE, "".join(lines).rstrip("\n").encode() + b"\n")


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="The engine table, in Markdown.")
    parser.add_argument("--limit", type=int, default=20, help="digits per network (default: 20)")
    parser.add_argument("--store", action="store_true", help="write tflm.toml from this run")
    options = parser.parse_args()
    dataset, note = datasets.choose("auto")
    old, new, notes = stored(), {}, [note] if note else []
    print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n")
    for board in BOARDS:
        found = load_board(board)
        for engine in (it for it in ENGINES if board in it.boards):
            mark = ""
            if why := found.refused_engines.get(engine.name):
                notes.append(f"{engine.title} on {board}: {why}")
                print(line([board, "all", engine.title, "does not fit", "", "", ""]))
                continue
            if lacks := [*missing_tools(found), *engine.lacks]:
                table, mark = old.get(board, {}).get(engine.title, {}), " *"
                what = "stored in tflm.toml (*)" if table else "no figures"
                notes.append(f"{engine.title} on {board}: {what}; missing here: {', '.join(lacks)}")
            else:
                table = measure(board, engine, dataset, options.limit)
                if engine.wants:
                    new[board, engine.title] = table
            for network, figures in table.items():
                print(line([board, network, engine.title, *figures.cells(mark)]), flush=True)
    print("", f"Data set: {dataset}.", *notes, sep="\n")
    if options.store:
        store(new, dataset)


if __name__ == "__main__":
    main()
