# SPDX-License-Identifier: Apache-2.0
"""Host latency in `hil compare` and `hil history`: one host and itself, two different hosts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy.stats import bootstrap

from hil.compare import compare_stored
from hil.compare.formats import FORMATS, row
from hil.compare.history import History, markdown, page, read_history
from hil.compare.limits import Growth, LimitsFile, read_limits
from hil.compare.records import ComparedFigure, Comparison
from hil.runs.load import StoredRun
from hil.runs.schema_host import HostLatencies
from tests.compare.test_history import store
from tests.support import reports
from tests.support.compared import figure, run

NAMES = ("host_xnnpack", "host_reference")


def hosted(factor: float = 1.0, *, seed: int = 1, threads: int = 1, **machine: Any) -> StoredRun:
    """A run of the student with the host's times of one speed; ``machine`` replaces its fields."""
    stored = run()
    found = reports.host(stored.manifest, threads=threads)
    rng = np.random.default_rng(seed)
    times = tuple(
        msgspec.structs.replace(
            one,
            times=tuple(int(factor * time * rng.normal(1, 0.004)) for time in sorted(one.times)),
        )
        for one in found.times
    )
    described = msgspec.structs.replace(found.machine, **machine)
    return replace(stored, host=HostLatencies(machine=described, times=times))


def compared(
    base: StoredRun, new: StoredRun, allow: tuple[str, ...] = (), limits: Growth | None = None
) -> Comparison:
    return compare_stored(base, new, LimitsFile(compare=limits or Growth()), allow=allow)


def values(stored: StoredRun, kernels: str = "xnnpack") -> np.ndarray:
    assert stored.host is not None
    (one,) = [one for one in stored.host.times if one.kernels == kernels]
    return np.array(one.times, float)


@pytest.mark.parametrize("name", NAMES)
def test_the_change_is_the_ratio_of_medians_with_scipys_interval(name: str) -> None:
    base, new = hosted(seed=1), hosted(1.3, seed=2)
    found = figure(compared(base, new), name)
    one, other = (values(side, name.removeprefix("host_")) for side in (base, new))
    assert (found.base, found.new) == (np.median(one), np.median(other))
    assert (found.kind, found.word) == ("host_ns", "worse")
    assert found.change is not None
    assert found.change.point == pytest.approx(np.median(other) / np.median(one))
    known = bootstrap(
        (other, one),
        lambda a, b, axis=-1: np.median(a, axis=axis) / np.median(b, axis=axis),
        vectorized=True,
        n_resamples=4999,
        rng=1,
    ).confidence_interval
    assert (found.change.low, found.change.high) == pytest.approx((known.low, known.high), abs=2e-3)


def test_it_has_no_limit_unless_one_is_set() -> None:
    base, new = hosted(), hosted(1.3, seed=2)
    found = compared(base, new)
    assert not found.regression
    assert all(figure(found, name).limit is None for name in NAMES)
    strict = compared(base, new, limits=Growth(host_xnnpack=20))
    assert strict.regression
    assert figure(strict, "host_xnnpack").beyond
    assert not figure(strict, "host_reference").beyond
    (problem,) = strict.problems
    assert "host latency, XNNPACK" in problem
    assert "beyond 20 %" in problem
    assert not compared(base, new, limits=Growth(host_xnnpack=50)).regression


