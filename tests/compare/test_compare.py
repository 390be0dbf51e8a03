# SPDX-License-Identifier: Apache-2.0
"""Comparisons of runs with a known difference."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from hil import stats
from hil.compare import compare_runs, compare_stored
from hil.compare.limits import DEFAULTS, Growth, Limits, LimitsFile
from hil.runs.load import StoredRun
from hil.runs.schema import Marks, RunPlan, Sample, TooLarge
from tests.support import reports
from tests.support.compared import N, figure, run, timed, with_manifest, with_memory

COUNTS = reports.plan()
MICROS = reports.plan(board="esp32", unit="us")


def test_a_run_is_the_same_as_itself() -> None:
    found = compare_stored(run(), run())
    assert not found.regression
    assert {figure.word for one in found.runs for figure in one.figures} == {"same"}
    assert found.sentence.startswith("No regression. ")


def test_stored_folders_are_compared(tmp_path: Path) -> None:
    base = reports.full(tmp_path / "base")
    assert len(compare_runs(base, reports.full(tmp_path / "new")).runs) == 4


@pytest.mark.parametrize(
    ("name", "by", "word", "beyond"),
    [
        ("arena", 25, "worse", False),  # 0.98 % of 2,544
        ("arena", 26, "worse", True),
        ("arena", -1, "better", False),
        ("flash_code", 112, "worse", False),
        ("flash_code", 113, "worse", True),
        ("ram_static", 57, "worse", True),
        ("stack", 94, "worse", False),
        ("stack", 95, "worse", True),
    ],
)
def test_bytes_are_exact(name: str, by: int, word: str, beyond: bool) -> None:
    base = run()
    before = getattr(base.manifest.ends[0].memory, name)
    found = compare_stored(base, with_memory(run(), **{name: before + by}))
    (changed,) = [figure for figure in found.runs[0].figures if figure.word != "same"]
    assert (changed.name, changed.word, changed.beyond) == (name, word, beyond)
    assert changed.change is not None
    assert changed.change.low == changed.change.high == (before + by) / before
    assert found.regression is beyond


def test_one_more_instruction_per_digit_is_worse_but_within_the_limit() -> None:
    times = np.arange(1000, 1000 + N)
    found = compare_stored(timed(run(), times.tolist()), timed(run(), (times + 1).tolist()))
    median = figure(found, "instructions")
    assert (median.word, median.beyond) == ("worse", False)
    expected = stats.ratio_of_medians(times + 1, times)
    assert median.change is not None
    assert (median.change.low, median.change.high) == (expected.low, expected.high)


@pytest.mark.parametrize(("more", "beyond"), [(10, False), (11, True)])
def test_instructions_are_beyond_their_limit_by_value(more: int, beyond: bool) -> None:
    found = compare_stored(timed(run(), [1000] * N), timed(run(), [1000 + more] * N))
    assert figure(found, "instructions").beyond is beyond


def test_the_sum_shows_a_regression_that_the_median_hides() -> None:
    slower = [1000] * (N - 40) + [2000] * 40
    found = compare_stored(timed(run(), [1000] * N), timed(run(), slower))
    assert not figure(found, "instructions").beyond
    assert figure(found, "instructions").word == "worse"
    assert figure(found, "total").beyond
    assert found.regression


def test_instructions_that_rise_and_fall_are_undecided() -> None:
    rng = np.random.default_rng(1)
    times = rng.integers(900, 1100, N)
    other = times + rng.choice([-1, 1], N)
    found = compare_stored(timed(run(), times.tolist()), timed(run(), other.tolist()))
    assert figure(found, "instructions").word == "undecided"
    assert not found.regression


def test_latency_is_beyond_its_limit_only_with_its_whole_interval() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(2000, 100, N).astype(int)  # the median's interval is then 1.4 % wide
    for factor, word, beyond in ((1.035, "worse", False), (1.08, "worse", True)):
        new = (rng.normal(2000, 100, N) * factor).astype(int)
        found = compare_stored(timed(run(MICROS), base.tolist()), timed(run(MICROS), new.tolist()))
        latency = figure(found, "latency")
        assert (latency.word, latency.beyond) == (word, beyond), latency.change


def test_times_of_0_are_undecided() -> None:
    found = compare_stored(timed(run(MICROS), [0] * N), timed(run(MICROS), [5] * N))
    assert figure(found, "latency").word == "undecided"
    assert "too short" in figure(found, "latency").note


def flipped(sample: Sample) -> Sample:
    """The same digit with another answer, on device and host."""
    outputs = np.frombuffer(sample.device, "i1")
    other = outputs.copy()
    other[outputs.argmax()], other[(outputs.argmax() + 1) % 10] = -100, 127
    return msgspec.structs.replace(sample, device=other.tobytes())


def lose(count: int) -> StoredRun:
    """A run with ``count`` right answers changed to wrong ones, on device and host."""
    stored = run(changed_model())
    key, part = next(iter(stored.samples.items()))
    right = [s.i for s in part if np.frombuffer(s.device, "i1").argmax() == s.label][:count]
    samples = {key: tuple(flipped(s) if s.i in right else s for s in part)}
    return StoredRun(stored.manifest, samples, {}, torn=False)


def changed_model() -> RunPlan:
    return msgspec.structs.replace(COUNTS, model_sha256="12" * 32)


@pytest.mark.parametrize(
    ("lost", "word", "beyond"), [(1, "undecided", False), (6, "worse", False), (12, "worse", True)]
)
def test_accuracy_is_worse_if_its_interval_excludes_0(lost: int, word: str, beyond: bool) -> None:
    found = compare_stored(run(COUNTS), lose(lost), allow=("model",))
    accuracy = figure(found, "accuracy")
    assert (accuracy.word, accuracy.beyond) == (word, beyond), accuracy
    assert accuracy.note.startswith(f"{lost} lost, 0 gained")
    assert found.regression is beyond


def test_outputs_of_another_network_must_be_allowed() -> None:
    found = compare_stored(run(COUNTS), lose(1))
    assert "--allow model" in figure(found, "outputs").note
    assert found.regression
    (fact,) = found.runs[0].facts
    base = run(COUNTS).manifest.runs[0].model_sha256
    assert (fact.name, fact.base[:2], fact.new[:2]) == ("model_sha256", base[:2], "12")


def test_changed_outputs_of_one_network_are_a_regression_even_if_model_is_allowed() -> None:
    def off_by_one(sample: Sample) -> Sample:
        if sample.i != 3:
            return sample
        outputs = np.frombuffer(sample.device, "i1").copy()
        outputs[outputs.argmin()] += 1
        return msgspec.structs.replace(sample, device=outputs.tobytes(), oracle=sample.device)

    found = compare_stored(run(), run(change=off_by_one), allow=("model",))
    beyond = {figure.name: figure.new for figure in found.runs[0].figures if figure.beyond}
    assert beyond == {"outputs": 1, "unexpected": 1}


@pytest.mark.parametrize(("more", "word"), [(1, "worse"), (100, "worse"), (-1, "better")])
def test_the_first_inference_of_an_emulator_is_exact(more: int, word: str) -> None:
    first = figure(compare_stored(begun(COUNTS, 1000), begun(COUNTS, 1000 + more)), "first")
    assert (first.word, first.beyond) == (word, more > 10)


def test_the_first_inference_of_a_real_board_is_undecided() -> None:
    first = figure(compare_stored(begun(MICROS, 1000), begun(MICROS, 3000)), "first")
    assert (first.word, first.beyond, first.change) == ("undecided", False, None)
    lost = compare_stored(begun(MICROS, 1000), run(MICROS))
    assert figure(lost, "first").word == "missing"


@pytest.mark.parametrize(("grown", "beyond"), [(0, False), (8, True)])
def test_a_heap_that_grows_is_a_regression(grown: int, beyond: bool) -> None:
    heap = figure(compare_stored(heaped(0), heaped(grown)), "heap")
    assert (heap.new, heap.beyond) == (grown, beyond)


def heaped(grown: int) -> StoredRun:
    """A run whose heap grew by ``grown`` bytes."""
    marks = Marks(
        arena_reserved=None,
        ram_static=None,
        stack=None,
        stack_size=None,
        heap_start=100,
        heap_end=100 + grown,
        allocator=True,
    )
    stored = run()
    ends = tuple(msgspec.structs.replace(end, marks=marks) for end in stored.manifest.ends)
    return with_manifest(stored, ends=ends)


def begun(plan: RunPlan, first: int) -> StoredRun:
    """A run with ``first`` as the time of its first inference."""
    stored = run(plan)
    ends = tuple(msgspec.structs.replace(end, first=first) for end in stored.manifest.ends)
    return with_manifest(stored, ends=ends)


def test_a_missing_figure_is_a_regression_unless_allowed() -> None:
    new = with_manifest(run(), ends=())
    found = compare_stored(run(), new)
    missing = [figure.name for figure in found.runs[0].figures if figure.word == "missing"]
    assert missing == ["arena", "flash_model", "flash_code", "ram_static", "stack", "retries"]
    assert len(found.problems) == 6
    assert not compare_stored(run(), new, allow_missing=True).regression
    assert not compare_stored(new, run()).regression, "a new figure is not a regression"


def test_missing_answers_are_a_regression() -> None:
    whole = run()
    key, part = next(iter(whole.samples.items()))
    new = StoredRun(whole.manifest, {key: part[:150]}, {}, torn=False)
    found = compare_stored(whole, new)
    assert figure(found, "unanswered").beyond
    assert figure(found, "instructions").word == "same", "over the digits that both answered"
    assert not compare_stored(whole, new, allow_missing=True).regression
    none = StoredRun(whole.manifest, {key: ()}, {}, torn=False)
    assert figure(compare_stored(whole, none), "accuracy").word == "missing"


def test_a_missing_run_is_a_regression_and_an_added_one_is_not() -> None:
    both = run(reports.plan("teacher"), reports.plan("student"))
    found = compare_stored(both, run(reports.plan("student")))
    assert [lost.key for lost in found.lost] == ["mps2/aot/teacher/int8"]
    assert found.problems == ("mps2/aot/teacher/int8: missing from NEW",)
    assert not compare_stored(both, run(reports.plan("student")), allow_missing=True).regression
    back = compare_stored(run(reports.plan("student")), both)
    assert back.added == ("mps2/aot/teacher/int8",)
    assert not back.regression


def test_the_reason_for_a_network_that_no_longer_fits() -> None:
    gone = TooLarge(
        board="mps2",
        board_title="",
        engine="aot",
        model="teacher",
        precision="int8",
        memory="flash",
        needs=70_000,
        has=65_536,
        linked=False,
    )
    new = run(reports.plan("student"), no_place=(gone,))
    found = compare_stored(run(reports.plan("teacher"), reports.plan("student")), new)
    assert found.lost[0].why == "does not fit: at least 70,000 B of flash, the board has 65,536"


def test_limits_of_the_file_and_of_a_run() -> None:
    new = with_memory(run(), arena=2_600, stack=945)
    key = COUNTS.key
    assert figure(compare_stored(run(), new), "arena").beyond
    wide = LimitsFile(compare=Growth(arena=5))
    assert not compare_stored(run(), new, wide).regression
    own = LimitsFile(compare=Growth(arena=5), runs={key: Limits(compare=Growth(stack=0))})
    found = compare_stored(run(), new, own)
    assert [figure.name for figure in found.runs[0].figures if figure.beyond] == ["stack"]
    anything = LimitsFile(compare=Growth(arena=float("inf")))
    assert figure(compare_stored(run(), new, anything), "arena").limit is None


def test_absolute_limits_apply_only_to_new() -> None:
    held = LimitsFile(runs={COUNTS.key: Limits(arena=2_000)})
    found = compare_stored(run(), run(), held)
    assert found.problems == (f"{COUNTS.key}: arena is 2544, limit 2000",)


def test_engines_are_compared_without_allow() -> None:
    other = msgspec.structs.replace(COUNTS, engine="tflm", key="mps2/tflm/student/int8")
    found = compare_stored(run(), run(other))
    assert found.runs[0].base == COUNTS.key
    assert [fact.name for fact in found.runs[0].facts] == ["engine"]


def test_the_documentation_names_every_limit_and_its_default() -> None:
    table = (Path(__file__).parents[2] / "docs" / "compare.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    for name in Growth.__struct_fields__:
        (row,) = [r for r in rows if f"`{name}`" in r.split("|")[1] and len(r.split("|")) == 6]
        default = getattr(DEFAULTS, name)
        said = row.split("|")[3].strip()
        assert said == "any" if default == float("inf") else said.startswith(f"{default:g}"), row


@pytest.mark.parametrize(("more", "beyond"), [(1.009, False), (1.012, True)])
def test_cycles_vary_by_an_interrupt_and_are_compared_like_latencies(
    more: float, beyond: bool
) -> None:
    plan = reports.plan(board="mega2560", unit="cycles")
    rng = np.random.default_rng(2)
    times, other = (3_000_000 + rng.integers(-1, 2, N) * 100 for _ in range(2))
    slower = (other * more).astype(int)
    same = compare_stored(timed(run(plan), times.tolist()), timed(run(plan), other.tolist()))
    assert not figure(same, "cycles").beyond
    assert figure(same, "cycles").word != "worse"
    found = compare_stored(timed(run(plan), times.tolist()), timed(run(plan), slower.tolist()))
    assert figure(found, "cycles").beyond is beyond
    assert not {"instructions", "latency"} & {one.name for one in found.runs[0].figures}


def test_a_board_without_a_clock_has_no_times() -> None:
    plan = reports.plan(board="native", unit="none")
    found = compare_stored(run(plan), run(plan))
    names = {figure.name for figure in found.runs[0].figures}
    assert not names & {"instructions", "total", "latency", "first"}
    assert not found.regression
