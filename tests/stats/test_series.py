# SPDX-License-Identifier: Apache-2.0
"""hil/stats/series.py: kinds of time never mix, neither for mypy nor at run time; drift."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil import stats
from hil.core.errors import HilError, MixedUnits
from hil.core.records import (
    Cycles,
    EmulatorTime,
    EstimatedCycles,
    EstimatedTime,
    HostLatency,
    Instructions,
    Latency,
)
from hil.stats.series import (
    Counts,
    CycleCounts,
    EmulatorTimes,
    HostLatencies,
    Latencies,
    axis,
    device_over_host,
    ratio,
    ratio_if_alike,
)

PROJECT = Path(__file__).parents[2]
KINDS = (
    *(Instructions(7), Cycles(7), Latency(7), EmulatorTime(7), HostLatency(7)),
    *(EstimatedCycles(7), EstimatedTime(7, 5, 9)),
)
SERIES = tuple(
    kind(np.arange(10, 30))
    for kind in (Counts, CycleCounts, Latencies, EmulatorTimes, HostLatencies)
)

# mypy must report the marked error on each marked line, and no other
SNIPPET = """\
import numpy as np
from hil.core.records import Cycles, EmulatorTime, HostLatency, Instructions, Latency
from hil.core.records import EstimatedCycles, EstimatedTime
from hil.stats.series import Counts, CycleCounts, EmulatorTimes, HostLatencies, Latencies
from hil.stats.series import axis, device_over_host, ratio

