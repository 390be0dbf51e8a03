# SPDX-License-Identifier: Apache-2.0
"""The verdict, the warnings and the explanations claim what was checked, and no more."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hil.report.pairs import comparisons
from hil.report.references import explanations, published
from hil.report.summary import results
from hil.report.text import count, known, magnitude, percent, plural, points, short
from hil.report.verdict import Verdict, verdict, warnings
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun, load_run
from hil.runs.schema import Manifest, RunPlan, Sample
from tests.support import reports


def _judged(of: Manifest, stored: list[Sample]) -> tuple[Verdict, tuple[Cell, ...]]:
    by_run: dict[str, list[Sample]] = {}
    for sample in stored:
        by_run.setdefault(sample.run, []).append(sample)
    found = cells(of, by_run)
    return verdict(of, found), found


def _stored(*plans: RunPlan, n: int = 200, off_by_one: int = 0, broken: int = 0) -> list[Sample]:
    return [
        sample
        for plan in plans
        for sample in reports.samples(plan, n, off_by_one=off_by_one, broken=broken)
    ]


PAIR = reports.plan("teacher"), reports.plan("student")


def test_all_is_well() -> None:
    found, _ = _judged(reports.manifest(*PAIR), _stored(*PAIR, off_by_one=3))
    assert found.grade == "exact"
    assert found.sentence.startswith(
        "2 models × 200 digits on mps2: every output byte equals the oracle; device and host "
        "give the same answer for every digit; student int8 loses "
    )
    assert found.sentence.endswith("and takes 1/16 of the instructions.")
    assert "latency" not in found.sentence
    assert "time" not in found.sentence


def test_a_differing_byte_comes_first() -> None:
    found, _ = _judged(reports.manifest(*PAIR), _stored(*PAIR, broken=2))
    assert found.grade == "differs"
    assert "4 of 4,000 output values differ from the oracle" in found.sentence
    assert "device and host answer 4 digits differently" in found.sentence


def test_without_an_oracle_nothing_is_claimed() -> None:
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
def test_a_part_is_called_a_part(state: str, word: str) -> None:
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


def test_a_complete_run_that_is_not() -> None:
    found, _ = _judged(reports.manifest(*PAIR), _stored(*PAIR)[:-1])
    assert found.grade == "partial"
    assert found.sentence.startswith("Incomplete after 399 of 400 answers")


def test_a_model_of_ones_own() -> None:
    plan = reports.plan("mine", unit="none")
    of = reports.manifest(
        plan, dataset=msgspec.structs.replace(reports.manifest().dataset, name="my")
    )
    found, _ = _judged(of, _stored(plan))
    assert found.sentence.startswith("1 model × 200 samples on mps2: ")
    assert "; mine int8 is right on " in found.sentence


def test_slower_students_are_not_called_fast() -> None:
    stored = [
        msgspec.structs.replace(s, time=10 if s.run == PAIR[0].key else 15) for s in _stored(*PAIR)
    ]
    found, _ = _judged(reports.manifest(*PAIR), stored)
    assert found.sentence.endswith("takes 1.5 times the instructions.")


def _warned(of: Manifest, stored: list[Sample], *, torn: bool = False) -> str:
    _, found = _judged(of, stored)
    return "\n".join(warnings(StoredRun(of, {}, {}, torn), found))


def test_warnings() -> None:
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


def test_a_good_run_on_a_real_board_has_no_warning() -> None:
    plan = reports.plan(unit="us")
    assert _warned(reports.manifest(plan), reports.samples(plan)) == ""


def test_differences_are_explained() -> None:
    _, found = _judged(reports.manifest(*PAIR), _stored(*PAIR, off_by_one=2, broken=1))
    teacher_oracle, teacher_litert, *_ = explanations(found)
    assert "1 of 2,000 output values differs from the oracle" in teacher_oracle
    assert "This is not expected. First: sample mnist/test/00002, output" in teacher_oracle
    assert "Rounding twice explains one step, not this" in teacher_litert
    _, found = _judged(reports.manifest(*PAIR), _stored(*PAIR, off_by_one=2))
    for line in explanations(found):
        assert "each by one step; no answer changes. This is expected: LiteRT rounds once" in line
    plan = reports.plan(precision="float32")
    _, found = _judged(reports.manifest(plan), reports.samples(plan, off_by_one=2))
    assert "This is not expected: float32 must be equal bit for bit" in explanations(found)[0]
    _, found = _judged(reports.manifest(plan), reports.samples(plan))
    assert explanations(found) == ("student float32: every output equals LiteRT's, bit for bit.",)


def test_published_figures_are_not_passed_off_as_comparable() -> None:
    plans = reports.plan("teacher", "float32"), reports.plan("student", "float32")
    _, found = _judged(reports.manifest(*plans), _stored(*plans))
    table = published(reports.manifest(*plans), found)
    assert table is not None
    assert [row[3] for row in table.rows if row[1].startswith("tutorial")] == ["99.04%", "92.81%"]
    assert "an emulator has no latency" in table.note
    of = reports.manifest(*plans)
    of = msgspec.structs.replace(of, dataset=msgspec.structs.replace(of.dataset, name="digits"))
    other = published(of, found)
    assert other is not None
    assert "not on MNIST" in other.note
    assert published(of, _judged(of, [])[1]) is None


def test_tables_are_rectangular(tmp_path: Path) -> None:
    for make in (reports.full, reports.interrupted, reports.hostile):
        run = load_run(make(tmp_path / make.__name__, 30))
        found = cells(run.manifest, run.samples)
        for table in (results(found, "digit"), comparisons(found)):
            assert {len(row) for row in table.rows} == {len(table.head)}


def test_words() -> None:
    assert [count(v) for v in (1234567, 2.5, 0)] == ["1,234,567", "2.5", "0"]
    assert [short(v) for v in (950, 1500, 2e6, 3e9)] == ["950", "1.5 k", "2 M", "3 G"]
    assert (percent(0.98765, 500), percent(0.98765, 10_000)) == ("98.8%", "98.77%")
    assert [points(v, 100) for v in (-0.002, 0.031, 0.0, -1e-9)] == ["−0.2", "+3.1", "0.0", "0.0"]
    assert (plural(1, "digit"), plural(1200, "digit")) == ("1 digit", "1,200 digits")
    assert (known(0), known(944)) == ("unknown", "944 B")
    assert [magnitude(v) for v in (1.0, 3.14e-05, 3.4028e38)] == ["1", "3.1e-05", "not finite"]
