# SPDX-License-Identifier: Apache-2.0
"""Sketches that print lines with a single number: two classes, or a regression."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec import UNSET

from hil.bench.lines import TextSetup, describe
from hil.core.errors import DataError
from hil.core.records import Dataset, Task
from hil.runs.load import load_run
from hil.testing.text import FakeSketch
from hil.wire.lines import TextAnswer
from hil.wire.patterns import choose_patterns
from tests.bench.test_text import benched, row
from tests.support.runs import known

OUTPUT = (r"p (?P<outputs>[-\d.]+)",)
X = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]


def data(labels: list[int] | None = None, targets: list[float] | None = None) -> Dataset:
    return Dataset(
        "mine",
        "user",
        tuple(f"s{i}" for i in range(8)),
        X,
        np.array(labels or [-1] * 8, np.int64),
        "ab" * 32,
        targets=None if targets is None else np.array(targets, np.float32),
    )


def setup() -> TextSetup:
    return TextSetup(Path(__file__).parents[2], choose_patterns(OUTPUT), "fake")


def printing(sample: bytes) -> bytes:
    """The sketch: half of one plus its input."""
    return f"p {(1 + float(sample.strip())) / 2:.4f}\r\n".encode()


def test_one_printed_output_is_a_probability(tmp_path: Path) -> None:
    labels = [0, 0, 1, 0, 1, 1, 0, 1]
    benched(FakeSketch(printing, seconds=0.01), setup(), data(labels), tmp_path)
    (plan,) = load_run(tmp_path).manifest.runs
    assert (plan.task, plan.threshold) == (Task.BINARY, 0.5)
    found = row(tmp_path)
    right = ((1 + X[:, 0]) / 2 >= 0.5) == np.array(labels)
    assert known(found.accuracy).device == pytest.approx(right.mean())
    assert found.auc is not UNSET


def test_printed_outputs_are_compared_with_targets(tmp_path: Path) -> None:
    targets = (X[:, 0] ** 2).tolist()
    benched(FakeSketch(printing, seconds=0.01), setup(), data(targets=targets), tmp_path)
    found = row(tmp_path)
    assert found.accuracy is None
    assert found.rmse is not UNSET
    wanted = np.sqrt((((1 + X[:, 0]) / 2 - X[:, 0] ** 2) ** 2).mean())
    assert known(found.rmse.device) == pytest.approx(wanted, abs=1e-3)


def test_labels_of_other_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="labels run from 0 to 7, the sketch has one output"):
        benched(FakeSketch(printing, seconds=0.01), setup(), data(list(range(8))), tmp_path)


@pytest.mark.parametrize(("truth", "task"), [(1, Task.BINARY), (None, UNSET)])
def test_lines_alone_may_have_the_label(truth: int | None, task: object) -> None:
    first = TextAnswer(outputs=(0.7,), truth=truth)
    assert describe(setup(), first, None).task is task
    several = TextAnswer(outputs=(0.7, 0.3), truth=truth)
    assert describe(setup(), several, None).task is UNSET
