# SPDX-License-Identifier: Apache-2.0
"""Is a wrong number ever accepted? Compares every answer over a disturbed line with the truth.

The board is `hil.testing.board.FakeBoard`, or the firmware's own session and decoder in C, compiled
for this machine. Only silence takes time on this line, on its own clock.
"""

from __future__ import annotations

import ctypes
import itertools
import random
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from hil.core.errors import DeviceError, LinkError
from hil.core.records import DType, Encoding, Hello, LineCounts, ModelInfo, TensorSpec
from hil.device import Device, Timing
from hil.link.chaos import BOOT_TEXT, Chaos, ChaosLink
from hil.testing.board import Answering, FakeBoard, InstantLink

FIRMWARE: Final = Path(__file__).parents[1] / "firmware"
LIBRARY: Final = Path(__file__).parents[1] / "tests" / "firmware" / "session_library.c"
WINDOW: Final = 4
INPUT: Final = 4  # bytes: such requests still pass at a bit error rate of 1e-2
REPLIES: Final = 1 << 16  # bytes of replies per write
CLEAR: Final = 1000  # frames after which the fake board's record is cleared


class Board(Answering, Protocol):
    """A board that answers and can be restarted."""

    def restart(self) -> None:
        """Forget everything, as a reset does."""
        ...


class PythonBoard:
    """The fake board, whose output depends on every bit of the input."""

    def __init__(self) -> None:
        shape = TensorSpec(DType.INT8, (1, INPUT), 1 / 256, -128)
        output = TensorSpec(DType.INT8, (1, 2), 0.125, 0)
        model = ModelInfo("student", "aot", "ab" * 32, shape, output, arena=64, flash=128)
        self._hello = Hello(1, "fake", "", "", WINDOW, 64, 0, False, (model,))
        self.restart()

    def restart(self) -> None:
        self._board = FakeBoard(self._hello, lambda _model, values: self.truth(values))

    def answer(self, data: bytes) -> bytes:
        if len(self._board.received) > CLEAR:
            self._board.received.clear()
        return self._board.answer(data)

    @staticmethod
    def truth(values: bytes) -> bytes:
        """The right answer."""
        return zlib.crc32(values).to_bytes(4, "little")[:2]


class SessionBoard:
    """The firmware's C session over its fake image, from a library of `build_session`."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._replies = ctypes.create_string_buffer(REPLIES)
        self.restart()

    def restart(self) -> None:
        self._library.session_boot()

    def answer(self, data: bytes) -> bytes:
        got = self._library.session_feed(data, len(data), self._replies, REPLIES)
        return self._replies.raw[:got]

    @staticmethod
    def truth(values: bytes) -> bytes:
        """The right answer (firmware/test/fake_image): first byte, last byte, XOR of all four."""
        return bytes((values[0], values[3], values[0] ^ values[1] ^ values[2] ^ values[3]))


def build_session(folder: Path) -> Path:
    """The C session as a shared library in ``folder``; needs gcc."""
    made = folder / "session.so"
    library = FIRMWARE / "lib" / "TinymlHil" / "src"
    include = ["-DHIL_WITH_IMAGE", f"-I{library}"]
    include += [f"-I{library / name}" for name in ("hil_engine", "hil_wire", "hil_session")]
    include += [f"-I{FIRMWARE / name}" for name in ("port", "test", "test/fake_image")]
    sources = [
        LIBRARY,
        *sorted(library.glob("hil_wire/*.c")),
        *sorted(library.glob("hil_session/*.c")),
        FIRMWARE / "test" / "fake_image" / "hil_image.c",
    ]
    command = ["gcc", "-std=c11", "-O2", "-shared", "-fPIC", *include, *map(str, sources)]
    subprocess.run([*command, "-lm", "-o", str(made)], check=True, stdin=subprocess.DEVNULL)
    return made


@dataclass
class SoakedLink(InstantLink):
    """A link to a `Board` that takes no time and can restart the board."""

    board: Board

    def reset(self) -> None:
        """Restart the board, whose ROM prints its boot text."""
        self.board.restart()
        self.arrive(BOOT_TEXT[0])


@dataclass(frozen=True, slots=True)
class Soaked:
    """The result. ``frames``: sent, received and damaged ones, in both directions. ``ended``: how
    many streams ended with an error of the harness, by its name, and were started again."""

    frames: int
    answers: int
    wrong: int
    faults: dict[str, int]
    ended: dict[str, int]
    counts: LineCounts
    seconds: float


def soak(
    board: Board,
    truth: Callable[[bytes], bytes],
    chaos: Chaos,
    frames: int,
    *,
    prepare: Callable[[Device], None] = lambda _: None,
) -> Soaked:
    """Ask until ``frames`` have crossed, and compare every accepted answer with ``truth``."""
    started = time.monotonic()
    inner = SoakedLink(board)
    link = ChaosLink(inner, chaos, reset=inner.reset)
    device = Device(link, Timing(boot=3, reply=2, clock=inner.clock), number=1)
    prepare(device)
    ended: Counter[str] = Counter()
    wrong = index = 0
    while _crossed(device) < frames:
        try:
            inputs = (_input(chaos.seed, i) for i in itertools.count(index))
            for answer in device.infer(0, Encoding.INT8, inputs, window=WINDOW, first=index):
                wrong += answer.index != index
                wrong += answer.result.output != truth(_input(chaos.seed, index))
                index += 1
                if _crossed(device) >= frames:
                    break
        except DeviceError as problem:
            ended[type(problem).__name__] += 1
            if isinstance(problem, LinkError):
                inner.now += chaos.cut_s
    seconds = time.monotonic() - started
    return Soaked(
        _crossed(device), index, wrong, link.injected, dict(ended), device.counts, seconds
    )


def _crossed(device: Device) -> int:
    counts = device.counts
    return counts.frames_out + counts.frames_in + counts.damaged_in


def _input(seed: int, index: int) -> bytes:
    """Reproducible, and different for each index."""
    return random.Random(seed << 32 | index).randbytes(INPUT)


def storms(seed: int) -> Iterator[Chaos]:
    """Bit error rates of 1e-5 to 1e-2, each with all other faults."""
    for flip in (1e-5, 1e-4, 1e-3, 1e-2):
        yield Chaos(
            seed,
            flip=flip,
            drop=1e-4,
            duplicate=1e-4,
            delay=1e-4,
            reorder=1e-4,
            inject=1e-3,
            replay=1e-1,
            freeze=1e-4,
            reset=1e-4,
            cut=1e-4,
        )
