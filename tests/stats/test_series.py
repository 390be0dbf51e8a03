# SPDX-License-Identifier: Apache-2.0
"""Kinds of time never mix: not for mypy, and not at run time."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import HilError, MixedUnits
from hil.core.records import EmulatorTime, Instructions, Latency
from hil.stats.series import Counts, EmulatorTimes, Latencies, axis, ratio, ratio_if_alike

PROJECT = Path(__file__).parents[2]
KINDS = (Instructions(7), Latency(7), EmulatorTime(7))
SERIES = tuple(kind(np.arange(10, 30)) for kind in (Counts, Latencies, EmulatorTimes))

# each marked line has the error that mypy must find there, and there is no other
SNIPPET = """\
import numpy as np
from hil.core.records import EmulatorTime, Instructions, Latency
from hil.stats.series import Counts, EmulatorTimes, Latencies, axis, ratio

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
"""


@pytest.mark.thorough
def test_mixing_does_not_type_check(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    kept = getattr(pytestconfig, "cache", None)  # none with -p no:cacheprovider
    cache = kept.mkdir("mypy") if kept else tmp_path  # NumPy: once
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
def test_only_equals_are_ordered(act: Callable[[Any, Any], bool], one: Any, other: Any) -> None:
    if type(one) is type(other):
        assert act(one, other) == act(7, 7)
    else:
        with pytest.raises(MixedUnits, match="cannot be combined"):
            act(one, other)


@pytest.mark.parametrize("one", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_only_equals_are_subtracted_and_divided(one: Any, other: Any) -> None:
    if type(one) is type(other):
        assert (one - other, one / other) == (0, 1.0)
        return
    assert one != other
    for act in (operator.sub, operator.truediv):
        with pytest.raises(HilError, match="cannot be combined"):
            act(one, other)


def test_sorting_a_mixture_is_refused() -> None:
    mixture: list[Any] = [Latency(3), Instructions(1)]
    with pytest.raises(MixedUnits):
        sorted(mixture)


@pytest.mark.parametrize("one", SERIES)
@pytest.mark.parametrize("other", SERIES)
def test_only_equals_share_a_ratio_or_an_axis(one: Any, other: Any) -> None:
    if type(one) is type(other):
        assert ratio(one, other).point == ratio_if_alike(one, other).point == 1.0
        assert axis([one, other]) == one.unit
        return
    for act in (ratio, ratio_if_alike, lambda a, b: axis([a, b])):
        with pytest.raises(MixedUnits, match="cannot be combined"):
            act(one, other)
