# SPDX-License-Identifier: Apache-2.0
"""A fake board with one tiny model, and a device on it."""

from __future__ import annotations

from collections.abc import Iterable

from hil.core.records import DType, Hello, ModelInfo, TensorSpec
from hil.device import Device, Timing
from hil.testing.board import FakeBoard, FakeLink, Fault

MODEL = ModelInfo(
    name="student",
    engine="aot",
    sha256="ab" * 32,
    input=TensorSpec(DType.INT8, (1, 4), 1 / 256, -128),
    output=TensorSpec(DType.INT8, (1, 2), 0.125, 0),
    arena=64,
    flash=128,
)
HELLO = Hello(
    protocol=1,
    board="fake",
    firmware="0.1.0",
    toolchain="python",
    window=4,
    max_payload=64,
    tick_hz=1000,
    has_micros=True,
    models=(MODEL,),
)


def fake_device(
    *, faults: Iterable[Fault | None] = (), version: int = 1, hello: Hello = HELLO
) -> tuple[Device, FakeLink]:
    """A device whose model answers the first two input bytes, in 7 ticks and 9 us."""
    board = FakeBoard(
        hello,
        infer=lambda _model, values: values[:2],
        faults=faults,
        version=version,
        ticks=lambda _: 7,
        micros=lambda _: 9,
    )
    link = FakeLink(board)
    return Device(link, Timing(boot=3, reply=1, clock=link.clock)), link
