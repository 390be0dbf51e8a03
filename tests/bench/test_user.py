# SPDX-License-Identifier: Apache-2.0
"""A user's own sketch on the bench: a fake board that declares itself and answers as one would."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil.bench import BenchPlan, run
from hil.bench.cases import Image, Program, Sketch
from hil.bench.events import Asking, Event
from hil.bench.lab import Firmware
from hil.boards.config import load_board
from hil.boards.station import Station, only_station
from hil.core.errors import (
    DataError,
    DeviceRefused,
    HilError,
    ModelError,
    SketchHangs,
    WrongFirmware,
)
from hil.core.records import DType, TensorSpec
from hil.link import Link
from hil.link.chaos import parse_chaos
from hil.reference import convert_outputs, encode_inputs, litert, oracle
from hil.runs.load import load_run, read_manifest
from hil.runs.schema import RunPlan, Sample
from hil.testing.board import EngineFails
from hil.testing.lab import FakeLab, FakeSketch
from hil.tflite import read_model
from hil.wire.messages import SketchFault
from tests.support.benches import PROJECT, ignore, planned
from tests.support.troubled import TroubledLab, Watch

INT8 = PROJECT / "models" / "digits" / "student_int8.tflite"
FLOAT = PROJECT / "models" / "digits" / "student_float32.tflite"
FLAT = TensorSpec(DType.FLOAT32, (784,))
TEN = TensorSpec(DType.FLOAT32, (10,))
N = 20
Values = npt.NDArray[np.generic]


def board() -> Station:
    """A Cortex-M7 on a port, which runs the sketch already."""
    return only_station(load_board("mps2", PROJECT), "fake://1")


def user_plan(n: int = N, /, **changes: object) -> BenchPlan:
    """A sketch on a port, asked for ``n`` digits."""
    wanted: dict[str, object] = {
        "boards": (board(),),
        "engines": ("user",),
        "models": (),
        "precisions": (),
    }
    return planned(n, **{**wanted, **changes})


def right(file: Path, output: TensorSpec = TEN) -> Callable[[Values], Values]:
    """A predict function that computes what the network in ``file`` does."""
    graph = read_model(file)
    reference = oracle(file) if graph.input.dtype is DType.INT8 else litert(file)

    def predict(x: Values) -> Values:
        outputs = reference.predict(encode_inputs(x[None], graph.input))
        return np.asarray(convert_outputs(outputs, graph.output, output)[0])

    return predict


def brightest(x: Values) -> Values:
    """A classifier without any network: the sums of ten parts of the picture."""
    parts = np.asarray(x, np.float32).reshape(-1)[:780].reshape(10, 78)
    return np.asarray(parts.sum(axis=1))


def stored(folder: Path) -> tuple[RunPlan, tuple[Sample, ...]]:
    """The only run of a folder."""
    found = load_run(folder)
    ((key, samples),) = found.samples.items()
    (plan,) = found.manifest.runs
    assert plan.key == key
    return plan, samples


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
    def cannot(path: Path) -> None:
        raise ModelError(f"tflite-micro cannot run {path}: Didn't find op")

    lab = FakeLab(sketch=FakeSketch(right(INT8), FLAT, TEN))
    monkeypatch.setattr("hil.bench.user.oracle", cannot)
    run(user_plan(models=(str(INT8),)), tmp_path, ignore, lab)
    plan, _ = stored(tmp_path)
    assert (plan.oracle, plan.litert) == ("", True)


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


# --- predict functions that fail ---


def failing(codes: dict[int, int | Values]) -> Callable[[Values], Values]:
    """`brightest`, but the inferences with these numbers (from 0) fail or give these outputs."""
    count = iter(range(10_000))

    def predict(x: Values) -> Values:
        found = codes.get(next(count))
        if isinstance(found, int):
            raise EngineFails(found)
        return brightest(x) if found is None else found

    return predict


NAN = np.array([0, np.nan, *range(8)], np.float32)
INFINITE = np.array([-np.inf, *range(9)], np.float32)


def test_failed_samples_are_stored_with_their_reason_and_never_as_answers(tmp_path: Path) -> None:
    warm_up = 3
    faults: dict[int, int | Values] = {
        warm_up + 2: SketchFault.REFUSED,
        warm_up + 3: SketchFault.WROTE_AFTER,
        warm_up + 5: NAN,
        warm_up + 8: INFINITE,
        warm_up + 9: SketchFault.WROTE_BEFORE,
        warm_up + 19: 77,
    }
    lab = FakeLab(sketch=FakeSketch(failing(faults), FLAT, TEN))
    run(user_plan(), tmp_path, ignore, lab)
    _, samples = stored(tmp_path)
    assert [sample.i for sample in samples] == list(range(N))
    assert {sample.i: sample.failed for sample in samples if sample.failed} == {
        2: "predict returned false",
        3: "predict wrote past its output",
        5: "an output is NaN",
        8: "an output is infinite",
        9: "predict wrote before its output",
        19: "predict failed with code 77",
    }
    assert all(bool(sample.device) != bool(sample.failed) for sample in samples)
    assert all(sample.time is None for sample in samples if sample.failed)


def test_int8_outputs_are_never_nan(tmp_path: Path) -> None:
    ff = np.full(10, -1)  # each byte of a NaN
    spec = TensorSpec(DType.INT8, (10,), 1.0, 0)
    run(user_plan(), tmp_path, ignore, FakeLab(sketch=FakeSketch(lambda _: ff, FLAT, spec)))
    assert not any(sample.failed for sample in stored(tmp_path)[1])


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (SketchFault.REFUSED, "predict returned false"),
        (SketchFault.CONFIG, r"begin\(\) failed"),
        (NAN, "an output is NaN"),
    ],
)
def test_a_sketch_that_always_fails_ends_the_bench(
    tmp_path: Path, outcome: int | Values, says: str
) -> None:
    sketch = FakeSketch(failing(dict.fromkeys(range(99), outcome)), FLAT, TEN)
    with pytest.raises(DeviceRefused, match=f"failed on each of the first 3 samples: .*{says}"):
        run(user_plan(), tmp_path, ignore, FakeLab(sketch=sketch))
    assert stored(tmp_path)[1] == ()


def test_a_sketch_that_fails_twice_at_first_is_benched(tmp_path: Path) -> None:
    sketch = FakeSketch(failing({0: 1, 2: 1}), FLAT, TEN)
    run(user_plan(), tmp_path, ignore, FakeLab(sketch=sketch))
    assert not any(sample.failed for sample in stored(tmp_path)[1])


@dataclass
class Hangs(FakeLab):
    """Boards whose predict never returns for the sample ``on``, by its place in the run."""

    on: int = 7
    for_ever: bool = False  # the board sends nothing any more, even if it is opened again

    @contextmanager
    def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
        stuck = False
        endless = user_plan().data.x[self.on].astype(np.float32) / np.float32(255)

        def predict(x: Values) -> Values:
            nonlocal stuck
            stuck = stuck or np.array_equal(x, endless.reshape(x.shape))
            return brightest(x)

        def silence(reply: bytes) -> bytes:
            return b"" if stuck or self.dead else reply

        self.sketch = FakeSketch(predict, FLAT, TEN)
        self.faults = itertools.repeat(silence)
        try:
            with super().open(station, image, firmware) as link:
                yield link
        finally:
            self.dead |= stuck and self.for_ever

    dead: bool = False


@pytest.mark.parametrize("for_ever", [False, True])
@pytest.mark.parametrize("on", [0, 7])
def test_a_predict_that_does_not_return_is_named(tmp_path: Path, on: int, for_ever: bool) -> None:
    watch = Watch()
    with pytest.raises(SketchHangs, match="predict did not return within 20 s for sample") as said:
        run(
            user_plan(),
            tmp_path,
            ignore,
            Hangs(on=on, for_ever=for_ever),
            patience=watch.patience(20),
        )
    _, samples = stored(tmp_path)
    assert [sample.i for sample in samples] == list(range(on))
    assert user_plan().data.ids[on] in said.value.what
    assert "timeouts.reply" in said.value.hint
    assert ("no board came back" in said.value.what) == (for_ever and on > 0)


# --- the line ---


def test_damage_and_resets_change_no_answer_of_a_sketch(tmp_path: Path) -> None:
    def sketch() -> FakeSketch:
        return FakeSketch(lambda x: brightest(x) if x.sum() % 5 >= 1 else NAN, FLAT, TEN)

    plan = user_plan(60)
    quiet = TroubledLab(sketch=sketch())
    run(plan, tmp_path / "quiet", ignore, quiet)
    total = quiet.written
    lab = TroubledLab(sketch=sketch(), resets=[total // 3, total // 2], outs=[2 * total // 3])
    run(plan, tmp_path / "resets", ignore, lab, patience=Watch().patience())
    chaos = parse_chaos("7:flip=1e-4,drop=2e-3,duplicate=2e-3")
    run(plan, tmp_path / "chaos", ignore, FakeLab(sketch=sketch()), chaos=chaos)

    def facts(name: str) -> list[tuple[int, bytes, str]]:
        return [(one.i, one.device, one.failed) for one in stored(tmp_path / name)[1]]

    assert facts("resets") == facts("chaos") == facts("quiet")
    assert 0 < sum(bool(failed) for *_, failed in facts("quiet")) < 60


def test_a_bench_of_a_sketch_is_resumed(tmp_path: Path) -> None:
    lab = FakeLab(
        sketch=FakeSketch(failing({3 + 10: 5, **dict.fromkeys(range(14, 99), 1)}), FLAT, TEN)
    )
    lab.sketch = FakeSketch(stops_after(3 + 8), FLAT, TEN)
    with pytest.raises(KeyboardInterrupt):
        run(user_plan(), tmp_path, ignore, lab)
    assert 0 < len(stored(tmp_path)[1]) < N
    run(user_plan(), tmp_path, ignore, FakeLab(sketch=FakeSketch(brightest, FLAT, TEN)))
    assert len(stored(tmp_path)[1]) == N


def stops_after(count: int) -> Callable[[Values], Values]:
    """`brightest`, until the user interrupts the bench."""
    left = iter(range(count))

    def predict(x: Values) -> Values:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return brightest(x)

    return predict


def test_another_version_of_a_sketch_is_another_run(tmp_path: Path) -> None:
    lab = FakeLab(sketch=FakeSketch(stops_after(3 + 8), FLAT, TEN))
    with pytest.raises(KeyboardInterrupt):
        run(user_plan(), tmp_path, ignore, lab)
    newer = FakeSketch(brightest, FLAT, TEN, calls_itself="digits 1.3")
    with pytest.raises(HilError, match="differs in sketch of mps2/user/digits/float32"):
        run(user_plan(), tmp_path, ignore, FakeLab(sketch=newer))


def test_a_board_whose_sketch_changes_during_a_run_is_refused(tmp_path: Path) -> None:
    class Uploads(FakeLab):
        """After it was asked what it is, the board gets another sketch."""

        @contextmanager
        def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
            with super().open(station, image, firmware) as link:
                yield link
            assert self.sketch
            self.sketch = replace(self.sketch, calls_itself="other 2.0")

    lab = Uploads(sketch=FakeSketch(brightest, FLAT, TEN))
    with pytest.raises(WrongFirmware, match=r"now runs the sketch other 2\.0"):
        run(user_plan(), tmp_path, ignore, lab)


def test_names_that_a_sketch_gives_cannot_control_anything(tmp_path: Path) -> None:
    name = "\x1b[31m<b>a/b</b>\n"
    lab = FakeLab(sketch=FakeSketch(brightest, FLAT, TEN, name=name, calls_itself=f"{name} 1"))
    run(user_plan(), tmp_path, ignore, lab)
    plan, _ = stored(tmp_path)
    assert plan.key == "mps2/user/31m-b-a-b-b/float32"
    assert plan.sketch.isprintable()
    nameless = FakeLab(sketch=FakeSketch(brightest, FLAT, TEN, name="", calls_itself=""))
    run(user_plan(), tmp_path / "nameless", ignore, nameless)
    assert stored(tmp_path / "nameless")[0].sketch == "sketch"
