# SPDX-License-Identifier: Apache-2.0
"""The cost of link faults, and a check that they never cause a wrong number, as Markdown.

    python benchmarks/faults.py [--digits 2000]     # throughput, on a simulated line
    python benchmarks/faults.py --soak 1000000 [--board session]   # frames, answers, wrong ones

Both give the same figures on every machine, except for the time they take. The first streams MNIST
in PackBits at 115200 baud over `hil.testing.lines`, to a board that computes in no time, so that
only the line counts. The second asks the fake board, or the firmware's C session, on a line that
takes no time.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from link import OUTPUT, hello
from soaking import PythonBoard, SessionBoard, Soaked, build_session, soak, storms

from hil import datasets
from hil.core.errors import LineHopeless
from hil.core.records import Encoding, LineCounts
from hil.device import Device, Timing
from hil.link.chaos import Chaos, ChaosLink, parse_chaos
from hil.testing.board import FakeBoard
from hil.testing.lines import Computing, PacedLink

BAUD: Final = 115_200
SEED: Final = 1
BOARDS: Final = ((8, 8192), (4, None), (1, 0))  # window, room: an ESP32, an emulator, any other
LINES: Final = (
    "",
    "flip=1e-6",
    "flip=1e-5",
    "flip=1e-4",
    "flip=3e-4",
    "flip=1e-3",
    "flip=3e-3",
    "flip=1e-2",
    "drop=1e-5",
    "drop=1e-4",
    "drop=1e-3",
    "duplicate=1e-3",
    "reorder=1e-3",
    "delay=1e-4",
    "inject=1e-2",
    "replay=1e-1",
    "freeze=1e-3",
    "flip=1e-4,drop=1e-5,duplicate=1e-5,delay=1e-5,reorder=1e-5,inject=1e-3,replay=1e-2,freeze=1e-4",
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def stream(
    digits: Sequence[bytes], chaos: Chaos, window: int, room: int | None
) -> tuple[float, LineCounts, int, str]:
    """Seconds on the line, counts, disturbed answers, and how it ended ("": all were answered)."""
    board = FakeBoard(hello(room), Computing(lambda _model, _values: OUTPUT, 0.0))
    line = PacedLink(board, BAUD, room=room)
    device = Device(ChaosLink(line, chaos), Timing(clock=line.clock), number=1)
    disturbed = 0
    try:
        for answer in device.infer(0, Encoding.PIXELS, digits, window=window, room=room, pack=True):
            assert answer.result.output == OUTPUT
            disturbed += answer.disturbed
            board.received.clear()
    except LineHopeless:
        return line.now, device.counts, disturbed, f"hopeless, reported after {line.now:.0f} s"
    return line.now, device.counts, disturbed, ""


def throughput(digits: Sequence[bytes]) -> None:
    for window, room in BOARDS:
        clean, rows = 0.0, []
        for text in LINES:
            seconds, counts, disturbed, ended = stream(
                digits, parse_chaos(f"{SEED}:{text}"), window, room
            )
            clean = clean or seconds
            rows.append(
                [
                    f"`{text}`" if text else "clean",
                    ended or f"{len(digits) / seconds:.1f}",
                    "" if ended else f"{clean / seconds:.1%}",
                    f"{counts.retries:,}",
                    f"{counts.damaged_out:,}",
                    f"{counts.damaged_in:,}",
                    f"{counts.timeouts:,}",
                    "" if ended else f"{disturbed / len(digits):.1%}",
                ]
            )
        kept = "any number of bytes" if room is None else f"{room:,} bytes"
        print(f"\nWindow {window}, room for {kept}:\n")
        print(
            table(
                (
                    "faults",
                    "digits/s",
                    "relative to a clean line",
                    "requests repeated",
                    "damaged, seen by the board",
                    "damaged, seen by the host",
                    "timeouts",
                    "answers disturbed",
                ),
                rows,
            ),
            flush=True,
        )


def soaked(chaos: Chaos, found: Soaked) -> list[str]:
    done = ", ".join(f"{name} {count:,}" for name, count in sorted(found.faults.items()))
    ended = ", ".join(f"{name} {count:,}" for name, count in sorted(found.ended.items()))
    return [
        f"{chaos.flip:g}",
        f"{found.frames:,}",
        f"{found.answers:,}",
        f"**{found.wrong}**",
        f"{found.counts.retries:,}",
        f"{found.counts.damaged_out + found.counts.damaged_in:,}",
        f"{found.counts.unexpected:,}",
        done,
        ended or "none",
        f"{found.seconds:.0f} s",
    ]


def soak_table(frames: int, board: PythonBoard | SessionBoard, seed: int) -> int:
    """Print the table; how many wrong answers were accepted."""
    rows, wrong = [], 0
    rates = list(storms(seed))
    for chaos in rates:
        found = soak(board, board.truth, chaos, frames // len(rates))
        wrong += found.wrong
        rows.append(soaked(chaos, found))
    head = ("bit errors", "frames", "answers", "wrong", "repeated", "damaged", "unexpected")
    print(table((*head, "faults injected", "streams ended by", "run time"), rows))
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--digits", type=int, default=2000)
    parser.add_argument("--soak", type=int, metavar="FRAMES")
    parser.add_argument("--board", choices=("python", "session"), default="python")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    if arguments.soak:
        with tempfile.TemporaryDirectory() as folder:
            session = arguments.board == "session"
            board = SessionBoard(build_session(Path(folder))) if session else PythonBoard()
            raise SystemExit(1 if soak_table(arguments.soak, board, arguments.seed) else 0)
    name, note = datasets.choose("auto")
    digits = [digit.tobytes() for digit in datasets.load(name).x[: arguments.digits]]
    print(f"{len(digits):,} digits of {name}{f' ({note})' if note else ''}")
    throughput(digits)


if __name__ == "__main__":
    main()
