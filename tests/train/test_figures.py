# SPDX-License-Identifier: Apache-2.0
"""The sentences of a study: with other figures, another network wins."""

from __future__ import annotations

import numpy as np
import pytest

from hil_train import figures
from hil_train.figures import CompressionStudy, costs, front
from tests.support.studies import LARGE, distillation_wins, pruning_wins, row, study


def said(made: CompressionStudy, start: str) -> str:
    (line,) = [line for line in figures.advice(made) if line.startswith(start)]
    return line


def test_the_distilled_student_is_recommended_if_it_is_best() -> None:
    made = distillation_wins()
    assert said(made, "Most accurate: the teacher in float32 (99.5%)").endswith(
        "not significantly worse: teacher in int8 and distilled student."
    )
    for noun, cost in (
        ("instructions", "150"),
        ("bytes of RAM", "20"),
        ("bytes of flash", "3,000"),
    ):
        line = said(made, f"Fewest {noun} without")
        assert f"the distilled student in int8 ({cost}, 99.1%)." in line
        assert "Fewest of all" not in line  # because it is
    line = said(made, "Within 60 parameters")
    assert "the distilled student in float32 is correct most often (99.2%), ahead of" in line
    assert "pruned teacher + fine-tuning in float32" in line
    assert said(made, "Distillation (").startswith(
        "Distillation (distilled student compared with student alone, int8): +4.2 points"
    )
    assert said(made, "Distillation (").endswith("; the cost is the same.")
    assert "not significant" not in said(made, "Distillation (")


def test_the_pruned_teacher_is_recommended_if_it_is_best() -> None:
    made = pruning_wins()
    for noun, cost in (("instructions", "1,000"), ("bytes of flash", "8,000")):
        line = said(made, f"Fewest {noun} without")
        assert f"the pruned teacher + fine-tuning in float32 ({cost}, 99.4%)." in line
    assert "Fewest of all: the student alone in int8 (150, −4.5 points" in said(
        made, "Fewest instructions without"
    )
    line = said(made, "Within 60 parameters: the pruned teacher + fine-tuning in float32")
    assert "ahead of the next network, the student alone in float32" in line
    assert ": −3.9 points of accuracy" in said(made, "Distillation (")
    quantised = said(made, "Quantisation")
    assert "int8 takes 0.44 to 0.60 of the instructions" in quantised
    assert "0.25 to 0.50 of the bytes of RAM" in quantised
    assert "−5.4 to −0.1 points" in quantised
    assert quantised.endswith(
        "significantly for pruned teacher + fine-tuning and distilled student."
    )


def test_insignificant_differences_are_called_so() -> None:
    made = study(
        row("alone", "int8", range(20)), row("student", "int8", range(1, 20)), budget_macs=10
    )
    assert "not significant" in said(made, "Distillation (")
    assert "not significantly ahead of the next" in said(made, "Within 60 parameters")
    assert said(made, "Most accurate").endswith("significantly worse: student alone in int8.")


def test_of_nearly_equal_costs_the_most_accurate_network_is_named() -> None:
    made = study(
        row("teacher", "int8", range(5), 900.0, size=LARGE),
        row("pruned", "int8", range(700), 100.0),
        row("pruned_tuned", "int8", range(300, 340), 100.5),
    )
    line = said(made, "Fewest instructions without")
    assert line.endswith(
        "Fewest of all: the pruned teacher + fine-tuning in int8 (100.5, −3.5 points of accuracy)."
    )
    lost = said(made, "Pruning without fine-tuning")
    assert "−69.5 points of accuracy" in lost
    assert "p < 0.000001; 0.11 times the instructions." in lost  # the other costs are equal


def test_a_board_without_a_clock_has_no_instructions() -> None:
    made = study(
        row("teacher", "int8", range(5), None), row("alone", "int8", range(9), None), unit="none"
    )
    assert not [line for line in figures.advice(made) if "instructions" in line]
    assert [cost.noun for cost in costs(made)] == ["bytes of RAM", "bytes of flash"]


def test_networks_that_do_not_fit_are_named_with_the_reason() -> None:
    made = study(
        row("teacher", "int8", None, why="does not fit on mps2", size=LARGE),
        row("alone", "int8", range(9)),
    )
    assert figures.absent(made) == (
        "The teacher in int8 was not measured (900 parameters): does not fit on mps2.",
    )
    assert "teacher in int8" not in " ".join(figures.choices(made))


def test_unexpected_outputs_are_reported() -> None:
    made = study(
        row("alone", "int8", range(9), unexpected=3),
        row("student", "int8", range(9), unexpected=None),
    )
    assert figures.unexpected(made) == ("student alone in int8: 3 output values",)


def test_a_single_network_is_not_compared() -> None:
    made = study(row("alone", "int8", range(9)))
    assert "every other network" in figures.choices(made)[0]
    assert said(made, "Within 60 parameters").endswith("there is no other network.")


@pytest.mark.parametrize("seed", range(5))
def test_the_front_has_no_dominated_networks(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = [
        row("alone", "int8", range(int(random.integers(1, 12))), float(random.integers(1, 12)))
        for _ in range(12)
    ]
    made = study(*rows)
    cost = costs(made)[0]
    places = [(cost.of(r), len(r.device.wrong)) for r in rows if r.device]
    # computed differently: the best of all that cost no more, if none that is as good costs less
    wanted = {
        (c, w)
        for c, w in places
        if w == min(v for d, v in places if d <= c) and c == min(d for d, v in places if v <= w)
    }
    found = [(cost.of(r), len(r.device.wrong)) for r in front(made, cost) if r.device]
    assert set(found) == wanted
    assert found == sorted(found)
