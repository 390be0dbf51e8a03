# SPDX-License-Identifier: Apache-2.0
"""A line that loses and flips bytes: results are right, or missing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from hil.core.errors import DeviceError
from hil.mlperf.dut import FAULTS, Dut, DutTiming
from hil.testing.mlperf import FakeDut, FakeDutLink

SIZE = 100


@dataclass
class NoisyLine(FakeDutLink):
    """Each byte of either direction is lost, or has a bit flipped, with probability ``rate``."""

    rate: float = 0.0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def noisy(self, data: bytes) -> bytes:
        raw = np.frombuffer(data, np.uint8).copy()
        hit = self.random.random(len(raw)) < self.rate
        lost = hit & (self.random.random(len(raw)) < 0.5)
        flips = hit & ~lost
        raw[flips] ^= (1 << self.random.integers(0, 8, int(flips.sum()))).astype(np.uint8)
        return raw[~lost].tobytes()

    def write(self, data: bytes) -> None:
        if (kept := self.noisy(data)) and (replies := self.dut.answer(kept)):
            self.arrive(self.noisy(replies), self.clock.now)


def shares(values: bytes) -> list[float]:
    """Ten shares that depend on every byte."""
    weights = np.arange(1, SIZE + 1)
    padded = np.frombuffer(values.ljust(SIZE, b"\0")[:SIZE], np.uint8).astype(np.int64)
    raw = [int((padded * weights % (7 + c)).sum()) + 1 for c in range(10)]
    return [round(one / sum(raw), 3) for one in raw]


def counts(rate: float, samples: int, *, read_back: bool) -> tuple[int, int, int]:
    """(right, wrong, given up) of ``samples``."""
    random = np.random.default_rng(5)
    line = NoisyLine(FakeDut(shares), rate=rate)
    dut = Dut(line, DutTiming(clock=line.clock), read_back=read_back)
    right = wrong = given_up = 0
    for _ in range(samples):
        values = random.integers(0, 256, SIZE, dtype=np.uint8).tobytes()
        try:
            found = dut.run(values)
        except FAULTS:
            given_up += 1
            continue
        if list(found.values) == shares(values):
            right += 1
        else:
            wrong += 1
    return right, wrong, given_up


@pytest.mark.parametrize(("rate", "least"), [(0.0, 400), (1e-4, 400), (1e-3, 390), (1e-2, 0)])
def test_results_that_are_read_back_are_never_wrong(rate: float, least: int) -> None:
    right, wrong, given_up = counts(rate, 400, read_back=True)
    assert wrong == 0
    assert right >= least
    assert right + given_up == 400


def test_without_reading_back_a_flipped_digit_goes_unnoticed() -> None:
    assert counts(1e-3, 400, read_back=False)[1] > 0  # so the test above can fail


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rate", [1e-4, 1e-3, 1e-2])
def test_results_that_are_read_back_are_never_wrong_10_000_times(rate: float) -> None:
    assert counts(rate, 10_000, read_back=True)[1] == 0


def test_noise_raises_only_device_errors() -> None:
    for seed in range(30):
        line = NoisyLine(FakeDut(shares), rate=0.05, random=np.random.default_rng(seed))
        dut = Dut(line, DutTiming(clock=line.clock, boot=5.0))
        try:
            dut.identify()
            dut.run(bytes(SIZE))
        except DeviceError as problem:
            said = str(problem)
        else:
            said = ""
        assert not said or said.isprintable()
