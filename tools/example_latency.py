# SPDX-License-Identifier: Apache-2.0
"""Writes results/example-latency: what a report of a board with a clock looks like.

python -m tools.example_latency      # half a minute; replaces the folder

No board takes part, so its latency is not a measurement: a fake board waits as long as a formula
says, and answers what the oracle and LiteRT compute. LiteRT's latency on the host is measured.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hil.bench import Request, make_plan, run
from hil.bench.cases import Program
from hil.bench.host import HostTiming
from hil.bench.lab import Firmware
from hil.boards.config import Board, BoardClock
from hil.boards.station import Station, only_station
from hil.core.records import Precision
from hil.link import Link
from hil.report import write
from hil.testing.board import FakeLink
from hil.testing.lab import FakeLab
from hil.testing.lines import paced
from hil.tflite import Graph
from tools import PROJECT

SAMPLES = 100
BAUD = 1_000_000
# microseconds per multiply-accumulate, and of everything else
PER_MAC = {Precision.FLOAT32: 0.04, Precision.INT8: 0.015}
FIXED = 200.0
UNKNOWN = (0, 0, 0, 0xFFFFFFFF)  # a board that reports neither its RAM nor its stack and heap
NOTE = (
    "This is an example of a report, not a measurement of a board: a fake clock plays the board. "
    "It takes as long as a formula says and answers what the oracle and LiteRT compute. LiteRT's "
    "latency on the host is measured."
)
FAKE = Board(
    name="fake-clock",
    title="a board played by a fake clock: not a measurement",
    pio_env="",
    clock=BoardClock(
        unit="us",
        source="micros",
        detail="fake: a formula of the network's multiply-accumulates, and chance from a seed",
    ),
)


@dataclass
class FakeClock:
    """Latencies of made-up size, in microseconds: a fixed part, one for each multiply-accumulate,
    and in one of fifty inferences an interrupt."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def __call__(self, graph: Graph) -> int:
        late = self.rng.uniform(0, 0.1) if self.rng.random() < 0.02 else 0.0
        jitter = 1 + self.rng.gamma(2.0, 0.002) + late
        return round((FIXED + PER_MAC[graph.precision] * graph.macs) * jitter)


@dataclass
class ClockedLab(FakeLab):
    """Fake boards that take as long as `FakeClock` says, in real time."""

    takes: FakeClock = field(default_factory=FakeClock)

    def build(self, image: Program, project: Path) -> Firmware:
        """An image of unknown size: nothing is compiled."""
        return replace(super().build(image, project), flash=None, ram=None, toolchain="none")

    @contextmanager
    def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
        """A board that sleeps for its latency, then answers; its models are those of the plan."""
        graphs = [network.graph for network in self.built[_number(firmware)].networks]
        with super().open(station, image, firmware) as link:
            assert isinstance(link, FakeLink)
            board, answers, taken = link.board, link.board.infer, 0

            def infer(model: int, values: bytes) -> bytes:
                nonlocal taken
                until, taken = time.monotonic(), self.takes(graphs[model])
                output = answers(model, values)
                time.sleep(max(0.0, until + taken / 1e6 - time.monotonic()))
                return output

            board.hello = replace(board.hello, models=tuple(m.info for m in firmware.compiled))
            board.marks, board.infer, board.micros = UNKNOWN, infer, lambda _: taken
            with paced(link, BAUD) as near:
                yield near


def _number(firmware: Firmware) -> int:
    assert firmware.file is not None
    return int(firmware.file.stem)


def make(folder: Path, dataset: str, samples: int) -> None:
    """Bench the fake board into ``folder``, and write its report."""
    station = only_station(FAKE)
    request = Request(PROJECT, boards=(station,), dataset=dataset, limit=samples)
    plan = replace(make_plan(request), note=NOTE)
    run(plan, folder, lambda _: None, ClockedLab(), host=HostTiming())
    write(folder)


def main() -> None:
    """Replace the committed example."""
    folder = PROJECT / "results" / "example-latency"
    shutil.rmtree(folder, ignore_errors=True)
    sys.argv[:] = ["hil", "python", "-m", "tools.example_latency"]  # for the manifest
    make(folder, "mnist", SAMPLES)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder.relative_to(PROJECT)}: {size:,} bytes")


if __name__ == "__main__":
    main()
