# SPDX-License-Identifier: Apache-2.0
"""Figures say what the samples say: places, units, sums, pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.report.accuracy import accuracy_chart, confused, confusions
from hil.report.cost import HEIGHT, scatters, time_charts
from hil.report.draw.chart import Scale, log_ticks, round_ticks
from hil.report.memory import memory_charts
from hil.report.samples import MOST, gallery, png_uri
from hil.runs.cells import Cell, cells
from hil.runs.load import load_run
from hil.runs.schema import Picture, RunPlan, Sample
from tests.support import reports


def _cells(*plans: RunPlan, n: int = 100) -> tuple[Cell, ...]:
    stored = {plan.key: reports.samples(plan, n) for plan in plans}
    return cells(reports.manifest(*plans, n=n), stored)


MATRIX = tuple(reports.plan(m, p) for m in ("teacher", "student") for p in ("float32", "int8"))


def test_scale() -> None:
    assert [Scale(0, 200).at(v) for v in (0, 50, 200)] == [0, 25, 100]
    assert [Scale(1, 100, log=True).at(v) for v in (1, 10, 100)] == [0, 50, 100]


@settings(deadline=None)  # the machine may be busy
@given(st.floats(0, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    high = low + span
    if high - low > low * 1e-9:
        ticks = round_ticks(low, high)
        assert 2 <= len(ticks) <= 8
        assert low - span * 1e-6 <= min(ticks) <= max(ticks) <= high + span * 1e-6


@settings(deadline=None)  # the machine may be busy
@given(st.floats(1, 1e6), st.floats(1.5, 1e6))
def test_log_ticks_are_inside(low: float, ratio: float) -> None:
    ticks = log_ticks(low, low * ratio)
    assert len(ticks) >= 2
    assert all(low <= tick <= low * ratio for tick in ticks)


def test_accuracy_shows_device_and_host_inside_the_axis() -> None:
    found = _cells(*MATRIX)
    chart = accuracy_chart(found)
    assert chart is not None
    assert [row.label for row in chart.rows] == [
        "teacher float32",
        "teacher int8",
        "student float32",
        "student int8",
    ]
    for row, cell in zip(chart.rows, found, strict=True):
        assert [dot.kind for dot in row.dots] == ["device", "host"]
        for dot in row.dots:
            assert 0 <= dot.low <= dot.at <= dot.high <= 100
        assert f"{100 * cell.right.mean():.1f}%" in row.values[0]
    assert accuracy_chart(_cells(*MATRIX, n=0)) is None


def test_colours_tell_models_and_shades_precisions() -> None:
    chart = accuracy_chart(_cells(*MATRIX))
    assert chart is not None
    assert [row.css for row in chart.rows] == [
        "hue-teacher soft",
        "hue-teacher full",
        "hue-student soft",
        "hue-student full",
    ]
    mine = accuracy_chart(
        _cells(reports.plan("mine"), reports.plan("student"), reports.plan("other"))
    )
    assert mine is not None
    assert len({row.css for row in mine.rows}) == 3


def test_units_never_share_an_axis() -> None:
    found = _cells(
        reports.plan(),
        reports.plan("teacher"),
        reports.plan(board="esp32", unit="us"),
        reports.plan("teacher", board="esp32", unit="us"),
        reports.plan(board="native", unit="none"),
    )
    emulated, real = time_charts(found)
    assert emulated.axis == "instructions (emulated, not latency)"
    assert "latency" not in emulated.title.lower()
    assert real.axis == "microseconds"
    assert [len(emulated.rows), len(real.rows)] == [2, 2]
    assert not {row.label for row in emulated.rows} & {row.label for row in real.rows}
    for scatter in scatters(found):
        assert ("instructions" in scatter.x_axis) == ("instructions" in scatter.title)


def test_bars_start_at_zero_and_are_to_scale() -> None:
    (chart,) = time_charts(_cells(*MATRIX))
    assert chart.ticks[0].at == 0
    assert chart.ticks[0].label == "0"
    found = [cell.time.point for cell in _cells(*MATRIX) if cell.time]
    widths = [row.segments[0].width for row in chart.rows]
    assert widths[0] / widths[1] == pytest.approx(found[0] / found[1], rel=1e-3)


def test_a_constant_count_is_said_to_be_constant() -> None:
    plan = reports.plan()
    found = cells(reports.manifest(plan), {plan.key: reports.samples(plan, 50, constant=True)})
    (chart,) = time_charts(found)
    assert chart.rows[0].values == ("412,385 instructions", "constant over 50 answers")
    assert chart.rows[0].whisker is None


def test_memory_adds_up() -> None:
    ram, flash = memory_charts(_cells(*MATRIX))
    assert ram.rows[3].values == ("6,608 B", "2,544 + 3,120 + 944")
    assert flash.rows[3].values == ("34,744 B", "23,480 + 11,264")
    for chart in (ram, flash):
        for row in chart.rows:
            ends = [piece.start + piece.width for piece in row.segments]
            starts = [piece.start for piece in row.segments]
            assert starts[0] == 0
            assert starts[1:] == pytest.approx(ends[:-1], abs=0.02)
            assert ends[-1] <= 100


def test_scatter_labels_keep_apart() -> None:
    for scatter in scatters(_cells(*MATRIX)):
        places = [(p.text_y, p.x) for p in scatter.points]
        assert len(places) == len(set(places)) == 4
        assert all(0 <= p.y <= HEIGHT and 0 < p.x < 100 for p in scatter.points)
        assert all(name in scatter.alt for name in ("teacher float32", "student int8"))


def test_one_point_is_no_scatter() -> None:
    assert scatters(_cells(reports.plan())) == ()


def test_confusion_by_brute_force() -> None:
    (cell,) = _cells(reports.plan(), n=300)
    (matrix,) = confusions([cell])
    for i in range(10):
        for j in range(10):
            pairs = zip(cell.labels, cell.answers, strict=True)
            times = sum(label == i and answer == j for label, answer in pairs)
            assert matrix.rows[i][j].text == (str(times) if times else "")
    assert sum(times for _, _, times in confused(cell)) == 300 - cell.right.sum()
    assert [t for _, _, t in confused(cell)] == sorted((t for *_, t in confused(cell)))[::-1]


def test_confusion_leaves_out_labels_that_no_output_stands_for() -> None:
    plan = reports.plan(classes=3)
    samples = [
        Sample(run=plan.key, i=i, id=str(i), label=label, device=bytes([1, 2, 3]))
        for i, label in enumerate([-1, 2, 3, 99])
    ]
    (cell,) = cells(reports.manifest(plan, n=4), {plan.key: samples})
    (matrix,) = confusions([cell])
    assert sum(int(s.text or 0) for row in matrix.rows for s in row) == 1
    assert cell.accuracy.point == 0.25


def test_one_output_or_many_make_no_matrix() -> None:
    for classes in (1, 21):
        plan = reports.plan(classes=classes)
        device = bytes(classes)
        sample = Sample(run=plan.key, i=0, id="a", label=0, device=device)
        assert confusions(cells(reports.manifest(plan, n=1), {plan.key: [sample]})) == ()


def _tiny(key: str, answers: Sequence[tuple[int, int]]) -> list[Sample]:
    """(device, host) answers to samples whose label is 0."""

    def vote(k: int) -> bytes:
        return bytes(int(k == j) for j in range(3))

    return [
        Sample(run=key, i=i, id=f"s{i}", label=0, device=vote(d), litert=vote(h))
        for i, (d, h) in enumerate(answers)
    ]


def test_gallery_sorts_by_kind_of_disagreement() -> None:
    one, two = reports.plan("teacher", classes=3), reports.plan(classes=3)
    found = cells(
        reports.manifest(one, two, n=4),
        {
            one.key: _tiny(one.key, [(0, 0), (1, 1), (0, 0), (2, 2)]),
            two.key: _tiny(two.key, [(0, 0), (1, 1), (1, 1), (2, 0)]),
        },
    )
    shown = gallery(found, {}, "digit")
    assert [card.id for card in shown.cards] == ["s3", "s2", "s1"]
    assert shown.counts == (1, 1, 0, 0, 1)
    drawn = gallery(found, {"s2": Picture(shape=(1, 2), pixels=b"\x00\xff")}, "digit")
    assert [(card.id, bool(card.image)) for card in drawn.cards] == [("s2", True)]
    assert drawn.total == 3
    assert shown.cards[0].alt == (
        "Sample s3, label 0; answers: teacher int8 2, student int8 2 (host 0)"
    )
    assert [a.right for a in shown.cards[1].answers] == [True, False]


def test_gallery_is_capped_and_counts_on() -> None:
    plan = reports.plan(classes=3)
    found = cells(reports.manifest(plan), {plan.key: _tiny(plan.key, [(1, 1)] * (MOST + 9))})
    shown = gallery(found, {}, "digit")
    assert (len(shown.cards), shown.total) == (MOST, MOST + 9)


def test_the_png_is_the_picture_as_ink_on_paper() -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(5).integers(0, 256, (28, 20), dtype=np.uint8)
    uri = png_uri(Picture(shape=(28, 20), pixels=pixels.tobytes()))
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    with image.open(io.BytesIO(base64.b64decode(data))) as decoded:
        assert np.array_equal(255 - np.asarray(decoded), pixels)


def test_a_colour_picture_is_drawn_as_it_is() -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(5).integers(0, 256, (32, 20, 3), dtype=np.uint8)
    uri = png_uri(Picture(shape=(32, 20), pixels=pixels.tobytes(), channels=3))
    with image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as decoded:
        assert np.array_equal(np.asarray(decoded), pixels)


def test_nothing_of_an_interrupted_run_is_lost(tmp_path: Path) -> None:
    run = load_run(reports.interrupted(tmp_path / "run", 30))
    found = cells(run.manifest, run.samples)
    chart = accuracy_chart(found)
    assert chart is not None
    assert len(chart.rows) == 2
    assert len(memory_charts(found)[0].rows) == 1
