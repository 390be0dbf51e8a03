"""Engine `tflm` in the firmware; what needs TFLM's sources runs where HIL_TFLM_DIR names them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.errors import BuildFailed, DeviceRefused
from hil.core.records import Encoding, Hello
from hil.device import Device
from hil.firmware import build
from hil.reference import oracle
from hil.wire.messages import ErrorCode
from tests.firmware.conftest import PROJECT
from tests.firmware.test_pio import pio

MODELS = PROJECT / "models" / "digits"
DIGITS = np.random.default_rng(11).integers(0, 256, (20, 1, 28, 28, 1), dtype=np.uint8)

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(900)]
needs_tree = pytest.mark.skipif(
    not os.environ.get("HIL_TFLM_DIR"), reason="HIL_TFLM_DIR names no TFLM tree (docs/engines.md)"
)
every_board = pytest.mark.parametrize("board", ["native", "mps2", "rv32"])


def ask(board: str, engine: str, names: list[str]) -> tuple[Hello, list[list[bytes]]]:
    """HELLO, and every model's answers to `DIGITS`."""
    found = load_board(board)
    if missing := missing_tools(found):
        pytest.skip(f"not installed: {', '.join(missing)}")
    models = [(name, MODELS / f"{name}.tflite") for name in names]
    firmware = build(found.pio_env, models, engine, PROJECT)
    with open_board(found, firmware.elf) as link:
        device = Device(link)
        hello = device.hello()
        outputs = []
        for index in range(len(models)):
            answers = device.infer(index, Encoding.PIXELS, (d.tobytes() for d in DIGITS), window=2)
            outputs.append([answer.result.output for answer in answers])
            assert device.hello() == hello  # asked in between, it changes nothing
    return hello, outputs


def test_aot_says_when_the_arena_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_ARENA", "100")
    with pytest.raises(DeviceRefused, match=r"an arena of \d+ bytes and has 100") as refused:
        ask("native", "aot", ["student_int8"])
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
    hello, outputs = ask(board, "tflm", names)
    assert [model.engine for model in hello.models] == ["tflm", "tflm"]
    for name, got in zip(names, outputs, strict=True):
        reference = oracle(MODELS / f"{name}.tflite")
        real = DIGITS.astype(np.float32) / np.float32(255)
        x = (DIGITS.astype(np.int16) - 128).astype(np.int8) if precision == "int8" else real
        want = reference.predict(x[:, 0].reshape(len(x), *reference.graph.input.shape))
        assert got == [row.tobytes() for row in want]


@needs_tree
@every_board
def test_the_arena_of_hello_is_what_it_takes(board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["student_int8"]
    hello, outputs = ask(board, "tflm", names)
    (takes,) = (model.arena for model in hello.models)
    assert takes % 16 == 0
    monkeypatch.setenv("HIL_ARENA", str(takes))
    assert ask(board, "tflm", names)[1] == outputs
    for less in (takes - 16, takes // 2, 64):
        monkeypatch.setenv("HIL_ARENA", str(less))
        with pytest.raises(DeviceRefused, match=rf"of \d+ bytes and has {less}") as refused:
            ask(board, "tflm", names)
        assert refused.value.code == ErrorCode.ARENA


@needs_tree
@pytest.mark.parametrize(
    ("board", "precision"),
    [("native", "int8"), ("native", "float32"), ("mps2", "int8"), ("rv32", "int8")],
)
def test_the_engines_promises_hold(board: str, precision: str, tmp_path: Path) -> None:
    """firmware/test/test_engine, with every arena size from what it takes down to nothing."""
    if missing := missing_tools(load_board(board)):
        pytest.skip(f"not installed: {', '.join(missing)}")
    image = [f"{m}={MODELS / f'{m}_{precision}.tflite'}" for m in ("teacher", "student")]
    variables = {**os.environ, "HIL_ENGINE": "tflm", "HIL_IMAGE": os.pathsep.join(image)}
    variables |= {"PLATFORMIO_BUILD_DIR": str(tmp_path)}
    done = pio(["test", "-e", board, "-f", "test_engine"], variables, limit_s=800)
    assert done.returncode == 0, done.stdout[-3000:]
