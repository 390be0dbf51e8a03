# SPDX-License-Identifier: Apache-2.0
"""hil/report/times.py: no digit finer than the clock, first inference, outliers and drift."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hil.report.document import document
from hil.report.times import latency_words, step_us
from hil.runs.load import StoredRun
from tests.support.reports import only, physical

TIMING = "Time in detail"


def detail(run: StoredRun) -> dict[str, str]:
    """The only row of the table of times, by column."""
    table = document(run).table(TIMING)
    (values,) = table.rows
    return dict(zip(table.head, values, strict=True))


def step(times: Sequence[int], **of_end: float) -> float:
    return step_us(only(physical(times, None, **of_end)))


MILLIS = [52_000] * 30 + [53_000] * 9 + [51_000]


def test_a_clock_in_milliseconds_has_no_microseconds() -> None:
    run = physical(MILLIS, clock_step=1000.0)
    found = detail(run)
    assert found["Median"] == "52 ms ± 1 ms"
    assert found["Clock step"] == "1 ms"
    assert not any("52,0" in text or "52.0" in text for text in found.values())
    assert "52\nms ± 1 ms" in document(run).table("Results").rows[0][5]


def test_the_step_is_found_in_the_times_if_not_measured() -> None:
    assert step(MILLIS) == 1000
    assert step([52_000] * 9) == 1000
    assert step([4 * k for k in range(1000, 1040)]) == 4
    assert step(range(1000, 1040), clock_step=40.0) == 1  # what it measured is its own loop
    assert step([52_000] * 9, clock_step=1.0) == 1  # measured, so not guessed


@pytest.mark.parametrize(
    ("value", "step", "words"),
    [
        (52_104, 1, ("52,104", "µs")),
        (52_104, 4, ("52,104", "µs ± 4 µs")),
        (52_104, 40, ("52,100", "µs ± 40 µs")),
        (52_104, 1000, ("52", "ms ± 1 ms")),
        (52_104, 10_000, ("50", "ms ± 10 ms")),
        (1_234_567, 1024, ("1,235", "ms ± 1.024 ms")),
    ],
)
def test_no_digit_is_finer_than_the_step(value: float, step: float, words: tuple[str, str]) -> None:
    assert latency_words(value, step) == words


def test_the_first_inference_is_in_no_other_figure() -> None:
    times = [5_000 + k % 7 for k in range(60)]
    found = detail(physical(times, first=9_001, clock_step=1.0))
    assert found["First inference"] == "9,001 µs"
    assert (found["Median"], found["Answers"]) == ("5,003 µs", "60")
    assert detail(physical(times))["First inference"] == "–"


def test_outliers_are_counted_and_not_removed() -> None:
    times = [1000 + k % 10 for k in range(100)]
    times[50], times[60] = 1020, 9000  # mild, severe
    run = physical(times)
    assert detail(run)["Outliers, mild + severe"] == "1 + 1"
    assert detail(run)["Answers"] == "100"
    assert only(run).times.max() == 9000


def test_drift_is_sized_and_warned_of() -> None:
    rng = np.random.default_rng(1)
    calm = (10_000 + rng.integers(0, 50, 200)).tolist()
    hot = [t + 5 * i for i, t in enumerate(calm)]
    assert detail(physical(calm))["Drift over the run"].startswith("none shown (p = ")
    found = detail(physical(hot))["Drift over the run"]
    assert found.startswith(("+7.", "+8."))
    assert "p < 0.001" in found
    (line,) = [line for line in document(physical(hot)).warnings if "drifted" in line]
    assert found in line
    assert not any("drifted" in line for line in document(physical(calm)).warnings)
    assert detail(physical([700] * 20))["Drift over the run"] == "none"
