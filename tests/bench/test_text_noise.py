# SPDX-License-Identifier: Apache-2.0
"""What a bench by lines makes of a noisy line, without a check sum: the table in docs/text.md."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from hil.bench.lines import TextSetup
from hil.bench.store import dataset_used
from hil.bench.text import Sending, bench
from hil.core.records import Dataset
from hil.runs.load import load_run
from hil.testing.text import FakeSketch
from hil.wire.patterns import choose_patterns
from tests.bench.test_text import PROJECT, opened_once

N = 1000
VALUES = 16  # of a sample, 0 to 255


def total(request: bytes) -> bytes:
    """A sketch that prints the sum of its numbers, and its last digit as the class."""
    words = request.split(b",")
    if len(words) != VALUES or not all(word.isdigit() for word in words):
        return b"bad input\r\n"
    found = sum(map(int, words)) % 10
    return b"class %d\r\n" % found


@dataclass
class Noisy(FakeSketch):
    """Flips one bit of a byte with probability ``rate``, in either direction."""

    rate: float = 0.0
    random: random.Random = field(default_factory=lambda: random.Random(1))

    def write(self, data: bytes) -> None:
        super().write(self._damaged(data))

    def say(self, text: bytes, after: float = 0.0) -> None:
        super().say(self._damaged(text), after)

    def _damaged(self, data: bytes) -> bytes:
        return bytes(
            byte ^ (1 << self.random.randrange(8)) if self.random.random() < self.rate else byte
            for byte in data
        )


def noisy_bench(folder: Path, rate: float, repeat: int) -> tuple[int, int]:
    """Wrong answers, and failed samples, of `N`."""
    drawn = np.random.default_rng(0).integers(0, 256, (N, VALUES)).astype("u1")
    right = drawn.sum(axis=1, dtype="i8") % 10
    data = Dataset("drawn", "test", tuple(f"drawn-{i}" for i in range(N)), drawn, right, "00")
    sketch = Noisy(total, rate=rate)
    setup = TextSetup(PROJECT, choose_patterns([r"class (?P<label>\d+)"]), "fake")
    sending = Sending(repeat=repeat, timeout=1.0)
    used = dataset_used(data, N, "")
    bench(setup, sending, data, used, folder, lambda _: None, lambda: opened_once(sketch))
    (samples,) = load_run(folder).samples.values()
    good = [one for one in samples if not one.failed]
    wrong = sum(np.frombuffer(one.device, "<i4")[0] != one.label for one in good)
    return int(wrong), N - len(good)


@pytest.mark.parametrize(
    ("rate", "once", "twice"),
    [
        (0.0, (0, 0), (0, 0)),
        (1e-4, (2, 0), (0, 0)),
        (1e-3, (10, 1), (0, 0)),
        (1e-2, (61, 66), (0, 227)),
    ],
)
def test_wrong_answers_and_failures_on_a_noisy_line(
    tmp_path: Path, rate: float, once: tuple[int, int], twice: tuple[int, int]
) -> None:
    """(wrong, failed), the same each time: docs/text.md quotes them."""
    assert noisy_bench(tmp_path / "once", rate, 1) == once
    assert noisy_bench(tmp_path / "twice", rate, 2) == twice
