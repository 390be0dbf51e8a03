# SPDX-License-Identifier: Apache-2.0
"""Which task a network and its data make, before anything is built, and what is stored of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from msgspec import UNSET, UnsetType

import hil
from hil import datasets
from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.inputs import Taken
from hil.bench.task import Criterion, choose, targets_of
from hil.bench.user import ask_sketches, prepare_sketches
from hil.core.errors import DataError, StorageError
from hil.core.records import Dataset, DType, Task, TensorSpec
from hil.report import write
from hil.runs.load import load_run, verify
from hil.runs.schema import TARGETS
from hil.runs.summary import ScoreRow
from hil.testing.lab import FakeLab, FakeSketch
from tests.support.benches import PROJECT, ignore, rows
from tests.support.runs import known
from tests.support.user_benches import board

DATA = Path(__file__).parent / "data"
SIGMOID = TensorSpec(DType.INT8, (1, 1), 1 / 256, -128)
LOGIT = TensorSpec(DType.INT8, (1, 1), 0.05, 7)
ROW = TensorSpec(DType.FLOAT32, (1, 8))
PICTURE = TensorSpec(DType.FLOAT32, (1, 4, 4, 1))
N = 6


def data(
    labels: object = (),
    targets: object = None,
    x: npt.NDArray[np.generic] | None = None,
) -> Dataset:
    """Six samples of eight values, unless ``x`` has others."""
    x = np.random.default_rng(1).random((N, 8)).astype(np.float32) if x is None else x
    y = np.resize(np.array(labels or [-1], np.int64), len(x))
    ids = tuple(f"s{i}" for i in range(len(x)))
    wanted = None if targets is None else np.asarray(targets, np.float32)
    return Dataset("mine", "user", ids, x, y, "ab" * 32, targets=wanted)


def chosen(output: TensorSpec, given: Dataset, taken: TensorSpec = ROW) -> Criterion:
    return choose("net.tflite", output, Taken("net.tflite", (taken,)), given, None)


@pytest.mark.parametrize(
    ("outputs", "given", "task"),
    [
        (3, data([0, 1, 2]), Task.CLASSIFICATION),
        (3, data(), Task.NONE),
        (1, data(), Task.NONE),
        (3, data(targets=np.ones((N, 3))), Task.REGRESSION),
        (1, data(targets=np.ones(N)), Task.REGRESSION),
        (8, data(targets=np.ones((N, 8))), Task.REGRESSION),
        (8, data([0, 1]), Task.RECONSTRUCTION),  # as many outputs as inputs
        (8, data([0, 5]), Task.CLASSIFICATION),  # a row of eight classes
        (2, data([0, 1], x=np.ones((N, 2), "f4")), Task.CLASSIFICATION),
    ],
)
def test_outputs_and_data_decide(outputs: int, given: Dataset, task: Task) -> None:
    taken = TensorSpec(DType.FLOAT32, (1, given.x.shape[1]))
    found = chosen(TensorSpec(DType.FLOAT32, (1, outputs)), given, taken)
    assert (found.task, found.threshold) == (task, None)


def test_one_output_with_labels_is_binary() -> None:
    found = chosen(SIGMOID, data([0, 1]))
    assert (found.task, found.threshold) == (Task.BINARY, 0.5)
    assert "the probability of class 1" in found.why
    found = chosen(LOGIT, data([0, 1]))
    assert (found.task, found.threshold) == (Task.BINARY, 0.0)
    assert "taken as a logit" in found.why
    found = chosen(TensorSpec(DType.FLOAT32, (1,)), data([0, 1]))  # of a sketch without a model
    assert (found.task, found.threshold) == (Task.BINARY, 0.5)
    assert "taken as a probability" in found.why
    assert chosen(SIGMOID, data([0])).task is Task.BINARY  # only one class occurs


def test_labels_that_are_all_equal_say_nothing_about_one_plain_output() -> None:
    found = chosen(LOGIT, data([0]))
    assert found.task is Task.NONE
    assert "every label is 0" in found.why


@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_targets_that_are_the_inputs_are_a_reconstruction(kind: str) -> None:
    x = np.random.default_rng(2).integers(0, 256, (N, 4, 4, 1)).astype(kind)
    reals = x / np.float32(255) if kind == "uint8" else x
    for wanted in (x, reals):
        given = data(targets=wanted, x=x)
        assert chosen(PICTURE, given, PICTURE).task is Task.RECONSTRUCTION
        found = known(targets_of(given, [(Task.RECONSTRUCTION, Taken("net", (PICTURE,)))]))
        np.testing.assert_allclose(found, reals.reshape(N, -1), rtol=1e-6)


def test_int8_samples_are_targets_as_real_numbers() -> None:
    spec = TensorSpec(DType.INT8, (1, 8), 0.5, 3)
    x = np.arange(-24, 24, dtype=np.int8).reshape(N, 8)
    taken = Taken("net", (spec,))
    found = targets_of(data(x=x), [(Task.RECONSTRUCTION, taken)])
    np.testing.assert_array_equal(known(found), 0.5 * (x.astype(float) - 3))
    other = Taken("other", (replace(spec, scale=0.25),))
    with pytest.raises(DataError, match="other real numbers in other"):
        targets_of(data(x=x), [(Task.RECONSTRUCTION, taken), (Task.RECONSTRUCTION, other)])
    assert targets_of(data(x=x), [(Task.NONE, taken), (Task.CLASSIFICATION, other)]) is None


@pytest.mark.parametrize(
    ("output", "given", "words"),
    [
        (TensorSpec(DType.FLOAT32, (1, 3)), data([0, 9]), "labels run from 0 to 9, .* 3 outputs"),
        (SIGMOID, data([0, 9]), "0 to 9, net.tflite has one output.* save y as float32"),
        (ROW, data(targets=np.ones((N, 3))), "3 targets per sample, net.tflite has 8 outputs"),
        (SIGMOID, data(targets=np.ones((N, 2))), "2 targets per sample, net.tflite has 1 output;"),
    ],
)
def test_what_does_not_fit_is_refused(output: TensorSpec, given: Dataset, words: str) -> None:
    with pytest.raises(DataError, match=words):
        chosen(output, given)


def test_an_autoencoder_of_pictures_has_no_ten_classes() -> None:
    given = data([0, 9], x=np.ones((N, 4, 4, 1), "f4"))
    with pytest.raises(DataError, match=r"labels run from 0 to 9, .* one output per input value"):
        chosen(PICTURE, given, PICTURE)


def stored(found: ScoreRow | UnsetType) -> ScoreRow:
    assert found is not UNSET
    return found


def planned(model: str, samples: str, **changes: object) -> BenchPlan:
    wanted: dict[str, object] = {
        "project": PROJECT,
        "models": (str(DATA / f"{model}.tflite"),),
        "data": DATA / f"{samples}.npz",
    }
    return make_plan(Request(**{**wanted, **changes}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "samples", "task", "threshold"),
    [
        ("one_sigmoid_int8", "binary", Task.BINARY, 0.5),
        ("one_logit_int8", "binary", Task.BINARY, 0.0),
        ("sine_int8", "sine_floats", Task.REGRESSION, None),
        ("sine_int8", "sine_nolabels", Task.NONE, None),
        ("sine_int8", "sine_zero", Task.NONE, None),
    ],
)
def test_the_task_is_planned_and_stored(
    model: str, samples: str, task: Task, threshold: float | None, tmp_path: Path
) -> None:
    plan = planned(model, samples)
    run(plan, tmp_path, ignore, FakeLab())
    found = load_run(tmp_path)
    (one,) = found.manifest.runs
    assert one.task is task
    assert (one.threshold or None) == (threshold or None)
    assert (found.targets is not None) == (task is Task.REGRESSION)
    assert ((tmp_path / TARGETS).exists()) == (task is Task.REGRESSION)
    (row,) = rows(tmp_path)
    assert (row.accuracy is not None) == (task is Task.BINARY)


def test_a_smaller_limit_has_the_same_task() -> None:
    plan = planned("one_logit_int8", "binary", limit=1)
    (network,) = plan.networks
    assert len(plan.data) == 1
    assert plan.criterion(network) == Criterion(
        Task.BINARY, 0.0, "one output without a sigmoid, taken as a logit"
    )


def test_accuracy_of_one_output_is_by_its_threshold(tmp_path: Path) -> None:
    plan = planned("one_sigmoid_int8", "binary")
    run(plan, tmp_path, ignore, FakeLab())
    found = hil.load(tmp_path)
    outputs = found.outputs("one_sigmoid_int8", "int8", real=True)
    probability = outputs.astype(np.float64)[:, 0]
    labels = np.load(DATA / "binary.npz")["y"][[int(key[-5:]) for key in found.samples.id]]
    right = (probability >= 0.5) == labels
    assert known(found.summary.runs[0].accuracy).device == pytest.approx(right.mean())
    assert 0.9 < right.mean() < 1
    assert (found.samples.device == (probability >= 0.5)).all()


def test_targets_are_in_the_run_folder_alone(tmp_path: Path) -> None:
    run(planned("sine_int8", "sine_floats", limit=7), tmp_path, ignore, FakeLab())
    write(tmp_path)
    assert not verify(tmp_path).faults
    assert TARGETS in load_run(tmp_path).manifest.files
    found = hil.load(tmp_path).samples
    arrays = np.load(DATA / "sine_floats.npz")
    order = [int(key[-5:]) for key in found.id]
    np.testing.assert_allclose(found.target, arrays["y"].reshape(-1)[order])
    np.testing.assert_allclose(found.mse, (found.device - found.target) ** 2)


def test_targets_that_are_missing_or_damaged_are_named(tmp_path: Path) -> None:
    run(planned("sine_int8", "sine_floats"), tmp_path, ignore, FakeLab())
    file = tmp_path / TARGETS
    whole = file.read_bytes()
    for content, words in (
        (None, r"targets.npy is missing: run 'mps2/aot/sine_int8/int8'"),
        (whole[:-1], "does not have the length"),
        (b"no array", "not an .npy file"),
        (whole[:-4] + np.float32(np.nan).tobytes(), "NaN"),
        (whole.replace(b"(10, 1)", b"(5, 2) "), r"shape \(5, 2\), not float32 of \(10, values\)"),
        (whole.replace(b"<f4", b"|O "), "not"),
    ):
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(StorageError, match=words):
            load_run(tmp_path)
        file.write_bytes(whole)
    file.write_bytes(whole[:-1] + b"\1")
    assert any(line.startswith(TARGETS) for line in verify(tmp_path).faults)


def test_an_interrupted_run_continues_with_its_targets(tmp_path: Path) -> None:
    class Stop(Exception): ...

    def stop(event: object) -> None:
        if "Streaming" in type(event).__name__ and getattr(event, "done", 0) == 4:
            raise Stop

    plan = planned("sine_int8", "sine_floats")
    with pytest.raises(Stop):
        run(plan, tmp_path, stop, FakeLab())
    before = known(load_run(tmp_path).targets)
    run(plan, tmp_path, ignore, FakeLab())
    after = load_run(tmp_path)
    assert after.manifest.state == "complete"
    np.testing.assert_array_equal(before, known(after.targets))


def test_a_sketch_of_one_output_is_judged_by_targets(tmp_path: Path) -> None:
    spec = TensorSpec(DType.FLOAT32, (1,))
    x = np.linspace(0, 1, 8, dtype=np.float32).reshape(-1, 1)
    path = tmp_path / "line.npz"
    np.savez(path, x=x, y=2 * x[:, 0])
    request = Request(PROJECT, boards=(board(),), engines=("user",), data=path)
    plan = make_plan(request)
    lab = FakeLab(sketch=FakeSketch(lambda x: 2 * x + 1, spec, spec, sent="<f4"))
    (prepared,) = prepare_sketches(plan, ask_sketches(plan, lab, ignore))
    assert prepared.plan.task is Task.REGRESSION
    run(plan, tmp_path / "run", ignore, lab)
    (row,) = rows(tmp_path / "run")
    assert row.accuracy is None
    assert stored(row.rmse).device == pytest.approx(1)
    assert stored(row.rmse).host is None
    assert stored(row.bias).device == pytest.approx(1)


def test_an_autoencoder_separates_anomalies(tmp_path: Path) -> None:
    """A sketch that returns its input, except that it cannot exceed 1."""
    spec = TensorSpec(DType.FLOAT32, (8,))
    rng = np.random.default_rng(3)
    x = rng.random((40, 8)).astype(np.float32)
    y = np.arange(40) % 2
    x[y == 1] += 0.5
    path = tmp_path / "parts.npz"
    np.savez(path, x=x, y=y)
    plan = make_plan(Request(PROJECT, boards=(board(),), engines=("user",), data=path))
    lab = FakeLab(sketch=FakeSketch(lambda x: np.minimum(x, 1), spec, spec, sent="<f4"))
    run(plan, tmp_path / "run", ignore, lab)
    (row,) = rows(tmp_path / "run")
    assert row.task is Task.RECONSTRUCTION
    assert row.accuracy is None
    errors = ((np.minimum(x, 1) - x) ** 2).mean(axis=1)
    pairs = errors[y == 1][:, None] - errors[y == 0][None]
    assert stored(row.auc).device == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
    assert stored(row.mse).device == pytest.approx(errors.mean(), rel=1e-5)
    frame = hil.load(tmp_path / "run").samples
    assert frame.device.isna().all()
    np.testing.assert_allclose(
        frame.mse, errors[[int(key[-5:]) for key in frame.id]], rtol=1e-5, atol=1e-12
    )


def test_class_names_are_stored(tmp_path: Path) -> None:
    names = ("ring", "bar")
    plan = planned("one_sigmoid_int8", "binary", limit=5)
    run(replace(plan, data=replace(plan.data, classes=names)), tmp_path, ignore, FakeLab())
    assert load_run(tmp_path).manifest.dataset.classes == names
    (cell,) = hil.load(tmp_path).cells
    assert [cell.class_name(i) for i in range(3)] == ["ring", "bar", "2"]


def test_mnist_and_similar_sets_stay_classifications() -> None:
    digits = datasets.load("digits")
    output = TensorSpec(DType.INT8, (1, 10), 1 / 256, -128)
    assert chosen(output, digits, PICTURE).task is Task.CLASSIFICATION
