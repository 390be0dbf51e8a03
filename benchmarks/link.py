# SPDX-License-Identifier: Apache-2.0
"""Throughput of raw inputs, PackBits and MLPerf Tiny's protocol on the same line, as Markdown.

    python benchmarks/link.py [--digits 10000]                      # a simulated line
    python benchmarks/link.py --real [--digits 500] [--baud 115200] # real firmware, a real pty

The first is exact: `hil.testing.lines` counts ten bits per byte, so that nothing depends on this
machine. The host's side is that of `hil bench`. The second puts a paced pty between it and the
firmware for this machine, in real time.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from hil import datasets
from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.core.records import DType, Encoding, Hello, ModelInfo, TensorSpec
from hil.device import Device, Timing
from hil.firmware import build
from hil.mlperf.dut import Dut, DutTiming
from hil.testing.board import FakeBoard
from hil.testing.lines import BITS, Computing, PacedLink, paced
from hil.testing.mlperf import FakeDut
from hil.wire.packbits import pack

PROJECT: Final = Path(__file__).parents[1]
BAUDS: Final = (115_200, 921_600)
MILLISECONDS: Final = (0, 5, 20, 50)
WINDOW, ROOM = 8, 8192  # an ESP32's
OUTPUT: Final = bytes(range(10))


@dataclass(frozen=True, slots=True)
class Row:
    """One protocol on one line. ``line``: seconds that the bytes sent take at the rate."""

    baud: int
    way: str
    milliseconds: int
    digits: int
    seconds: float
    bytes_out: int
    retries: int = 0

    @property
    def line(self) -> float:
        return self.bytes_out * BITS / self.baud

    @property
    def bound(self) -> float:
        return max(self.line, self.digits * self.milliseconds / 1000)

    def cells(self) -> list[str]:
        payload = self.digits * 784 * BITS / self.baud / self.seconds
        return [
            f"{self.baud:,}",
            self.way,
            f"{self.milliseconds} ms" if self.milliseconds else "none",
            f"{self.bytes_out / self.digits:,.1f}",
            f"{self.digits / self.seconds:,.1f}",
            f"{self.seconds:,.1f}",
            f"{self.line / self.seconds:.3f}",
            f"{payload:.3f}",
            f"{self.seconds / self.bound:.3f}",
        ]


COLUMNS: Final = (
    "baud",
    "protocol",
    "inference",
    "bytes per digit",
    "digits/s",
    "seconds",
    "line in use",
    "digit bytes / line capacity",
    "time / max(line, inference)",
)


def hello(room: int | None) -> Hello:
    """A board with one model of a digit."""
    model = ModelInfo(
        name="student",
        engine="aot",
        sha256="ab" * 32,
        input=TensorSpec(DType.INT8, (1, 28, 28, 1), 1 / 255, -128),
        output=TensorSpec(DType.INT8, (1, 10), 0.125, 0),
        arena=0,
        flash=0,
    )
    return Hello(1, "paced", "", "", WINDOW, 4096, 0, False, (model,), unpacks=True, room=room)


def ours(digits: Sequence[bytes], baud: int, milliseconds: int, *, packs: bool) -> Row:
    """Our protocol, as `hil bench` streams it."""
    computing = Computing(lambda _model, _values: OUTPUT, milliseconds / 1000)
    board = FakeBoard(hello(ROOM), computing)
    link = PacedLink(board, baud, computing.spent, ROOM)
    device = Device(link, Timing(clock=link.clock))
    found = device.infer(0, Encoding.PIXELS, digits, window=WINDOW, room=ROOM, pack=packs)
    for answer in found:
        assert answer.result.output == OUTPUT
        board.received.clear()
    way = "PackBits" if packs else "raw"
    assert link.lost == 0
    return Row(baud, way, milliseconds, len(digits), link.now, link.bytes_out, device.retries)


def alone(digits: Sequence[bytes], baud: int, milliseconds: int) -> Row:
    """A board without a receive buffer: one raw request at a time."""
    computing = Computing(lambda _model, _values: OUTPUT, milliseconds / 1000)
    board = FakeBoard(hello(0), computing)
    link = PacedLink(board, baud, computing.spent, 0)
    device = Device(link, Timing(clock=link.clock))
    for _ in device.infer(0, Encoding.PIXELS, digits, window=1, room=0):
        board.received.clear()
    assert link.lost == 0
    return Row(baud, "raw, credit 1", milliseconds, len(digits), link.now, link.bytes_out)


def tiny(digits: Sequence[bytes], baud: int, milliseconds: int) -> Row:
    """MLPerf Tiny's protocol."""
    computing = Computing(lambda _model, _values: OUTPUT, milliseconds / 1000)

    def infer(values: bytes) -> list[float]:
        return [byte / 10 for byte in computing(0, values)]

    laps = itertools.cycle((1_000_000, 1_020_000))
    link = PacedLink(FakeDut(infer, micros=laps.__next__), baud, computing.spent, end=b"%")
    dut = Dut(link, DutTiming(clock=link.clock))
    for digit in digits:
        dut.run(digit)
    return Row(baud, "MLPerf Tiny", milliseconds, len(digits), link.now, link.bytes_out)


def table(rows: Sequence[Row]) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def virtual(digits: Sequence[bytes]) -> None:
    rows = []
    for baud in BAUDS:
        rows.append(ours(digits, baud, 0, packs=False))
        rows += [ours(digits, baud, ms, packs=True) for ms in MILLISECONDS]
        rows += [alone(digits, baud, 0), tiny(digits, baud, 0)]
    print(table(rows))
    packed = [len(pack(digit)) for digit in digits]
    print(f"\nPackBits: a digit of 784 bytes takes {np.mean(packed):.1f} ", end="")
    print(f"({min(packed)} to {max(packed)}).")


def real(digits: Sequence[bytes], baud: int) -> None:
    """The firmware for this machine behind a pty that is as slow as a line."""
    board = load_board("native", PROJECT)
    student = PROJECT / "models" / "mnist" / "student_int8.tflite"
    firmware = build(board.pio_env, [("student", student)], "aot", PROJECT)
    rows = []
    for packs in (False, True):
        with open_board(board, firmware.elf) as direct, paced(direct, baud) as link:
            device = Device(link)
            said = device.hello()
            sent, started = device.bytes_out, time.monotonic()
            found = device.infer(
                0, Encoding.PIXELS, digits, window=said.window, room=said.room, pack=packs
            )
            count = sum(1 for _ in found)
            seconds = time.monotonic() - started
        way = f"{'PackBits' if packs else 'raw'}, real pty"
        rows.append(Row(baud, way, 0, count, seconds, device.bytes_out - sent, device.retries))
    print(table(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--digits", type=int)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--baud", type=int, default=115_200)
    arguments = parser.parse_args()
    count = arguments.digits or (500 if arguments.real else 10_000)
    name, note = datasets.choose("auto")
    digits = [digit.tobytes() for digit in datasets.load(name).x[:count]]
    print(f"{len(digits):,} digits of {name}{f' ({note})' if note else ''}\n")
    if arguments.real:
        real(digits, arguments.baud)
    else:
        virtual(digits)


if __name__ == "__main__":
    main()
