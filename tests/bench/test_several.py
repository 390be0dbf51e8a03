# SPDX-License-Identifier: Apache-2.0
"""Networks with several inputs or outputs, and with state, from the data set to the summary."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import hil
from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.cases import USER
from hil.bench.events import Event, OpenBatch
from hil.bench.inputs import Inputs, input_names, taken_by
from hil.bench.session import Patience
from hil.boards.config import load_board
from hil.core.errors import DataError, UsageError
from hil.core.records import Encoding
from hil.device import Answer, Device
from hil.link.chaos import parse_chaos
from hil.mlperf.session import on_board
from hil.report import write
from hil.runs.agreement import is_wrong
from hil.runs.load import load_run, verify
from hil.runs.schema import Tensors
from hil.testing.lab import FakeLab
from tests.support.benches import PROJECT, answers, ignore, rows
from tests.support.several import running_sum, two_inputs, two_outputs
from tests.support.tflite import Net
from tests.support.troubled import TroubledLab, Watch

N = 40
Array = npt.NDArray[np.generic]
A = np.random.default_rng(1).integers(-9, 10, (N, 3)).astype(np.float32)
B = np.random.default_rng(2).integers(-9, 10, (N, 3)).astype(np.float32)


def planned(
    folder: Path, net: Net, arrays: dict[str, Array], change: Callable[[bytes], bytes] = bytes
) -> BenchPlan:
    """A bench of ``net`` on the Cortex-M7, with the samples in ``arrays``."""
    (folder / "net.tflite").write_bytes(change(net.finish()))
    np.savez(folder / "samples.npz", **arrays)  # type: ignore[arg-type]
    return make_plan(request(folder))


def request(folder: Path, **changes: object) -> Request:
    wanted: dict[str, object] = {
        "project": PROJECT,
        "models": (str(folder / "net.tflite"),),
        "data": folder / "samples.npz",
    }
    return Request(**{**wanted, **changes})  # type: ignore[arg-type]


def outputs(folder: Path) -> list[bytes]:
    (samples,) = load_run(folder).samples.values()
    return [one.device for one in samples]


def test_two_inputs_by_their_names(tmp_path: Path) -> None:
    """TensorFlow's additions to a name may be left out, or written."""
    plan = planned(tmp_path, two_inputs(), {"serving_default_t1:0": B, "t0": A})
    run(plan, tmp_path / "run", ignore, FakeLab(), layers=True)
    assert outputs(tmp_path / "run") == [one.tobytes() for one in A - B]
    (row,) = rows(tmp_path / "run")
    assert row.agreement
    assert (row.agreement.differing_litert, row.agreement.outputs) == (0, 1)
    stored = load_run(tmp_path / "run")
    (stored_plan,) = stored.manifest.runs
    assert isinstance(stored_plan.tensors, Tensors)
    assert [one.name for one in stored_plan.tensors.inputs] == ["t0", "t1"]
    (check,) = stored.layer_checks
    assert check.same_output
    assert check.input
    assert (check.input.name, check.input.differing) == ("t0", 0)
    assert [layer.differing for layer in check.layers] == [0]


