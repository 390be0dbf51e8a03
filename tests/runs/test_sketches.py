# SPDX-License-Identifier: Apache-2.0
"""Figures of runs of a user's own sketch: what is not known is null, and everything else stays."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
import pytest

import hil
from hil.compare.limits import Limits, exceeded
from hil.core.errors import StorageError, UsageError
from hil.runs.agreement import is_wrong, must_equal, unexpected, wrong_answers
from hil.runs.load import StoredRun, load_run
from hil.runs.rows import summarise
from hil.runs.schema import Memory, RunPlan, Sample, Tensor
from hil.runs.summary import SummaryRow
from tests.support import reports, sketches
from tests.support.runs import known

FAILED = {3: "predict returned false", 7: "predict returned false", 50: "it took too long"}


def row(stored: StoredRun) -> SummaryRow:
    """The row of a run that has one."""
    (found,) = summarise(stored.manifest, chain.from_iterable(stored.samples.values())).runs
    return found


def faults(stored: StoredRun) -> list[str]:
    samples = chain.from_iterable(stored.samples.values())
    return unexpected(stored.manifest, summarise(stored.manifest, samples))


def stored_in(folder: Path, stored: StoredRun) -> Path:
    samples = list(chain.from_iterable(stored.samples.values()))
    return reports.write(folder, stored.manifest, samples)


def test_samples_without_labels_have_no_accuracy_and_keep_the_rest() -> None:
    labelled = sketches.run(off_by_one=4)
    full, bare = row(labelled), row(sketches.without_labels(labelled))
    assert bare.accuracy is None
    assert set(full.intervals) - set(bare.intervals) == {"accuracy.device", "accuracy.host"}
    assert bare == msgspec.structs.replace(full, accuracy=None, intervals=bare.intervals)
    cell = reports.only(sketches.without_labels(labelled))
    assert (cell.labels, cell.right, cell.host_right, cell.accuracy) == (None, None, None, None)
    assert known(cell.agreement).point == 1.0


def test_without_a_model_file_labels_alone_remain() -> None:
    complete = sketches.run(broken=3)
    full, alone = row(complete), row(sketches.without_host(complete))
    assert alone.agreement is None
    assert known(alone.accuracy).device == known(full.accuracy).device
    assert known(alone.accuracy).host is None
    assert set(alone.intervals) == {"accuracy.device", "time.median"}
    assert (alone.time, alone.memory, alone.link) == (full.time, full.memory, full.link)
    assert faults(complete)
    assert faults(sketches.without_host(complete)) == []
    cell = reports.only(sketches.without_host(complete))
    assert (cell.litert, cell.changed, cell.to_litert, cell.unexpected) == (None,) * 4


def test_a_class_alone_has_agreement_of_answers_and_no_bytes() -> None:
    complete = sketches.run(broken=3)
    full, sent = row(complete), row(sketches.by_class(complete))
    agreement = known(sent.agreement)
    assert agreement.argmax == known(full.agreement).argmax == 117 / 120
    assert (agreement.outputs, agreement.differing_litert, agreement.max_abs) == (None,) * 3
    assert agreement.differing_oracle is None
    assert sent.accuracy == full.accuracy
    assert (sent.wrong, full.wrong) == (3, 3)  # answers; output values, of which one each is wrong
    (line,) = faults(sketches.by_class(complete))
    assert line.endswith("120 samples, 3 answers of the sketch differ from the oracle")
    cell = reports.only(sketches.by_class(complete))
    assert cell.device is None
    assert cell.answers.tolist() == reports.only(complete).answers.tolist()
    assert cell.classes == 10
    stored = sketches.by_class(complete)
    (plan,) = stored.manifest.runs
    assert not any(is_wrong(sample, plan) for sample in stored.samples[plan.key])


def test_classes_without_outputs_are_counted_from_what_occurred() -> None:
    cell = reports.only(sketches.by_class(sketches.without_host(sketches.run(n=10))))
    assert cell.classes == 1 + max(cell.answers.max(), known(cell.labels).max())


@pytest.mark.parametrize("seed", range(20))
def test_a_class_is_right_if_outputs_within_the_tolerance_may_have_chosen_it(seed: int) -> None:
    """Every change within the tolerance passes, and for each refused class none exists."""
    random = np.random.default_rng(seed)
    allowed = 0.25
    reference = random.integers(-8, 8, (40, 5)).astype(np.float32) / 8
    of = sketches.plan("mine", "float32", oracle="", tolerance=allowed)
    noise = random.choice([-allowed, 0.0, allowed], reference.shape)
    chosen = (reference + noise).argmax(axis=1)
    assert not known(wrong_answers(of, chosen, reference, None)).any()
    for k in range(5):
        best = reference - allowed
        best[:, k] += 2 * allowed
        reachable = best[:, k] == best.max(axis=1)
        found = known(wrong_answers(of, np.full(40, k), reference, None))
        assert (~found).tolist() == reachable.tolist()


def test_a_class_that_does_not_exist_and_one_beside_a_nan_are_wrong() -> None:
    of = sketches.plan("mine", "float32", oracle="", tolerance=1e9)
    reference = np.array([[0, 1], [0, 1], [0, np.nan], [0, np.nan]], np.float32)
    found = wrong_answers(of, np.array([2, -1, 0, 1]), reference, None)
    assert known(found).tolist() == [True, True, True, False]


def test_failed_requests_are_in_no_figure_and_are_unexpected() -> None:
    whole = sketches.run()
    failing = sketches.failing(whole, FAILED)
    (key,) = whole.samples
    kept = tuple(sample for sample in whole.samples[key] if sample.i not in FAILED)
    others = row(replace(whole, samples={key: kept}))
    assert row(failing) == msgspec.structs.replace(others, failed=3)
    assert faults(failing) == [f"{key}: 3 of 120 requests got no answer that counts"]
    cell = reports.only(failing)
    assert cell.failed == {"predict returned false": 2, "it took too long": 1}
    assert (cell.n, cell.failures, cell.complete) == (117, 3, True)


def test_a_run_of_failures_alone_has_a_row_without_figures() -> None:
    found = row(sketches.failing(sketches.run(n=5), dict.fromkeys(range(5), "it hung")))
    assert (found.n, found.failed, found.accuracy, found.agreement) == (0, 5, None, None)
    assert (found.time.median, found.intervals, found.wrong) == (None, {}, msgspec.UNSET)


def test_failed_and_missing_samples_are_told_apart() -> None:
    failing = sketches.failing(sketches.run(n=9), {0: "it hung"})
    (key,) = failing.samples
    fewer = replace(failing, samples={key: failing.samples[key][:7]})
    assert faults(fewer) == [
        f"{key}: 1 of 7 requests got no answer that counts",
        f"{key}: 6 samples of 9 were answered",
    ]


def floats(tolerance: float = 0.0, oracle: str = "") -> RunPlan:
    """A sketch with float outputs, of an int8 network."""
    output = Tensor(dtype=0, shape=(1, 2), scale=0.0, zero_point=0)
    return sketches.plan(output=output, oracle=oracle, tolerance=tolerance)


@pytest.mark.parametrize(
    ("tolerance", "wrong"), [(0.0, 3), (0.125, 2), (0.25, 1), (0.5, 0), (1.0, 0)]
)
def test_float_outputs_of_an_int8_network_have_a_tolerance_in_their_unit(
    tolerance: float, wrong: int
) -> None:
    of = floats(tolerance)
    assert must_equal(of) == "litert"
    samples = [
        Sample(
            run=of.key,
            i=i,
            id=str(i),
            label=1,
            device=np.array([0.0, 1.0 + off], "<f4").tobytes(),
            litert=np.array([0.0, 1.0], "<f4").tobytes() if off else None,
        )
        for i, off in enumerate((0.0, 0.125, -0.25, 0.5))
    ]
    stored = reports.run_of(reports.manifest(of, n=4), samples)
    assert row(stored).wrong == wrong
    assert known(row(stored).agreement).max_abs == 0.5
    assert len(faults(stored)) == bool(wrong)
    assert all("sketch" in line for line in faults(stored))
    assert sum(is_wrong(sample, of) for sample in samples) == wrong


def test_the_oracle_counts_where_it_ran() -> None:
    assert must_equal(floats(oracle="tflm")) == "oracle"
    assert must_equal(sketches.plan("mine", "float32")) == "oracle"  # of our firmware: LiteRT
    assert must_equal(reports.plan("mine", "float32")) == "litert"
    assert must_equal(reports.plan("mine", "int8", oracle="")) is None


def test_memory_that_is_not_known_is_null_and_within_no_limit(tmp_path: Path) -> None:
    text = sketches.as_text(sketches.run(n=6))
    assert load_run(stored_in(tmp_path / "text", text)).manifest == text.manifest
    found = row(text)
    assert found.memory is None
    assert exceeded(found, Limits(arena=10)) == [
        f"{found.key}: arena is limited to 10 but was not measured"
    ]
    nothing = Memory(arena=None, flash_model=None, flash_code=None, ram_static=None, stack=None)
    assert reports.only(text).memory == nothing


def test_a_stored_zero_is_not_a_figure_except_of_the_arena() -> None:
    (of,) = (sketches.plan(),)
    zero = Memory(arena=0, flash_model=0, flash_code=0, ram_static=0, stack=None)
    end = msgspec.structs.replace(reports.end(of, 6), memory=zero)
    stored = reports.run_of(reports.manifest(of, n=6, ends=(end,)), reports.samples(of, 6))
    memory = reports.only(stored).memory
    assert msgspec.structs.astuple(memory) == (0, None, None, None, None)
    assert memory.flash is None
    assert row(stored).memory == zero  # as it is stored
    code = msgspec.structs.replace(zero, flash_code=700)
    assert code.flash == 700


def _first(stored: StoredRun, **changes: object) -> StoredRun:
    (key,) = stored.samples
    first, *rest = stored.samples[key]
    return replace(stored, samples={key: (msgspec.structs.replace(first, **changes), *rest)})


@pytest.mark.parametrize(
    ("stored", "fault"),
    [
        (_first(sketches.by_class(sketches.run(n=3)), device=b"\1"), "1 bytes of device output"),
        (
            _first(sketches.by_class(sketches.run(n=3)), litert=None),
            "no output of LiteRT to compare the class with",
        ),
        (
            _first(sketches.by_class(sketches.run(n=3)), oracle=None),
            "no output of oracle to compare the class with",
        ),
        (_first(sketches.run(n=3), failed="it hung"), "10 bytes of device output, not 0"),
        (_first(sketches.run(n=3), device=b""), "0 bytes of device output, not 10"),
    ],
)
def test_samples_that_do_not_fit_their_run_are_refused(
    tmp_path: Path, stored: StoredRun, fault: str
) -> None:
    with pytest.raises(StorageError, match=fault):
        load_run(stored_in(tmp_path / "run", stored))


def test_all_kinds_are_read_back(tmp_path: Path) -> None:
    whole = sketches.run(n=8)
    for i, stored in enumerate(
        (
            sketches.by_class(whole),
            sketches.by_class(sketches.without_host(whole)),
            sketches.without_labels(whole),
            sketches.failing(sketches.by_class(whole), {2: "it hung"}),
        )
    ):
        found = load_run(stored_in(tmp_path / str(i), stored))
        assert (found.manifest, found.samples) == (stored.manifest, stored.samples)


def test_a_notebook_has_none_for_what_is_not_known(tmp_path: Path) -> None:
    whole = sketches.run(n=20, broken=2)
    answers = reports.only(whole).answers.tolist()
    sent = hil.load(stored_in(tmp_path / "sent", sketches.by_class(whole)))
    assert sent.samples["device"].tolist() == answers
    assert sent.samples["equals_litert"].isna().all()
    assert (sent.samples["device"] != sent.samples["host"]).sum() == 2
    with pytest.raises(UsageError, match="only the class of each answer is known"):
        sent.outputs("mine", "int8")
    assert sent.outputs("mine", "int8", "litert").shape == (20, 10)
    bare = sketches.without_labels(sketches.without_host(whole))
    alone = hil.load(stored_in(tmp_path / "alone", sketches.failing(bare, {4: "it hung"})))
    assert len(alone.samples) == 19
    assert alone.samples[["label", "host", "equals_litert", "equals_oracle"]].isna().all().all()
    with pytest.raises(UsageError, match="litert was not run"):
        alone.outputs("mine", "int8", "litert")
