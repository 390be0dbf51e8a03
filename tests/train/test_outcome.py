# SPDX-License-Identifier: Apache-2.0
"""What is read from a study, and its report. Without TensorFlow."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.patches import Rectangle

if not importlib.util.find_spec("optuna") and os.environ.get("CI") != "true":
    pytest.skip("not installed: optuna", allow_module_level=True)

import optuna

from hil_train import outcome
from hil_train.drawing import settings as drawing_settings
from tests.support.drawings import faults, texts
from tests.support.sweeps import POINTS, filled, settings

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def test_the_report_s_front_is_sorted_by_accuracy() -> None:
    found = outcome.read(filled(POINTS), settings("flash"))
    assert [row.number for row in found.ranked if row.number in found.front] == [2, 0, 3, 5, 6]


def test_the_best_is_the_first_of_equals() -> None:
    found = outcome.read(filled(POINTS), settings("flash"))
    assert found.best is not None
    assert (found.best.number, found.best.accuracy) == (1, 0.90)


def test_a_report_has_the_figures_and_drawings(tmp_path: Path) -> None:
    study = filled(POINTS)
    (tmp_path / "pareto-arena.svg").write_text("of an earlier report")
    made = outcome.write_report(study, outcome.read(study, settings("flash")), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in made}
    assert {path.name for path in made} == {
        *("report.md", "trials.json"),
        *("importance.svg", "contour.svg", "pareto-flash.svg"),
    }
    text = (tmp_path / "report.md").read_text()
    assert "validation accuracy 0.9000" in text
    assert "temperature = 2, alpha = 0.9" in text
    assert "2 trials are as accurate" in text
    rows = msgspec.json.decode((tmp_path / "trials.json").read_bytes())
    assert [row["accuracy"] for row in rows] == [accuracy for _, _, accuracy, _ in POINTS]
    shown = {name: texts((tmp_path / name).read_text()) for name in (p.name for p in made[2:])}
    assert {"temperature", "alpha"} <= set(shown["importance.svg"])
    assert {"temperature T", "alpha", "accuracy"} <= set(shown["contour.svg"])
    assert {"flash, B", "accuracy", "Best Trial"} <= set(shown["pareto-flash.svg"])
    # the same study gives the same bytes
    before = [path.read_bytes() for path in made]
    outcome.write_report(study, outcome.read(study, settings("flash")), tmp_path)
    assert [path.read_bytes() for path in made] == before


def test_texts_of_the_drawings_do_not_overlap() -> None:
    study = filled([(t, a, z, f * 1e4) for t, a, z, f in POINTS])
    found = outcome.read(study, settings("flash"))
    with drawing_settings():
        for axes in (
            outcome.importance(study, found),
            outcome.contour(study, found),
            outcome.pareto(study, "flash"),
        ):
            assert axes is not None
            figure = axes.get_figure(root=True)
            assert figure is not None
            assert faults(figure) == []


def test_importance_is_the_share_of_the_variance() -> None:
    by_t = [(t, a, 0.5 + t / 50, 1.0) for t in (1, 5, 10, 15, 20) for a in (0.1, 0.5, 0.9)]
    study = filled(by_t)
    with drawing_settings():
        axes = outcome.importance(study, outcome.read(study, settings()))
        assert axes is not None
        shares = {
            label.get_text(): bar.get_width()
            for label, bar in zip(axes.get_yticklabels(), axes.patches, strict=True)
            if isinstance(bar, Rectangle)
        }
        assert shares["temperature"] > 0.9
        assert sum(shares.values()) == pytest.approx(1)
        # nothing to explain, and too few trials
        for points in ([(t, a, 0.5, 1.0) for t, a, _, _ in by_t], by_t[:7]):
            few = filled(points)
            assert outcome.importance(few, outcome.read(few, settings())) is None


def test_the_contour_shows_the_trials() -> None:
    study = filled(POINTS)
    with drawing_settings():
        axes = outcome.contour(study, outcome.read(study, settings()))
        assert axes is not None
        dots = [each for each in axes.collections if isinstance(each, PathCollection)]
        shown = {tuple(point) for each in dots for point in np.asarray(each.get_offsets()).tolist()}
        assert shown == {(alpha, t) for t, alpha, _, _ in POINTS}
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("alpha", "temperature T")
        (best,) = axes.lines
        assert np.asarray(best.get_data()).ravel().tolist() == [0.9, 2]
        # no contour of a line
        line = [(t, t / 20, 0.5, 1.0) for t in (1.0, 2.0, 4.0, 8.0)]
        for points in (line, line[:3]):
            few = filled(points)
            assert outcome.contour(few, outcome.read(few, settings())) is None


def test_the_pareto_drawing_marks_the_front_of_its_two_figures() -> None:
    with drawing_settings():
        axes = outcome.pareto(filled(POINTS), "flash")
        assert axes is not None
        _, best = axes.collections
        assert sorted(map(tuple, np.asarray(best.get_offsets()).tolist())) == [
            (100, 0.6),
            (200, 0.7),
            (200, 0.7),
            (300, 0.8),
            (400, 0.9),
        ]
        assert outcome.pareto(filled(POINTS[:1]), "flash") is None


def test_an_empty_study_is_reported(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["maximize"], study_name="s")
    found = outcome.read(study, settings())
    assert found.best is None
    names = [path.name for path in outcome.write_report(study, found, tmp_path)]
    assert names == ["report.md", "trials.json"]
    assert "No trial completed" in (tmp_path / "report.md").read_text()
