# SPDX-License-Identifier: Apache-2.0
"""Engine `tflm` in the firmware; tests that need TFLM's sources run only if HIL_TFLM_DIR is set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.core.errors import BuildFailed, DeviceRefused
from hil.core.records import Encoding, TensorSpec
from hil.device import Device
from hil.firmware import build
from hil.reference import oracle
from hil.tflite import Graph, read_model
from hil.wire.messages import ErrorCode
from tests.support.firmware import (
    MODELS,
    PROJECT,
    answers_of,
    check_promises,
    oracle_outputs,
)

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(900)]
needs_tree = pytest.mark.skipif(
    not os.environ.get("HIL_TFLM_DIR"), reason="HIL_TFLM_DIR is not set (docs/engines.md)"
)
every_board = pytest.mark.parametrize("board", ["native", "mps2", "rv32"])


def test_aot_says_when_the_arena_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_ARENA", "100")
    with pytest.raises(DeviceRefused, match=r"an arena of \d+ bytes, but has 100") as refused:
        answers_of("native", "aot", ["student_int8"])
    assert refused.value.code == ErrorCode.ARENA


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        (None, "set HIL_TFLM_DIR to a TFLM tree, or name one in lib_deps"),
        ("HIL_TFLM_DIR", "does not contain tensorflow/lite/micro; set it to a TFLM tree"),
    ],
)
def test_without_sources_it_says_what_to_set(
    variable: str | None, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HIL_TFLM_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # nothing that `hil doctor` downloaded
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
    models = [("student", MODELS / "student_int8.tflite")]
    with pytest.raises(BuildFailed) as failed:
        build("native", models, "tflm", PROJECT)
    assert said in str(failed.value)


@needs_tree
@every_board
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_every_byte_is_the_oracles(board: str, precision: str) -> None:
    names = [f"{model}_{precision}" for model in ("teacher", "student")]
    hello, outputs = answers_of(board, "tflm", names)
    assert [model.engine for model in hello.models] == ["tflm", "tflm"]
    assert outputs == [oracle_outputs(name) for name in names]


@needs_tree
@every_board
def test_the_arena_in_hello_is_exact(board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["student_int8"]
    hello, outputs = answers_of(board, "tflm", names)
    (takes,) = (model.arena for model in hello.models)
    assert takes % 16 == 0
    monkeypatch.setenv("HIL_ARENA", str(takes))
    assert answers_of(board, "tflm", names)[1] == outputs
    for less in (takes - 16, takes // 2, 64):
        monkeypatch.setenv("HIL_ARENA", str(less))
        with pytest.raises(DeviceRefused, match=rf"of \d+ bytes, but has {less};") as refused:
            answers_of(board, "tflm", names)
        assert refused.value.code == ErrorCode.ARENA


@needs_tree
def test_a_network_links_the_kernels_that_its_operators_include() -> None:
    file = PROJECT / "tests" / "engines" / "data" / "depthwise_dense_int8.tflite"
    reference = oracle(file)
    spec = reference.graph.input
    x = np.random.default_rng(5).integers(-128, 128, (20, *spec.shape)).astype(np.int8)
    board = load_board("native")
    with open_board(board, build("native", [("net", file)], "tflm", PROJECT).elf) as link:
        answers = Device(link).infer(0, Encoding.INT8, (one.tobytes() for one in x), window=2)
        outputs = [answer.result.output for answer in answers]
    assert outputs == [y.tobytes() for y in reference.predict(x)]


@needs_tree
@pytest.mark.skipif(not os.environ.get("HIL_NETWORKS_DIR"), reason="HIL_NETWORKS_DIR is not set")
def test_several_outputs_and_state_are_the_oracles() -> None:
    """Of two outputs, variables that CALL_ONCE initialises, SVDF, and an LSTM, in one image."""
    files = [
        Path(os.environ["HIL_NETWORKS_DIR"], *name)
        for name in (
            ("keras", "multi_out_int8.tflite"),
            ("public", "esphome_models_v2_vad.tflite"),
            ("public", "tensorflow_tensorflow_lite_micro_models_keyword_scrambled_8bit.tflite"),
            ("public", "low_tensorflow_lite_micro_examples_mnist_lstm_trained_lstm_int8.tflite"),
        )
    ]
    board = load_board("native")
    image = build("native", [(f"m{i}", file) for i, file in enumerate(files)], "tflm", PROJECT)
    with open_board(board, image.elf) as link:
        device = Device(link)
        for index, file in enumerate(files):
            graph, reference = read_model(file), tflm(file)
            inputs, wanted = answers(graph, reference, np.random.default_rng(index))
            rounds = 2 if graph.stateful else 1
            for _ in range(rounds):  # the second round shows that the state was cleared
                if graph.stateful:
                    device.reset_state(index)
                got = device.infer(index, Encoding.OWN, inputs, sequence=graph.stateful)
                assert [answer.result.output for answer in got] == wanted, file.name


def tflm(file: Path) -> Any:
    from tflite_micro import runtime

    return runtime.Interpreter.from_file(str(file), arena_size=8 << 20)


def answers(
    graph: Graph, reference: Any, rng: np.random.Generator
) -> tuple[list[bytes], list[bytes]]:
    """Five steps of integer inputs as they are sent, and TFLM's outputs as they come."""
    sent, wanted = [], []
    for _ in range(5):
        values = [
            rng.integers(-128, 128, spec.shape).astype(spec.dtype.numpy) for spec in graph.inputs
        ]
        for i, value in enumerate(values):
            reference.set_input(value, i)
        reference.invoke()
        outputs = [np.asarray(reference.get_output(i)) for i in range(len(graph.outputs))]
        sent.append(packed(values, graph.inputs))
        wanted.append(packed(outputs, graph.outputs))
    return sent, wanted


def packed(values: Sequence[npt.NDArray[Any]], specs: Sequence[TensorSpec]) -> bytes:
    """Each at the next multiple of 4 bytes."""
    made = b""
    for value, spec in zip(values, specs, strict=True):
        assert value.nbytes == spec.nbytes
        made += b"\0" * (-len(made) % 4) + value.tobytes()
    return made


@needs_tree
@pytest.mark.parametrize(
    ("board", "precision"),
    [("native", "int8"), ("native", "float32"), ("mps2", "int8"), ("rv32", "int8")],
)
def test_the_engine_keeps_its_promises(board: str, precision: str, tmp_path: Path) -> None:
    check_promises(board, "tflm", [f"{m}_{precision}" for m in ("teacher", "student")], tmp_path)
