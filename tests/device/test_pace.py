# SPDX-License-Identifier: Apache-2.0
"""`Pace`: timeouts from the round trips of a line."""

from __future__ import annotations

import pytest

from hil.device import Timing
from hil.device.line import Line
from hil.device.pace import FORGETS, MARGIN, NUDGE_S, SAFE_S, Pace
from hil.testing.board import FakeBoard, FakeLink
from tests.support.device import HELLO

REPLY_S = 20.0


@pytest.fixture
def pace() -> Pace:
    link = FakeLink(FakeBoard(HELLO, lambda _model, values: values))
    return Pace(Line(link, Timing(reply=REPLY_S, clock=link.clock)))


def test_a_request_that_was_never_measured_has_the_longest_timeout(pace: Pace) -> None:
    assert pace.measured("infer") is None
    assert pace.timeout("infer") == pace.patience("infer") == REPLY_S
    assert pace.timeout("infer", guess=0.7) == pytest.approx(MARGIN * 0.7)


def test_a_timeout_is_a_multiple_of_the_round_trip_within_bounds(pace: Pace) -> None:
    pace.answered("fast", 0.001, disturbed=False)
    pace.answered("slow", 0.6, disturbed=False)
    pace.answered("slower", 9.0, disturbed=False)
    assert (pace.timeout("fast"), pace.patience("fast")) == (SAFE_S, NUDGE_S)
    assert pace.timeout("slow") == pace.patience("slow") == pytest.approx(MARGIN * 0.6)
    assert pace.timeout("slower") == REPLY_S


def test_timeouts_double_with_each_silence_until_an_answer(pace: Pace) -> None:
    pace.answered("infer", 0.001, disturbed=False)
    found = []
    for _ in range(7):
        found.append(pace.timeout("infer"))
        pace.timed_out()
    assert found == [SAFE_S, 2 * SAFE_S, 4 * SAFE_S, 8 * SAFE_S, 16 * SAFE_S, REPLY_S, REPLY_S]
    pace.answered("infer", 0.001, disturbed=False)
    assert pace.timeout("infer") == SAFE_S


def test_a_single_pause_is_forgotten(pace: Pace) -> None:
    pace.answered("infer", 10.0, disturbed=False)
    for _ in range(FORGETS):
        pace.answered("infer", 0.01, disturbed=False)
    assert pace.measured("infer") == pytest.approx(0.01 + 9.99 / 2.718, rel=0.01)


def test_a_disturbed_round_trip_counts_until_there_is_a_better_one(pace: Pace) -> None:
    pace.answered("infer", 3.0, disturbed=True)
    pace.answered("infer", 2.0, disturbed=True)
    assert pace.measured("infer") == 3.0
    pace.answered("infer", 0.5, disturbed=False)
    assert pace.measured("infer") == 0.5