def test_an_input_that_differs_on_the_board_is_named(tmp_path: Path) -> None:
    plan = planned(tmp_path, two_inputs(), {"t0": A, "t1": B})

    def spoil(layer: int, data: bytes) -> bytes:
        return data[:-1] + b"\x55" if layer == -1 else data

    run(plan, tmp_path / "run", ignore, FakeLab(spoil=spoil), layers=True)
    (check,) = load_run(tmp_path / "run").layer_checks
    assert check.input
    assert (check.input.name, check.input.differing, check.input.element) == ("t1", 1, (0, 2))


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x": A}, "has only one array of samples, net.tflite takes 2 inputs"),
        ({"t0": A}, r"has no array t1, but t0; net.tflite takes t0 float32 \(samples, 1, 3\), t1"),
        ({"t0": A, "other": B}, "has no array t1, but t0, other"),
        ({"t0": A, "t1": B[:, :2]}, "samples, t1: a sample has 2 values, net.tflite takes 3"),
        (
            {"t0": A, "t1": B.astype(np.int8)},
            "samples, t1: int8 samples for net.tflite, which takes FLOAT32; give float32 or uint8",
        ),
        ({"t0": A, "t1": B, "y": np.arange(N)}, "labels run from 0 to 39, net.tflite has 3"),
    ],
)
def test_samples_that_do_not_fit_the_inputs(
    tmp_path: Path, arrays: dict[str, Array], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        planned(tmp_path, two_inputs(), arrays)


def test_a_single_input_may_have_its_name_too(tmp_path: Path) -> None:
    plan = planned(tmp_path, Net().input((1, 3)).simple("RELU"), {"t0": A})
    assert Inputs(plan.data, taken_by(plan.networks[0]))[1] == A[1].tobytes()
    with pytest.raises(DataError, match=r"has no array t0, but z; .* name each array .*, or x"):
        planned(tmp_path, Net().input((1, 3)).simple("RELU"), {"z": A})
    with pytest.raises(DataError, match="has no array y, but hot; name the labels y"):
        planned(tmp_path, Net().input((1, 3)).simple("RELU"), {"x": A, "hot": B})


def test_names_that_are_empty_or_the_same_are_numbers() -> None:
    assert input_names(["", "a:0", "serving_default_b:0"]) == ("input_0", "a", "b")
    assert input_names(["a", "a:0", "b"]) == ("input_0", "input_1", "b")


def test_several_inputs_travel_in_the_types_of_the_model(tmp_path: Path) -> None:
    """Real values are quantised on the host: a board converts a single input only."""
    quarter = A / 4
    net = two_inputs("ADD", dtype="int8")
    plan = planned(tmp_path, net, {"t0": quarter, "t1": B.astype(np.int8)})
    inputs = Inputs(plan.data, taken_by(plan.networks[0]))
    assert (inputs.encoding, inputs.nbytes) == (Encoding.OWN, 7)
    sent = A[5].astype(np.int8).tobytes() + b"\0" + B[5].astype(np.int8).tobytes()
    assert inputs[5] == sent
    run(plan, tmp_path / "run", ignore, FakeLab())
    wanted = [one.astype(np.int8).tobytes() for one in A + B]
    assert outputs(tmp_path / "run") == wanted


def test_two_outputs_are_stored_and_compared(tmp_path: Path) -> None:
    plan = planned(tmp_path, two_outputs(), {"x": A, "y": np.arange(N) % 3})
    run(plan, tmp_path / "run", ignore, FakeLab())
    both = np.hstack([np.maximum(A, 0), np.clip(A, 0, 6)]).astype(np.float32)
    assert outputs(tmp_path / "run") == [one.tobytes() for one in both]
    (row,) = rows(tmp_path / "run")
    assert row.agreement
    assert row.agreement.differing_litert == 0
    assert row.accuracy
    right = np.maximum(A, 0).argmax(axis=1) == np.arange(N) % 3  # of the first output
    assert row.accuracy.device == right.mean()
    loaded = hil.load(tmp_path / "run")
    second = loaded.outputs("net", "float32", "litert", number=1)
    np.testing.assert_array_equal(second, np.clip(A, 0, 6))
    np.testing.assert_array_equal(loaded.outputs("net", "float32", real=True), np.maximum(A, 0))
    with pytest.raises(UsageError, match="no output number 2"):
        loaded.outputs("net", "float32", number=2)


def test_a_difference_in_the_second_output_is_counted(tmp_path: Path) -> None:
    def tamper(output: bytes) -> bytes:
        values = np.frombuffer(output, np.float32).copy()
        values[4] += 0.5
        return values.tobytes()

    plan = planned(tmp_path, two_outputs(), {"x": A})
    run(plan, tmp_path / "run", ignore, FakeLab(tamper=tamper))
    (row,) = rows(tmp_path / "run")
    assert row.agreement
    assert (row.agreement.differing_litert, row.agreement.outputs) == (N, 0)
    # one output per input value: the largest is not an answer
    assert (row.agreement.max_abs, row.agreement.argmax) == (0.5, None)
    assert row.agreement.max_real == 0.5
    stored = load_run(tmp_path / "run")
    (stored_plan,) = stored.manifest.runs
    assert all(is_wrong(one, stored_plan) for one in stored.samples[stored_plan.key])
    write(tmp_path / "run")
    assert "t2, value 1" in (tmp_path / "run" / "report.md").read_text()


STEPS = np.arange(1, N + 1, dtype=np.float32)[:, None]


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> tuple[BenchPlan, Path]:
    """A running sum of 1, 2, 3, ...: every answer depends on all samples before it."""
    folder = tmp_path_factory.mktemp("sequence")
    plan = planned(folder, running_sum(), {"x": STEPS})
    run(plan, folder / "quiet", ignore, FakeLab())
    return plan, folder / "quiet"


def test_a_network_with_state_gets_the_samples_in_order(
    sequence: tuple[BenchPlan, Path],
) -> None:
    _, quiet = sequence
    sums = [np.float32(one).tobytes() for one in STEPS.cumsum()]
    assert outputs(quiet) == sums  # although three of them came before, to warm up
    (row,) = rows(quiet)
    assert row.agreement
    assert row.agreement.differing_litert == 0
    (plan,) = load_run(quiet).manifest.runs
    assert isinstance(plan.tensors, Tensors)
    assert plan.tensors.stateful


def test_a_limit_takes_the_beginning_of_a_sequence(sequence: tuple[BenchPlan, Path]) -> None:
    plan, quiet = sequence
    few = make_plan(request(quiet.parent, limit=7))
    assert few.data.ids == plan.data.ids[:7]


@pytest.mark.parametrize("seed", range(4))
def test_resets_at_random_moments_change_no_step(
    sequence: tuple[BenchPlan, Path], tmp_path: Path, seed: int
) -> None:
    plan, quiet = sequence
    before = TroubledLab()
    run(plan, tmp_path / "before", ignore, before)
    chance = random.Random(seed)
    lab = TroubledLab(resets=[chance.randrange(before.written) for _ in range(5)])
    run(plan, tmp_path / "reset", ignore, lab, patience=Watch().patience())
    assert not lab.resets
    assert answers(tmp_path / "reset") == answers(quiet)
    assert verify(tmp_path / "reset").faults == ()


@pytest.mark.parametrize("seed", range(6))
def test_injected_faults_change_no_step(
    sequence: tuple[BenchPlan, Path], tmp_path: Path, seed: int
) -> None:
    plan, quiet = sequence
    chaos = "flip=2e-5,drop=5e-5,duplicate=5e-5,delay=5e-5,reorder=5e-5,inject=0.02,replay=0.05"
    chaos += ",freeze=0.01,reset=0.01,cut=0.005,cut_s=60"
    lab = FakeLab()
    patience = Patience(0.25, lab.clock, lab.sleep)
    run(plan, tmp_path, ignore, lab, patience=patience, chaos=parse_chaos(f"{seed}:{chaos}"))
    assert answers(tmp_path) == answers(quiet)


def test_an_interrupted_sequence_starts_again_and_keeps_its_answers(
    sequence: tuple[BenchPlan, Path], tmp_path: Path
) -> None:
    plan, quiet = sequence
    before = TroubledLab()
    run(plan, tmp_path / "before", ignore, before)
    lab = TroubledLab(outs=[before.written * 2 // 3], away=10**6)
    with pytest.raises(Exception, match="no board came back"):
        run(plan, tmp_path / "run", ignore, lab, patience=Watch().patience())
    kept = outputs(tmp_path / "run")
    assert 5 < len(kept) < N
    run(plan, tmp_path / "run", ignore, FakeLab())
    assert answers(tmp_path / "run") == answers(quiet)


def test_layers_of_a_sequence_are_those_of_its_first_step(
    sequence: tuple[BenchPlan, Path], tmp_path: Path
) -> None:
    plan, _ = sequence
    run(plan, tmp_path / "all", ignore, FakeLab(), layers=True, profiles=True)
    (check,) = load_run(tmp_path / "all").layer_checks
    assert (check.id, check.why, check.same_output) == (plan.data.ids[0], "", True)
    assert sum(layer.differing for layer in check.layers) == 0
    later = FakeLab(tamper=lambda output: b"\0" * 4 if output != STEPS[0].tobytes() else output)
    run(plan, tmp_path / "later", ignore, later)
    (check,) = load_run(tmp_path / "later").layer_checks
    assert "the network keeps a state" in check.why
    assert check.id == plan.data.ids[1]


@pytest.mark.parametrize(
    ("net", "what"),
    [(two_inputs(), "2 inputs"), (two_outputs(), "2 outputs"), (running_sum(), "state")],
)
def test_sketches_and_mlperf_have_one_input_one_output_and_no_state(
    tmp_path: Path, net: Net, what: str
) -> None:
    (tmp_path / "net.tflite").write_bytes(net.finish())
    np.savez(tmp_path / "samples.npz", x=A)
    with pytest.raises(UsageError, match=f"net.tflite has {what}, a sketch of your own has one"):
        make_plan(request(tmp_path, engines=(USER,)))
    model = str(tmp_path / "net.tflite")
    with (
        pytest.raises(UsageError, match=f"has {what}, MLPerf Tiny's protocol has one input"),
        on_board(load_board("mps2", PROJECT), PROJECT, model, None, "aot", "auto"),
    ):
        pass


def test_a_batch_left_open_is_said(tmp_path: Path) -> None:
    net = Net().input((1, 3)).simple("RELU")
    net.graph.tensors[0].shapeSignature = [-1, 3]
    plan = planned(tmp_path, net, {"x": A})
    events: list[Event] = []
    run(plan, tmp_path / "run", events.append, FakeLab())
    assert events.count(OpenBatch("net.tflite")) == 1


@pytest.mark.parametrize(("values", "window"), [(3, 4), (300, 3), (3000, 1)])
def test_answers_in_flight_fit_into_a_pty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: int, window: int
) -> None:
    """Otherwise host and board wait for each other: both write, and nobody reads."""
    x = np.zeros((5, values), np.float32)
    plan = planned(tmp_path, Net().input((1, values)).simple("RELU"), {"x": x})
    infer, windows = Device.infer, []

    def recorded(self: Device, *args: Any, **given: Any) -> Iterator[Answer]:
        windows.append(given.get("window"))
        return infer(self, *args, **given)

    monkeypatch.setattr(Device, "infer", recorded)
    run(plan, tmp_path / "run", ignore, FakeLab())
    assert windows == [None, window]  # to warm up, one at a time
