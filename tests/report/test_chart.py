# SPDX-License-Identifier: Apache-2.0
"""hil/report/draw/chart.py: scales and ticks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.report.draw.chart import Scale, log_ticks, round_ticks


def test_scale() -> None:
    assert [Scale(0, 200).at(v) for v in (0, 50, 200)] == [0, 25, 100]
    assert [Scale(1, 100, log=True).at(v) for v in (1, 10, 100)] == [0, 50, 100]


def is_round(value: float, rel: float = 1e-9) -> bool:
    """Whether a number is 1, 2 or 5 times a power of ten."""
    digits = value / 10.0 ** math.floor(math.log10(value) + 1e-6)
    return any(digits == pytest.approx(k, rel=rel) for k in (1, 2, 5, 10))


@settings(deadline=None)  # the machine may be busy
@given(st.floats(0, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    high = low + span
    if high - low > low * 1e-9:
        ticks = round_ticks(low, high)
        assert 2 <= len(ticks) <= 8
        assert low - span * 1e-6 <= min(ticks) <= max(ticks) <= high + span * 1e-6
        by = ticks[1] - ticks[0]
        assert is_round(by, rel=1e-6 * high / span + 1e-6)
        assert all(abs(tick / by - round(tick / by)) < 1e-3 for tick in ticks if tick < 1e6 * by)


@settings(deadline=None)  # the machine may be busy
@given(st.floats(1, 1e6), st.floats(1.5, 1e6))
def test_log_ticks_are_inside(low: float, ratio: float) -> None:
    ticks = log_ticks(low, low * ratio)
    assert len(ticks) >= 2
    assert all(low <= tick <= low * ratio for tick in ticks)
    assert ticks == [low, low * ratio] or all(is_round(tick) for tick in ticks)
