# SPDX-License-Identifier: Apache-2.0
"""hil/report/verdict.py: verdict and warnings claim what was checked, and no more."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from hil import stats
from hil.report.references import explanations
from hil.report.verdict import Verdict, verdict, warnings
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema import Manifest, RunPlan, Sample
from tests.support import reports
from tests.support.conversions import RECORD
from tests.support.runs import known


def _judged(of: Manifest, stored: list[Sample]) -> tuple[Verdict, tuple[Cell, ...]]:
    found = reports.cells_of(reports.run_of(of, stored))
    return verdict(of, found), found


def _stored(*plans: RunPlan, n: int = 200, off_by_one: int = 0, broken: int = 0) -> list[Sample]:
    return [
        sample
        for plan in plans
        for sample in reports.samples(plan, n, off_by_one=off_by_one, broken=broken)
    ]


PAIR = reports.plan("teacher"), reports.plan("student")


def test_a_run_as_expected() -> None:
    found, _ = _judged(reports.manifest(*PAIR), _stored(*PAIR, off_by_one=3))
    assert found.grade == "exact"
    assert found.sentence.startswith(
        "2 models × 200 digits on mps2: every output byte equals the oracle; device and host "
        "give the same answer for every digit; student int8 is "
    )
    assert found.sentence.endswith("and takes 1/16 of the instructions.")
    assert "latency" not in found.sentence
    assert "time" not in found.sentence


@pytest.mark.parametrize(("swap", "word"), [(False, "less"), (True, "more")])
def test_the_gap_of_accuracy_has_its_direction_and_interval(swap: bool, word: str) -> None:
    other = {PAIR[0].key: PAIR[1].key, PAIR[1].key: PAIR[0].key}
    stored = _stored(*PAIR)
    if swap:
        stored = [msgspec.structs.replace(s, run=other[s.run]) for s in stored]
    found, (teacher, student) = _judged(reports.manifest(*PAIR), stored)
    gap = stats.paired_difference(known(student.right), known(teacher.right))
    assert (gap.point > 0) == swap
    said = (
        f"student int8 is {abs(100 * gap.point):.1f} points {word} accurate than the teacher "
        f"(difference: 95% interval {100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    )
    assert said in found.sentence.replace("−", "-")


def test_a_differing_byte_is_named_first() -> None:
    found, _ = _judged(reports.manifest(*PAIR), _stored(*PAIR, broken=2))
    assert found.grade == "differs"
    assert "4 of 4,000 output values differ from the oracle" in found.sentence
    assert "device and host answer 4 digits differently" in found.sentence


def test_without_an_oracle_its_figures_are_unknown() -> None:
    plan = reports.plan(oracle="")
    found, _ = _judged(reports.manifest(plan), _stored(plan))
    assert found.grade == "unchecked"
    assert "no oracle was run" in found.sentence
    plan = reports.plan(oracle="", precision="float32")  # LiteRT is what counts in float32
    found, _ = _judged(reports.manifest(plan), _stored(plan))
    assert found.grade == "exact"
    assert "every float32 output equals LiteRT bit for bit" in found.sentence
    both = reports.plan("teacher"), reports.plan("student", oracle="")
    found, _ = _judged(reports.manifest(*both), _stored(*both))
    assert found.grade == "unchecked"
    assert (
        "every output byte equals the oracle, student int8 not checked: no oracle available"
    ) in found.sentence


@pytest.mark.parametrize(
    ("tolerance", "grade"), [(0.0, "differs"), (1e-6, "differs"), (1e-3, "within")]
)
def test_float32_has_the_tolerance_that_its_run_states(tolerance: float, grade: str) -> None:
    plan = reports.plan(precision="float32", tolerance=tolerance)
    found, shown = _judged(reports.manifest(plan), _stored(plan, off_by_one=3))
    assert found.grade == grade
    if grade == "within":
        assert "student float32 within 3.8e-06 of LiteRT, as expected" in found.sentence
        assert "Up to 0.001 is expected: contracted." in explanations(shown)[0]
    else:
        assert "3 of 2,000 output values differ from LiteRT" in found.sentence


@pytest.mark.parametrize(
    ("state", "word"),
    [("interrupted", "Interrupted"), ("failed", "Failed"), ("running", "Not finished")],
)
def test_an_incomplete_run_says_so(state: str, word: str) -> None:
    of = reports.manifest(*PAIR, state=state, ends=(reports.end(PAIR[0], 200),))
    stored = _stored(PAIR[0]) + _stored(PAIR[1])[:50]
    found, _ = _judged(of, stored)
    assert found.grade == "partial"
    assert found.sentence.startswith(
        f"{word} after 250 of 400 answers on mps2, 1 of 2 runs finished; so far: "
    )
    assert "over the 50 that both answered" in found.sentence


def test_a_run_without_an_answer() -> None:
    of = reports.manifest(*PAIR, state="failed", ends=())
    found, _ = _judged(of, [])
    assert found.sentence == (
        "Failed after 0 of 400 answers on mps2, 0 of 2 runs finished: no answers to judge."
    )
    empty, _ = _judged(reports.manifest(state="failed"), [])
    assert empty.grade == "partial"


def test_a_missing_answer_makes_a_run_incomplete() -> None:
    found, _ = _judged(reports.manifest(*PAIR), _stored(*PAIR)[:-1])
    assert found.grade == "partial"
    assert found.sentence.startswith("Incomplete after 399 of 400 answers")


def test_a_model_without_a_teacher() -> None:
    plan = reports.plan("mine", unit="none")
    of = reports.manifest(
        plan, dataset=msgspec.structs.replace(reports.manifest().dataset, name="my")
    )
    found, _ = _judged(of, _stored(plan))
    assert found.sentence.startswith("1 model × 200 samples on mps2: ")
    assert "; mine int8 is right on " in found.sentence


def test_cycles_are_named_and_timed_at_the_clock_of_their_core() -> None:
    plan = reports.plan(board="mega2560", title="Mega (simavr)", unit="cycles")
    stored = [msgspec.structs.replace(s, time=3_200_000) for s in _stored(plan)]
    said = _warned(reports.manifest(plan), stored)
    assert "Mega (simavr) is emulated: its cycles are those of the data sheet" in said
    assert "student int8: at 16 MHz these cycles take 200 ms." in said


def test_a_slower_student() -> None:
    stored = [
        msgspec.structs.replace(s, time=10 if s.run == PAIR[0].key else 15) for s in _stored(*PAIR)
    ]
    found, _ = _judged(reports.manifest(*PAIR), stored)
    assert found.sentence.endswith("takes 1.5 times the instructions.")


def _warned(of: Manifest, stored: list[Sample], *, torn: bool = False) -> str:
    _, found = _judged(of, stored)
    return "\n".join(warnings(StoredRun(of, {}, {}, torn), found))


def _student(precision: str, scale: float = 0.5, zero_point: int = 2) -> RunPlan:
    plan = reports.plan(precision=precision, unit="none")
    given = msgspec.structs.replace(
        plan.input, dtype=9 if precision == "int8" else 0, scale=scale, zero_point=zero_point
    )
    return msgspec.structs.replace(plan, input=given)


def test_a_loss_of_int8_is_a_warning_with_the_inputs_range() -> None:
    plans = [_student("float32"), _student("int8")]
    of = reports.manifest(*plans)
    right, wrong = (np.eye(10, dtype=kind) for kind in ("<f4", "i1"))

    def stored(lost: int) -> list[Sample]:
        found = []
        for plan, one_hot in zip(plans, (right, wrong), strict=True):
            for sample in reports.samples(plan):
                off = plan.precision == "int8" and sample.i < lost
                row = one_hot[(sample.label + off) % 10].tobytes()
                found.append(msgspec.structs.replace(sample, device=row, litert=None, oracle=None))
        return found

    # 12 of 12 discordant samples: p = 2 / 2**12
    assert (
        "student int8 loses 6.0 points to float32 on the same 200 samples (McNemar's p = 0.00049). "
        "Its input covers -65 to 62.5: check the data that it was calibrated on."
    ) in _warned(of, stored(12))
    assert "loses" not in _warned(of, stored(5))  # p = 0.0625
    plans[1] = msgspec.structs.replace(plans[1], converted=RECORD)
    assert "prepare them so" not in _warned(reports.manifest(*plans), stored(12))
    assert "It was calibrated on 7 of 70 samples of mine (user), values from 0 to 1." in _warned(
        reports.manifest(*plans), stored(12)
    )


def test_samples_that_do_not_fit_a_converted_model_are_a_warning_once() -> None:
    record = msgspec.structs.replace(RECORD, misfit="my: prepare them so")
    plans = [
        msgspec.structs.replace(_student(precision), converted=record)
        for precision in ("float32", "int8")
    ]
    assert _warned(reports.manifest(*plans), _stored(*plans)).count("my: prepare them so.") == 1


def test_every_warning_about_gaps_and_labels() -> None:
    plan = reports.plan()
    stored = [s for s in reports.samples(plan, 40) if s.label != 7]
    stored[0] = msgspec.structs.replace(stored[0], label=12, attempts=3)
    stored[1] = msgspec.structs.replace(stored[1], time=None)
    of = reports.manifest(
        plan,
        n=40,
        state="interrupted",
        error="Ctrl-C",
        dataset=msgspec.structs.replace(reports.manifest().dataset, note="No MNIST here.", n=40),
    )
    said = _warned(of, stored, torn=True)
    for line in (
        "interrupted (Ctrl-C)",
        "The last line of samples.jsonl is incomplete",
        "student int8: 36 of 40 answers.",
        "1 answer had no time",
        "1 answer took more than one attempt",
        "No MNIST here.",
        "Only 36 digits",
        "No digit of class 7",
        "1 digit with a label that no output stands for",
        "is emulated: instruction counts are exact, and there is no latency",
    ):
        assert line in said


def test_a_good_run_on_a_physical_board_has_no_warning() -> None:
    plan = reports.plan(unit="us")
    assert _warned(reports.manifest(plan), reports.samples(plan)) == ""
