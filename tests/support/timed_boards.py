# SPDX-License-Identifier: Apache-2.0
"""Boards with realistic times: seeded latencies, answered over the fake link."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil.core.records import Encoding
from hil.device import Device, Timing
from hil.runs.load import StoredRun
from hil.runs.schema import Sample
from hil.testing.board import FakeBoard, FakeLink
from tests.support import reports
from tests.support.device import HELLO

PLAN = reports.plan(board="esp32", unit="us", classes=2)


@dataclass(frozen=True)
class Noise:
    """How a board's times vary, as shares of the time: with the digit, which every board shares;
    from boot to boot (cache, temperature); from inference to inference; and in ``late`` of them an
    interrupt takes up to ``by``."""

    digit: float = 0.02
    boot: float = 0.003
    jitter: float = 0.01
    late: float = 0.02
    by: float = 0.3


def latencies(seed: int, n: int, micros: float, noise: Noise) -> list[int]:
    """The times of one run, in whole microseconds, as ``micros()`` counts."""
    digits = np.random.default_rng(0).normal(0, noise.digit, n)
    rng = np.random.default_rng([1, seed])
    factor = 1 + rng.normal(0, noise.boot)
    late = (rng.random(n) < noise.late) * rng.uniform(0, noise.by, n)
    times = micros * factor * (1 + digits) * (1 + rng.normal(0, noise.jitter, n) + late)
    return [max(int(time), 1) for time in times]


def bench(seed: int, n: int = 100, micros: float = 2000.0, noise: Noise | None = None) -> StoredRun:
    """One run of ``n`` digits on its own board, with every answer over the wire."""
    times = iter(latencies(seed, n, micros, noise or Noise()))
    board = FakeBoard(HELLO, infer=lambda _, values: values[:2], micros=lambda _: next(times))
    link = FakeLink(board)
    device = Device(link, Timing(boot=3, reply=1, clock=link.clock))
    device.hello()
    inputs = ([i % 100, 50, 0, 0] for i in range(n))
    samples = []
    for answer in device.infer(0, Encoding.INT8, map(bytes, inputs), window=HELLO.window):
        samples.append(
            Sample(
                run=PLAN.key,
                i=answer.index,
                id=f"made-{answer.index}",
                label=answer.index % 2,
                device=answer.result.output,
                time=answer.result.micros,
            )
        )
    return StoredRun(reports.manifest(PLAN, n=n), {PLAN.key: tuple(samples)}, {}, torn=False)