@pytest.mark.parametrize(
    ("factor", "limits", "word"),
    [
        (1.0, {}, "same"),
        (1.06, {}, "same"),  # a computer varies by that much
        (1.3, {}, "worse"),
        (0.7, {}, "better"),
        (1.06, {"host_xnnpack": 3.0}, "worse"),
        (1.06, {"host_xnnpack": 6.0}, "undecided"),
    ],
)
def test_the_word_needs_the_whole_interval(
    factor: float, limits: dict[str, float], word: str
) -> None:
    base, new = hosted(seed=1), hosted(factor, seed=2)
    found = figure(compared(base, new, limits=Growth(**limits)), "host_xnnpack")
    assert found.word == word


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"cpu": "Other CPU"}, "not judged: another host (Example CPU, Other CPU)"),
        ({"threads": 4}, "not judged: 1 and 4 threads"),
    ],
)
def test_two_hosts_are_not_judged_unless_that_is_asked_for(other: dict[str, Any], why: str) -> None:
    base, new = hosted(), hosted(2.0, **other)
    found = figure(compared(base, new, limits=Growth(host_xnnpack=5)), "host_xnnpack")
    assert (found.word, found.beyond) == ("undecided", False)
    assert found.note.startswith(why)
    assert why.split("(")[0] in row(found)[3]
    asked = figure(compared(base, new, ("host",), limits=Growth(host_xnnpack=5)), "host_xnnpack")
    assert (asked.word, asked.beyond, asked.note) == ("worse", True, "")


def test_a_noisy_host_is_named_beside_the_change() -> None:
    base, new = hosted(), hosted(1.3, seed=2, noisy="other processes kept 1.1 cores busy")
    found = figure(compared(base, new), "host_xnnpack")
    assert found.word == "worse"
    assert row(found)[3].endswith("; the host was noisy (other processes kept 1.1 cores busy)")


def test_a_run_without_host_times_is_not_a_regression_unless_there_is_a_limit() -> None:
    lost = compared(hosted(), run())
    assert not lost.regression
    assert figure(lost, "host_xnnpack").word == "missing"
    assert row(figure(lost, "host_xnnpack"))[4] == "missing, allowed"
    assert compared(hosted(), run(), limits=Growth(host_xnnpack=10)).regression
    assert figure(compared(run(), hosted()), "host_xnnpack").word == "new"
    names = {one.name for one in compared(run(), run()).runs[0].figures}
    assert not names & set(NAMES)


def test_every_format_shows_it_in_its_own_unit() -> None:
    found = compared(hosted(), hosted(1.3, seed=2))
    shown: ComparedFigure = figure(found, "host_xnnpack")
    assert row(shown)[1].endswith(" µs")
    median = float(np.median(values(hosted())))
    assert float(row(shown)[1].split()[0]) == pytest.approx(median / 1000, rel=5e-3)
    for write in FORMATS.values():
        assert write(found)
    assert '"kind": "host_ns"' in FORMATS["json"](found)
    assert "host latency, XNNPACK" in FORMATS["md"](found)


def test_limits_toml_accepts_it(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("[compare]\nhost_xnnpack = 15\n")
    growth = read_limits(file).growth("any")
    assert growth.host_xnnpack == 15
    assert growth.host_reference == float("inf")


def history(folder: Path, *runs: StoredRun) -> History:
    for day, stored in enumerate(runs, 1):
        store(folder, f"run-{day}", stored, day)
    return read_history(folder)


def test_a_history_follows_it(tmp_path: Path) -> None:
    found = history(tmp_path, hosted(seed=1), hosted(1.02, seed=2), hosted(1.5, seed=3))
    (trend,) = found.trends
    words = [entry.figures["host_xnnpack"].word for entry in trend.entries]
    assert words == ["same", "same", "worse"]
    assert ["host_xnnpack" in entry.changed for entry in trend.entries] == [False, False, True]
    assert "host latency, XNNPACK" in markdown(found)
    html = page(found)
    assert "<h3>host latency, XNNPACK</h3>" in html
    assert " µs</text>" in html


def test_a_history_does_not_judge_another_host(tmp_path: Path) -> None:
    found = history(tmp_path, hosted(), hosted(3.0, cpu="Other CPU", seed=2))
    (trend,) = found.trends
    assert trend.entries[1].figures["host_xnnpack"].word == "undecided"
    assert trend.entries[1].changed == frozenset()
    assert "nothing better or worse" in markdown(found)