Instructions(1) < Instructions(2)
Instructions(1) < Latency(2)  # operator
Latency(1) - EmulatorTime(2)  # operator
EmulatorTime(1) / Instructions(2)  # operator
Instructions(1) == Latency(1)  # comparison-overlap
sum([Latency(1), Instructions(2)])  # list-item
many = np.arange(9)
ratio(Latencies(many), Latencies(many))
ratio(Latencies(many), Counts(many))  # misc
ratio(EmulatorTimes(many), Latencies(many))  # misc
axis([Counts(many), Counts(many)])
axis([Counts(many), Latencies(many)])  # list-item
HostLatency(1) < HostLatency(2)
HostLatency(1) < Latency(2)  # operator
HostLatency(1) / EmulatorTime(2)  # operator
ratio(HostLatencies(many), HostLatencies(many))
ratio(HostLatencies(many), Latencies(many))  # misc
ratio(HostLatencies(many), EmulatorTimes(many))  # misc
axis([HostLatencies(many), Latencies(many)])  # list-item
device_over_host(Latencies(many), HostLatencies(many))
device_over_host(HostLatencies(many), Latencies(many))  # arg-type
device_over_host(Counts(many), HostLatencies(many))  # arg-type
device_over_host(Latencies(many), EmulatorTimes(many))  # arg-type
Cycles(1) < Cycles(2)
Cycles(1) < Instructions(2)  # operator
Cycles(1) / Latency(2)  # operator
ratio(CycleCounts(many), CycleCounts(many))
ratio(CycleCounts(many), Counts(many))  # misc
ratio(CycleCounts(many), Latencies(many))  # misc
axis([CycleCounts(many), Counts(many)])  # list-item
device_over_host(CycleCounts(many), HostLatencies(many))  # arg-type
EstimatedCycles(1) < EstimatedCycles(2)
EstimatedCycles(1) < Cycles(2)  # operator
EstimatedCycles(1) / Instructions(2)  # operator
EstimatedTime(2, 1, 3) < EstimatedTime(3, 2, 4)
EstimatedTime(2, 1, 3) < Latency(2)  # operator
Latency(2) / EstimatedTime(2, 1, 3)  # operator
EstimatedTime(2, 1, 3) - HostLatency(2)  # operator
EstimatedTime(2, 1, 3) - EmulatorTime(2)  # operator
EstimatedTime(2, 1, 3) < EstimatedCycles(2)  # operator
"""


@pytest.mark.thorough
def test_mixing_does_not_type_check(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    kept = getattr(pytestconfig, "cache", None)  # absent with -p no:cacheprovider
    cache = kept.mkdir("mypy") if kept else tmp_path  # so that mypy reads NumPy once
    file = tmp_path / "mixed.py"
    file.write_text(SNIPPET)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-error-summary"]
        + ["--python-version=3.11", f"--cache-dir={cache}", str(file)],
        cwd=PROJECT,
        env={"MYPYPATH": str(PROJECT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    found = {
        int(line.split(":")[1]): line for line in done.stdout.splitlines() if ": error:" in line
    }
    wanted = {
        number: line.split("# ")[1]
        for number, line in enumerate(SNIPPET.splitlines(), 1)
        if "# " in line
    }
    assert found.keys() == wanted.keys(), done.stdout + done.stderr
    for number, code in wanted.items():
        assert found[number].endswith(f"[{code}]")


@pytest.mark.parametrize("act", [operator.lt, operator.le, operator.gt, operator.ge])
@pytest.mark.parametrize("one", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_only_one_kind_is_ordered(act: Callable[[Any, Any], bool], one: Any, other: Any) -> None:
    if type(one) is type(other):
        assert act(one, other) == act(7, 7)
    else:
        with pytest.raises(MixedUnits, match="cannot be combined"):
            act(one, other)


@pytest.mark.parametrize("one", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_only_one_kind_is_subtracted_and_divided(one: Any, other: Any) -> None:
    if type(one) is type(other):
        assert (one - other, one / other) == (0, 1.0)
        return
    assert one != other
    for act in (operator.sub, operator.truediv):
        with pytest.raises(HilError, match="cannot be combined"):
            act(one, other)


def test_sorting_two_kinds_is_refused() -> None:
    mixture: list[Any] = [Latency(3), Instructions(1)]
    with pytest.raises(MixedUnits):
        sorted(mixture)


@pytest.mark.parametrize("one", SERIES)
@pytest.mark.parametrize("other", SERIES)
def test_only_one_kind_shares_a_ratio_or_an_axis(one: Any, other: Any) -> None:
    if type(one) is type(other):
        assert ratio(one, other).point == ratio_if_alike(one, other).point == 1.0
        assert axis([one, other]) == one.unit
        return
    for act in (ratio, ratio_if_alike, lambda a, b: axis([a, b])):
        with pytest.raises(MixedUnits, match="cannot be combined"):
            act(one, other)


@pytest.mark.parametrize("device", SERIES)
@pytest.mark.parametrize("host", SERIES)
def test_only_a_board_is_divided_by_the_host(device: Any, host: Any) -> None:
    if (type(device), type(host)) == (Latencies, HostLatencies):
        assert device_over_host(device, host).point == 1000.0  # us over ns
        return
    with pytest.raises(MixedUnits, match="cannot be combined"):
        device_over_host(device, host)


def test_a_board_over_the_host_is_the_ratio_of_medians_in_one_unit() -> None:
    rng = np.random.default_rng(5)
    device = rng.normal(40, 1, 300).round(1)  # ms
    host = rng.normal(20, 1, 90).round(3)  # us
    found = device_over_host(
        Latencies((1000 * device).astype(np.int64)), HostLatencies((1000 * host).astype(np.int64))
    )
    assert found.point == pytest.approx(np.median(1000 * device) / np.median(host), rel=1e-3)
    # the spread of both medians, by the normal approximation (1.2533 sigma / sqrt(n))
    half = 1.96 * 1.2533 * found.point * np.hypot(1 / 40 / 300**0.5, 1 / 20 / 90**0.5)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.35)
    assert found.low < found.point < found.high
    assert (found.method, found.n) == ("BCa bootstrap", 90)


def test_a_clock_that_did_not_advance_forms_no_ratio() -> None:
    some, none = np.arange(1, 9), np.zeros(8, np.int64)
    for device, host in ((none, some), (some, none), (some, some[:0])):
        with pytest.raises(ValueError, match=r"positive|finite"):
            device_over_host(Latencies(device), HostLatencies(host))


# --- outliers and drift ---


def test_outliers_equal_counts_by_hand() -> None:
    # quartiles 3 and 7 of 1..9: fences at -3 and 13, -9 and 19
    values = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert stats.outliers(values) == stats.Outliers(0, 0, 9)
    # 13 values: quartiles 4 and 10, the fences 19 and 28
    values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 19, 20, 29]
    assert stats.outliers(values) == stats.Outliers(1, 1, 13)
    assert stats.outliers([-v for v in values]) == stats.Outliers(1, 1, 13)
    assert stats.outliers([5, 5, 5, 5, 6]) == stats.Outliers(0, 1, 5)
    assert stats.outliers([5]) == stats.Outliers(0, 0, 1)


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=8, max_size=40))
def test_drift_is_the_mann_kendall_test(values: list[int]) -> None:
    got = stats.drift(values)
    if min(values) == max(values):
        assert got is None
        return
    pairs = [(i, j) for i in range(len(values)) for j in range(i)]
    s = sum(int(np.sign(values[i] - values[j])) for i, j in pairs)
    untied = sum(values[i] != values[j] for i, j in pairs)
    assert got is not None
    assert got.tau == pytest.approx(s / (len(pairs) * untied) ** 0.5)
    assert 0 <= got.p <= 1
    back = stats.drift(values[::-1])
    assert back is not None
    assert (back.tau, back.p) == pytest.approx((-got.tau, got.p))


def test_a_drift_is_found_and_sized() -> None:
    rng = np.random.default_rng(1)
    calm = rng.normal(1000, 5, 400)
    drifting = calm + np.linspace(0, 20, 400)
    found = stats.drift(drifting)
    assert found is not None
    assert found.p < 1e-6
    assert found.size is not None
    assert found.size.low < 1.015 < found.size.high < 1.02
    assert "BCa" in found.size.method


def test_random_order_is_rarely_significant() -> None:
    rng = np.random.default_rng(2)
    found = [stats.drift(rng.normal(1000, 5, 60)) for _ in range(300)]
    assert 0.02 <= sum(d is not None and d.p < 0.05 for d in found) / 300 <= 0.09


def test_constant_few_and_coarse_samples() -> None:
    assert stats.drift([4] * 100) is None
    assert stats.drift([1, 2, 3, 4, 5, 6, 7]) is None
    zeros = stats.drift([0, 0, 0, 0, 1, 1, 1, 1])  # a clock that is too coarse
    assert zeros is not None
    assert zeros.size is None
    with pytest.raises(ValueError, match="finite"):
        stats.drift([])
