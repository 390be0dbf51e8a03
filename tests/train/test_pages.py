# SPDX-License-Identifier: Apache-2.0
"""The pages and the drawing of a study: whole, escaped, and of the figures alone."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from hil_train.study import pages
from hil_train.study.figures import Study
from hil_train.study.pages import HEIGHT, PANEL, drawing
from tests.support.studies import distillation_wins, pruning_wins, row, study

SPACE = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("made", [distillation_wins(), pruning_wins()], ids=["distil", "prune"])
def test_every_network_is_in_each_panel_within_it(made: Study) -> None:
    found = drawing(made)
    assert [panel.axis.split(",")[0] for panel in found.panels] == [
        "instructions (emulated",
        "arena",
        "flash",
    ]
    for panel in found.panels:
        assert len(panel.marks) == len(made.rows)
        for mark in panel.marks:
            assert 0 <= mark.x <= PANEL
            assert 0 <= mark.high <= mark.y <= mark.low <= HEIGHT
    # the teacher in float32 costs most and is right most often: right of and above all others
    first, *others = found.panels[0].marks
    assert all(first.x > mark.x and first.y < mark.y for mark in others)
    assert {mark.letter[0] for mark in found.panels[0].marks} == {key.letter for key in found.keys}


def test_what_lost_everything_stands_on_the_lower_edge() -> None:
    made = study(
        row("teacher", "int8", range(5)),
        row("alone", "int8", range(20)),
        row("pruned", "int8", range(700)),
    )
    teacher, alone, pruned = drawing(made).panels[0].marks
    assert (pruned.y, pruned.letter) == (HEIGHT, "C↓")
    assert alone.letter == "B"
    assert alone.y - teacher.y > HEIGHT / 4


def test_nothing_wrong_at_all_can_be_drawn() -> None:
    made = study(row("alone", "int8", range(0)), row("student", "int8", range(1)))
    marks = drawing(made).panels[0].marks
    assert marks[0].y < marks[1].y


def test_pages_are_written_whole_and_alike(tmp_path: Path) -> None:
    made = distillation_wins()
    pages.write(made, tmp_path / "a")
    pages.write(made, tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["pareto.svg", "study.html", "study.md"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    root = ElementTree.parse(tmp_path / "a" / "pareto.svg").getroot()
    assert len(root.findall(f".//{SPACE}title")) == 3 * len(made.rows)
    text = (tmp_path / "a" / "study.md").read_text()
    assert (
        "| distilled student | int8 | 99.1% (98.3–99.5) | 50 | 150 | 20 | 3,000 | 2.0 | 5.0 |"
        in text
    )
    assert "Every output value of the board is what it must be." in text
    page = (tmp_path / "a" / "study.html").read_text()
    assert page.count("<svg") == 1
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in page


def test_what_a_board_or_a_recipe_says_is_escaped_and_faults_are_told() -> None:
    made = study(
        row("alone", "int8", range(9), unexpected=3),
        row("student", "int8", range(9), unexpected=None, total=None),
        board_title="<b>board</b> & co",
        note="a | note",
        quick=True,
    )
    page, text = pages.html(made, pages.svg(made)), pages.markdown(made)
    assert "<b>" not in page
    assert "a \\| note" in text
    for each in (page, text):
        assert "the figures mean nothing" in each
        assert "3 output values" in each
        assert "1 network had no oracle" in each
        assert "is what it must be" not in each
