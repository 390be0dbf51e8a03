# SPDX-License-Identifier: Apache-2.0
"""``limits.toml``, and rows checked against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.compare.limits import (
    COMPARE,
    DEFAULTS,
    LIMITS,
    Growth,
    Limits,
    LimitsFile,
    exceeded,
    metrics,
    read_limits,
)
from hil.core.errors import ConfigError
from hil.runs.schema import Memory
from hil.runs.summary import Accuracy, Agreement, ScoreRow, SummaryRow, Time

PROJECT = Path(__file__).parents[2]
ROW = SummaryRow(
    board="mps2",
    engine="aot",
    model="student",
    precision="int8",
    dataset="digits",
    n=10,
    accuracy=Accuracy(device=1.0, host=1.0),
    agreement=Agreement(
        argmax=1.0, outputs=1.0, differing_litert=0, differing_oracle=0, max_abs=0.0
    ),
    time=Time(unit="instructions", median=100.0, p5=90.0, p95=110.0, n=10),
    memory=Memory(arena=1368, flash_model=22360, flash_code=9160, ram_static=9288, stack=388),
    link=None,
    rmse=ScoreRow(device=2.5, host=2.0),
    mae=ScoreRow(device=1.5, host=1.0),
    auc=ScoreRow(device=0.9, host=1.0),
)


def test_shipped_limits_are_read() -> None:
    shipped = read_limits(PROJECT / LIMITS).runs
    assert shipped["mps2/aot/student/int8"].arena == 1368


def test_no_file_means_no_limits(tmp_path: Path) -> None:
    assert read_limits(tmp_path / LIMITS) == LimitsFile()


def test_an_unknown_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / LIMITS).write_text('["mps2/aot/student/int8"]\narea = 3\n')
    with pytest.raises(ConfigError, match="area"):
        read_limits(tmp_path / LIMITS)


def test_each_limit_applies_to_its_own_figure() -> None:
    assert exceeded(ROW, Limits()) == []
    key, limited = "mps2/aot/student/int8", set(Limits.__struct_fields__) - {COMPARE}
    for name in limited:
        what, least = name.removesuffix("_min"), name.endswith("_min")
        value = metrics(ROW)[what]
        assert exceeded(ROW, Limits(**{name: value})) == []  # type: ignore[arg-type]
        broken = value + 1 if least else value - 1
        (line,) = exceeded(ROW, Limits(**{name: broken}))  # type: ignore[arg-type]
        assert line == f"{key}: {what} is {value:g}, limit {'at least ' * least}{broken:g}"
    assert set(metrics(ROW)) == {name.removesuffix("_min") for name in limited}


def test_a_limit_of_a_figure_that_was_not_measured_is_exceeded() -> None:
    timeless = SummaryRow(
        **{
            **{name: getattr(ROW, name) for name in ROW.__struct_fields__},
            "time": Time(unit="none", median=None, p5=None, p95=None, n=0),
        }
    )
    assert exceeded(timeless, Limits(time_p95=5.0)) == [
        "mps2/aot/student/int8: time_p95 is limited to 5 but was not measured"
    ]


def test_the_narrowest_table_with_a_figure_counts(tmp_path: Path) -> None:
    file = tmp_path / LIMITS
    file.write_text(
        "[compare]\nstack = 20\narena = inf\n"
        '["a/b/c/d"]\narena = 3\n["a/b/c/d".compare]\nstack = 30\n'
    )
    read = read_limits(file)
    assert set(read.runs) == {"a/b/c/d"}
    assert (read.growth("a/b/c/d").stack, read.growth("other").stack) == (30, 20)
    assert read.growth("other").arena == float("inf")
    assert read.growth("a/b/c/d").latency == DEFAULTS.latency
    assert exceeded(ROW, read.runs["a/b/c/d"]) == ["mps2/aot/student/int8: arena is 1368, limit 3"]


def test_defaults_name_every_figure() -> None:
    assert all(getattr(DEFAULTS, name) is not None for name in Growth.__struct_fields__)


@pytest.mark.parametrize("line", ["stack = -1", "stack = nan", "area = 1", 'stack = "x"'])
def test_an_invalid_table_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / LIMITS).write_text(f"[compare]\n{line}\n")
    with pytest.raises(ConfigError, match=line.split()[0]):
        read_limits(tmp_path / LIMITS)
