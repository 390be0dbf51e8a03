# SPDX-License-Identifier: Apache-2.0
"""What is timed is `invoke` alone, in order, after warm-up; on a clock of the test's own."""

from __future__ import annotations

import gc
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil.core.errors import HilError, ModelError
from hil.reference import KERNELS, Kernels, litert_version, time_invokes, xnnpack_version
from hil.reference.latency import WARM_UP_LEAST, WARM_UP_MOST, WARM_UP_NS, measure
from tests.support.tflite import float_cnn

X = list(np.arange(6, dtype=np.float32).reshape(6, 1))


class Machine:
    """An interpreter whose invoke takes ``cost(calls so far)`` nanoseconds of its own clock.

    Everything else takes time as well, which must not be measured.
    """

    def __init__(self, cost: list[int]) -> None:
        self.cost = cost
        self.now = 0
        self.done: list[str] = []
        self.given: list[float] = []

    def give(self, sample: npt.NDArray[np.generic]) -> None:
        self.done.append("give")
        self.given.append(float(sample[0]))
        self.now += 7_000

    def invoke(self) -> None:
        self.done.append("invoke")
        calls = self.done.count("invoke") - 1
        self.now += self.cost[min(calls, len(self.cost) - 1)]

    def clock(self) -> int:
        self.done.append("clock")
        return self.now


def test_invoke_alone_is_timed() -> None:
    warm_up = WARM_UP_NS // WARM_UP_LEAST
    costs = [900, *[warm_up] * WARM_UP_LEAST, 11, 12, 13, 14, 15, 16]
    machine = Machine(costs)
    assert measure(machine.give, machine.invoke, X, machine.clock) == (
        900,
        (11, 12, 13, 14, 15, 16),
    )
    assert machine.given[-6:] == [0, 1, 2, 3, 4, 5]  # the run's order
    assert machine.given[: 1 + WARM_UP_LEAST] == [0, 1, 2, 3, 4, 5]
    words = "".join({"give": "g", "invoke": "i", "clock": "c"}[one] for one in machine.done)
    assert words.endswith("gcic" * 6)


@pytest.mark.parametrize(
    ("cost", "invokes"),
    [
        (WARM_UP_NS, WARM_UP_LEAST),  # slow: the fewest
        (WARM_UP_NS // 20 - 7_000, 20),  # until the time is over
        (0, WARM_UP_MOST),  # 7 us each, which is not long enough before the most
    ],
)
def test_warm_up_takes_enough_time_and_enough_invokes(cost: int, invokes: int) -> None:
    machine = Machine([900, *[cost] * invokes, 5])
    first, times = measure(machine.give, machine.invoke, X, machine.clock)
    assert (first, set(times)) == (900, {5})
    assert machine.done.count("invoke") == 1 + invokes + len(X)


def test_a_clock_that_stands_still_ends() -> None:
    done: list[None] = []
    first, times = measure(lambda _: None, lambda: done.append(None), X[:1], lambda: 3)
    assert (first, times) == (0, (0,))
    assert len(done) == 1 + WARM_UP_MOST + 1


def test_progress_is_told_now_and_then() -> None:
    many = list(np.zeros((150, 1), np.float32))
    told: list[tuple[int, int]] = []
    machine = Machine([1])
    measure(
        machine.give,
        machine.invoke,
        many,
        machine.clock,
        lambda done, total: told.append((done, total)),
    )
    assert told == [(64, 150), (128, 150), (150, 150)]


def _model(folder: Path) -> Path:
    file = folder / "net.tflite"
    file.write_bytes(bytes(float_cnn().finish()))
    return file


def _inputs(n: int) -> npt.NDArray[np.generic]:
    return np.zeros((n, 1, 8, 8, 1), np.float32)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("threads", [1, 2])
def test_litert_is_timed(tmp_path: Path, kernels: Kernels, threads: int) -> None:
    ticks = iter(range(0, 1 << 40, 1000))
    found = time_invokes(
        _model(tmp_path), _inputs(70), kernels, threads=threads, clock=lambda: next(ticks)
    )
    assert found.first == 1000
    assert found.times == (1000,) * 70
    assert found.version == (xnnpack_version() if kernels == "xnnpack" else litert_version())
    assert found.threads == (threads if kernels == "xnnpack" else 1)


def test_the_collector_is_paused_and_resumed(tmp_path: Path) -> None:
    states = []

    def clock() -> int:
        states.append(gc.isenabled())
        return len(states) * 1_000_000

    assert gc.isenabled()
    time_invokes(_model(tmp_path), _inputs(3), "reference", clock=clock)
    assert [state for state, _ in groupby(states)] == [False]
    assert gc.isenabled()

    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        time_invokes(_model(tmp_path), _inputs(3), "reference", clock=interrupted)
    assert gc.isenabled()


def test_a_model_that_cannot_run_is_one_line(tmp_path: Path) -> None:
    wrong = np.zeros((2, 1, 9, 9, 1), np.float32)
    with pytest.raises(ModelError, match="LiteRT cannot run .*tflite") as caught:
        time_invokes(_model(tmp_path), wrong, "xnnpack")
    assert "\n" not in str(caught.value)
    file = tmp_path / "damaged.tflite"
    file.write_bytes(b"nothing")
    with pytest.raises(HilError):
        time_invokes(file, _inputs(1), "xnnpack")
