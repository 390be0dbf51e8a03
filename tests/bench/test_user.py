# SPDX-License-Identifier: Apache-2.0
"""A user's own sketch on the bench: what its HELLO says, and how its answers are compared."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hil.bench import run
from hil.bench.cases import Image, Program, Sketch
from hil.bench.events import Asking, Event, Note
from hil.bench.lab import Firmware
from hil.boards.station import Station
from hil.core.errors import (
    BoardCrashed,
    DataError,
    HilError,
    NoAnswer,
    WrongFirmware,
)
from hil.core.records import DType, TensorSpec
from hil.datasets import Drawing, draw
from hil.link import Link
from hil.reference import encode_inputs
from hil.runs.load import load_run, read_manifest
from hil.testing.board import Fault, drop, panic
from hil.testing.lab import FakeLab, FakeSketch
from hil.tflite import read_model
from tests.support.benches import ignore, planned
from tests.support.user_benches import (
    FLAT,
    FLOAT,
    INT8,
    TEN,
    N,
    Values,
    brightest,
    right,
    stored,
    user_plan,
)


def test_a_sketch_without_a_model_is_described_by_its_hello(tmp_path: Path) -> None:
    events: list[Event] = []
    lab = FakeLab(sketch=FakeSketch(brightest, FLAT, TEN))
    run(user_plan(), tmp_path, events.append, lab)
    plan, samples = stored(tmp_path)
    assert plan.key == "mps2/user/digits/float32"
    assert (plan.engine, plan.sketch, plan.toolchain) == ("user", "digits 1.2", "gcc 14.2")
    assert (plan.litert, plan.oracle, plan.xnnpack) == (False, "", "")
    assert (plan.model_file, plan.model_sha256, plan.firmware_sha256) == ("", "", "")
    assert (plan.parameters, plan.macs, plan.tolerance) == (0, 0, 0.0)
    assert (plan.input.shape, plan.output.shape) == ((784,), (10,))
    assert Asking("fake://1") in events
    data = user_plan().data
    for sample in samples:
        pixels = data.x[sample.i].astype(np.float32) / np.float32(255)
        assert sample.device == brightest(pixels).astype("<f4").tobytes()
        assert (sample.litert, sample.oracle, sample.label) == (None, None, data.y[sample.i])
        assert sample.time is not None


@pytest.mark.parametrize(
    ("file", "output", "tolerance"),
    [
        (FLOAT, TEN, 1e-4),
        (INT8, TEN, 0.0),
        (INT8, replace(read_model(INT8).output, shape=(10,)), 0.0),
        (FLOAT, TensorSpec(DType.INT8, (10,), 0.25, -3), 0.0),
        (INT8, TensorSpec(DType.UINT8, (1, 10), 0.25, 90), 0.0),
    ],
)
def test_a_sketch_is_compared_with_the_named_model_in_its_own_type(
    tmp_path: Path, file: Path, output: TensorSpec, tolerance: float
) -> None:
    lab = FakeLab(sketch=FakeSketch(right(file, output), FLAT, output))
    run(user_plan(models=(str(file),)), tmp_path, ignore, lab)
    plan, samples = stored(tmp_path)
    assert (plan.model_file, plan.model_sha256) == (file.name, read_model(file).sha256)
    assert (plan.precision, plan.tolerance) == (str(read_model(file).precision), tolerance)
    assert plan.litert
    assert plan.oracle
    assert len(samples) == N
    assert all(sample.oracle is None for sample in samples), "the same bytes as the byte oracle"
    assert all(len(sample.device) == output.nbytes for sample in samples)


@pytest.mark.parametrize("kind", [DType.FLOAT32, DType.INT8, DType.UINT8])
def test_random_inputs_for_what_the_sketch_says_that_it_takes(tmp_path: Path, kind: DType) -> None:
    """Without a model, the type and the shape are known only once the board has answered."""
    flat = TensorSpec(kind, (784,), 0.0 if kind is DType.FLOAT32 else 0.5, 0)
    events: list[Event] = []
    wanted = user_plan(6, data="random:9:4")
    assert (len(wanted.data), wanted.total, wanted.networks) == (6, 9, ())
    sketch = FakeSketch(brightest, flat, TEN, sent=kind.numpy.str)
    run(wanted, tmp_path, events.append, FakeLab(sketch=sketch))
    low, high = (-1, 1) if kind is DType.FLOAT32 else (int(np.iinfo(kind.numpy.name).min), 255)
    data, note = draw(Drawing(9, 4), [{"x": flat}])
    assert Note(note) in events
    assert low <= data.x.min() < data.x.max() <= high
    manifest = read_manifest(tmp_path)
    assert (manifest.dataset.name, manifest.dataset.split) == ("random", "seed 4")
    assert (manifest.dataset.n, manifest.dataset.fingerprint) == (6, data.fingerprint)
    assert (manifest.dataset.labelled, manifest.seeds["data"]) == (False, "4")
    _, samples = stored(tmp_path)
    for sample in samples:
        x = data.x[data.ids.index(sample.id)]
        assert sample.device == brightest(x).astype("<f4").tobytes()


def test_a_tolerance_is_stored_with_its_origin(tmp_path: Path) -> None:
    lab = FakeLab(sketch=FakeSketch(right(INT8), FLAT, TEN))
    run(user_plan(models=(str(INT8),), tolerance=0.5), tmp_path, ignore, lab)
    plan, _ = stored(tmp_path)
    assert (plan.tolerance, plan.tolerance_why) == (0.5, "--tolerance")


def test_a_sketch_beside_an_engine_of_ours(tmp_path: Path) -> None:
    lab = FakeLab(sketch=FakeSketch(right(INT8), FLAT, TEN))
    plan = user_plan(
        boards=("mps2",), engines=("aot", "user"), models=(str(INT8),), sketch=tmp_path
    )
    assert plan.runs == 2
    run(plan, tmp_path / "run", ignore, lab)
    keys = [one.key for one in read_manifest(tmp_path / "run").runs]
    assert keys == ["mps2/aot/student_int8/int8", "mps2/user/digits/int8"]
    assert {len(one) for one in load_run(tmp_path / "run").samples.values()} == {N}


@pytest.mark.parametrize(
    ("kind", "spec", "sent"),
    [
        ("u1", TensorSpec(DType.UINT8, (4,)), "u1"),
        ("i1", TensorSpec(DType.INT8, (2, 2), 0.5, 3), "i1"),
        ("i1", TensorSpec(DType.INT8, (4,)), "i1"),
        ("<f4", TensorSpec(DType.INT8, (4,), 0.5, 3), "<f4"),
        ("<f4", TensorSpec(DType.FLOAT32, (4,)), "<f4"),
    ],
)
def test_samples_arrive_in_the_type_of_the_input(
    tmp_path: Path, kind: str, spec: TensorSpec, sent: str
) -> None:
    x = np.arange(24).reshape(6, 4).astype(kind)
    np.savez(tmp_path / "my.npz", x=x)
    seen: list[Values] = []

    def predict(values: Values) -> Values:
        seen.append(values)
        return np.zeros(10, np.float32)

    plan = user_plan(data=tmp_path / "my.npz", dataset="auto")
    run(plan, tmp_path / "run", ignore, FakeLab(sketch=FakeSketch(predict, spec, TEN, sent=sent)))
    assert not read_manifest(tmp_path / "run").dataset.labelled
    _, samples = stored(tmp_path / "run")
    assert {sample.label for sample in samples} == {-1}
    wanted = x if kind == "u1" or kind == "i1" else encode_inputs(x, spec)
    order = [int(sample.id[-1]) for sample in samples]
    arrived = np.array(seen[-6:]).reshape(6, 4)
    np.testing.assert_array_equal(arrived, wanted.reshape(6, 4)[order])


def refused(
    tmp_path: Path, sketch: FakeSketch, kind: type[HilError], says: str, **changes: object
) -> str:
    """The error of a sketch that is refused before anything is stored."""
    plan = user_plan(**changes)
    with pytest.raises(kind, match=says) as caught:
        run(plan, tmp_path / "run", ignore, FakeLab(sketch=sketch))
    assert not (tmp_path / "run").exists()
    assert caught.value.hint
    return str(caught.value)


def test_a_sketch_that_does_not_fit_its_model_is_refused(tmp_path: Path) -> None:
    model: dict[str, object] = {"models": (str(INT8),)}
    nine = replace(TEN, shape=(3, 3))
    said = refused(tmp_path, FakeSketch(brightest, FLAT, nine), WrongFirmware, "output", **model)
    assert "its output has 9 values [3, 3], that of student_int8.tflite 10 [1, 10]" in said
    wide = replace(FLAT, shape=(785,))
    refused(tmp_path, FakeSketch(brightest, wide, TEN), WrongFirmware, "input has 785", **model)
    other = FakeSketch(brightest, FLAT, TEN, sha256="ab" * 32)
    refused(tmp_path, other, WrongFirmware, "SHA-256 abababababab, student_int8", **model)
    unscaled = FakeSketch(brightest, FLAT, TensorSpec(DType.UINT8, (10,)))
    refused(tmp_path, unscaled, WrongFirmware, "uint8 without a scale", **model)


@pytest.mark.parametrize("scale", [np.nan, np.inf, -0.5])
def test_a_scale_that_is_not_one_is_refused(tmp_path: Path, scale: float) -> None:
    bad = FakeSketch(brightest, FLAT, TensorSpec(DType.INT8, (10,), scale, 0))
    refused(tmp_path, bad, WrongFirmware, f"the scale of its output is {scale:g}")


def test_an_output_that_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    huge = FakeSketch(brightest, FLAT, TensorSpec(DType.INT8, (1 << 20,)))
    refused(tmp_path, huge, WrongFirmware, "its output has 1,048,576 values")


def test_a_network_that_only_litert_runs_is_compared_with_litert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = FakeLab(sketch=FakeSketch(right(INT8), FLAT, TEN))
    why_not = {"oracle": "Didn't find op", "xnnpack": "failed to prepare"}
    monkeypatch.setattr("hil.bench.references.refusals", lambda *_: why_not)
    run(user_plan(models=(str(INT8),)), tmp_path, ignore, lab)
    plan, _ = stored(tmp_path)
    assert (plan.oracle, plan.oracle_why, plan.litert) == ("", "Didn't find op", True)
    assert (plan.xnnpack, plan.xnnpack_why) == ("", "failed to prepare")


def test_a_sketch_that_names_its_model_is_accepted(tmp_path: Path) -> None:
    sketch = FakeSketch(right(INT8), FLAT, TEN, sha256=read_model(INT8).sha256)
    run(user_plan(models=(str(INT8),)), tmp_path, ignore, FakeLab(sketch=sketch))
    assert len(stored(tmp_path)[1]) == N


def test_samples_that_a_sketch_cannot_take_are_refused(tmp_path: Path) -> None:
    for kind, spec, says in (
        ("<f4", TensorSpec(DType.UINT8, (4,)), "float32 samples .* takes raw uint8 bytes"),
        ("i1", TensorSpec(DType.FLOAT32, (4,)), "int8 samples for the sketch digits 1.2"),
        ("u1", TensorSpec(DType.INT8, (4,)), "int8 input has no scale"),
        ("u1", TensorSpec(DType.UINT8, (5,)), "a sample has 4 values, .* takes 5"),
    ):
        np.savez(tmp_path / "my.npz", x=np.zeros((6, 4), kind))
        sketch = FakeSketch(brightest, spec, TEN)
        refused(tmp_path, sketch, DataError, says, data=tmp_path / "my.npz")
    np.savez(tmp_path / "my.npz", x=np.zeros((6, 4), "u1"), y=np.arange(6) * 3)
    sketch = FakeSketch(brightest, TensorSpec(DType.UINT8, (4,)), TEN)
    refused(tmp_path, sketch, DataError, "labels run from 0 to 15", data=tmp_path / "my.npz")


def test_a_board_that_runs_no_sketch_is_refused(tmp_path: Path) -> None:
    ours = FakeSketch(brightest, FLAT, TEN, engine="aot")
    said = refused(tmp_path, ours, WrongFirmware, "not a sketch of your own")
    assert "leave out --engine user" in said


@pytest.mark.parametrize(
    ("fault", "kind", "hint"),
    [
        (drop, NoAnswer, "calls hil.poll() in loop()"),
        (lambda _: b"Predicted class is: 7\r\n", WrongFirmware, "print nothing on that port"),
        (panic, BoardCrashed, ""),
    ],
)
def test_a_board_that_does_not_answer_gets_a_hint_for_sketches(
    tmp_path: Path, fault: Fault, kind: type[HilError], hint: str
) -> None:
    lab = FakeLab(sketch=FakeSketch(brightest, FLAT, TEN), faults=itertools.repeat(fault))
    with pytest.raises(kind) as caught:
        run(user_plan(), tmp_path / "run", ignore, lab)
    assert type(caught.value) is kind
    assert hint in caught.value.hint
    assert "hil flash" not in str(caught.value)


def test_a_sketch_where_our_firmware_is_expected_is_refused(tmp_path: Path) -> None:
    class Desk(FakeLab):
        """On its board is a sketch, whatever was built."""

        @contextmanager
        def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
            assert isinstance(image, Image)
            with super().open(station, Sketch(image.board), firmware) as link:
                yield link

    lab = Desk(sketch=FakeSketch(brightest, FLAT, TEN))
    with pytest.raises(WrongFirmware, match="runs the sketch digits 1.2, not firmware") as caught:
        run(planned(5), tmp_path, ignore, lab)
    assert "--engine user" in caught.value.hint
