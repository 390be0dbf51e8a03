# SPDX-License-Identifier: Apache-2.0
"""The pages and the drawing of a study: complete, escaped, and with the figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from hil_train import study_pages
from hil_train.drawing import settings
from hil_train.figures import CompressionStudy
from tests.support.drawings import faults, texts
from tests.support.studies import distillation_wins, pruning_wins, row, study

LONG = "a board of a rather long name, wide enough to matter: WWWW MMMM @@@@ $x_1$" * 2
CROWD = study(
    *(
        row(method, precision, range(9 + i), 100.0 + i)
        for i in range(9)
        for method in ("teacher", "finetuned", "pruned", "alone", "student")
        for precision in ("int8", "float32")
    ),
    board_title=LONG,
)


def drawn(made: CompressionStudy) -> Figure:
    with settings():
        return study_pages.pareto(made)


def points(figure: Figure, panel: int) -> list[tuple[float, float]]:
    """Cost and share of wrong answers of the markers in a panel."""
    lines = [line for line in figure.axes[panel].lines if line.get_marker() not in (None, "None")]
    return [(float(np.ravel(line.get_xdata())[0]), float(np.ravel(line.get_ydata())[0]))
            for line in lines]  # fmt: skip


@pytest.mark.parametrize("made", [distillation_wins(), pruning_wins()], ids=["distil", "prune"])
def test_each_panel_shows_every_network_at_its_cost(made: CompressionStudy) -> None:
    figure = drawn(made)
    assert [axes.get_xlabel().split(",")[0] for axes in figure.axes] == [
        "instructions (emulated",
        "arena",
        "flash",
    ]
    devices = [each.device for each in made.rows if each.device]
    wrong = [len(device.wrong) / made.n for device in devices]
    costs: tuple[list[float], ...] = (
        [d.time or 0 for d in devices],
        [d.arena for d in devices],
        [d.flash_model for d in devices],
    )
    for panel, cost in enumerate(costs):
        low, high = sorted(figure.axes[panel].get_ylim())
        expected = [(c, min(w, high)) for c, w in zip(cost, wrong, strict=True)]
        np.testing.assert_allclose(points(figure, panel), expected, rtol=1e-9)
        assert all(low <= w <= high for _, w in points(figure, panel))
        assert figure.axes[panel].yaxis_inverted()  # up is better
    shown = texts(study_pages.pareto_svg(made))
    assert {each.words for each in made.rows} <= set(shown)


def test_filled_markers_are_int8() -> None:
    figure = drawn(distillation_wins())
    rows = distillation_wins().rows
    lines = [line for line in figure.axes[0].lines if line.get_marker() not in (None, "None")]
    hollow = [line.get_markerfacecolor() == "white" for line in lines]
    assert hollow == [each.precision == "float32" for each in rows]


def test_the_dashed_line_connects_the_pareto_front() -> None:
    figure = drawn(distillation_wins())
    (line,) = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert np.asarray(line.get_xdata()).tolist()[:-1] == [150, 300, 4000, 9000]
    np.testing.assert_allclose(
        np.asarray(line.get_ydata(), np.float64), [0.009, 0.008, 0.006, 0.005, 0.005]
    )


def test_a_much_worse_network_is_on_the_lower_edge() -> None:
    made = study(
        row("teacher", "int8", range(5)),
        row("alone", "int8", range(20)),
        row("pruned", "int8", range(700)),
    )
    figure = drawn(made)
    (_, teacher), (_, alone), (_, pruned) = points(figure, 0)
    assert pruned == max(figure.axes[0].get_ylim())
    assert teacher < alone < pruned


def test_a_network_without_wrong_answers_can_be_drawn() -> None:
    made = study(row("alone", "int8", range(0)), row("student", "int8", range(1)))
    (_, perfect), (_, other) = points(drawn(made), 0)
    assert 0 < perfect < other


@pytest.mark.parametrize("made", [distillation_wins(), CROWD], ids=["usual", "crowd"])
def test_texts_do_not_overlap(made: CompressionStudy) -> None:
    assert faults(drawn(made)) == []


def test_pages_are_complete_and_repeatable(tmp_path: Path) -> None:
    made = distillation_wins()
    study_pages.write(made, tmp_path / "a")
    study_pages.write(made, tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["pareto.svg", "study.html", "study.md"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    text = (tmp_path / "a" / "study.md").read_text()
    assert (
        "| distilled student | int8 | 99.1% (98.3–99.5) | 50 | 150 | 20 | 3,000 | 2.0 | 5.0 |"
        in text
    )
    assert "Every output value of the board is as expected." in text
    page = (tmp_path / "a" / "study.html").read_text()
    assert page.count("<svg") == 1
    assert "<script" not in page
    # nothing is loaded: every reference is to something in the page
    assert page.count("href=") == page.count('href="#') > 0
    assert "src=" not in page


def test_names_are_escaped_and_faults_reported() -> None:
    made = study(
        row("alone", "int8", range(9), unexpected=3),
        row("student", "int8", range(9), unexpected=None, total=None),
        board_title="<b>board</b> & co",
        note="a | note",
        quick=True,
    )
    page, text = study_pages.html(made, study_pages.pareto_svg(made)), study_pages.markdown(made)
    assert "<b>" not in page
    assert "a \\| note" in text
    for each in (page, text):
        assert "do not use these figures" in each
        assert "3 output values" in each
        assert "For 1 network, no oracle was available" in each
        assert "is as expected" not in each
