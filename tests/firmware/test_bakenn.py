"""Engine `bakenn` in the firmware: CMSIS-NN's kernels on `mps2`, ESP-NN's C where it is asked for,
portable C elsewhere, all of them the oracle's bytes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hil.boards.config import load_board
from hil.boards.station import missing_tools
from hil.core.errors import BuildFailed
from hil.firmware import build
from hil.reference import oracle
from tests.engines.test_bakenn import needs_bakenn
from tests.firmware.conftest import PROJECT
from tests.firmware.test_pio import pio
from tests.firmware.test_tflm import DIGITS, MODELS, ask

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(900), needs_bakenn]
NAMES = ["teacher_int8", "student_int8"]
EVERYWHERE = [
    ("native", ""),
    ("native", "esp32"),
    ("mps2", ""),
    ("mps2", "portable"),
    ("rv32", ""),
    ("lx106", ""),
]


@pytest.mark.parametrize(("board", "kind"), EVERYWHERE)
def test_every_byte_is_the_oracles(board: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")
    monkeypatch.setenv("HIL_BAKENN", kind)
    hello, outputs = ask(board, "bakenn", NAMES)
    assert [model.engine for model in hello.models] == ["bakenn", "bakenn"]
    x = (DIGITS.astype(np.int16) - 128).astype(np.int8)
    for name, got in zip(NAMES, outputs, strict=True):
        reference = oracle(MODELS / f"{name}.tflite")
        want = reference.predict(x[:, 0].reshape(len(x), *reference.graph.input.shape))
        assert got == [row.tobytes() for row in want]


@pytest.mark.parametrize("board", ["native", "mps2", "rv32", "lx106"])
def test_the_engines_promises_hold(board: str, tmp_path: Path) -> None:
    """firmware/test/test_engine, with every arena size from what it takes down to nothing."""
    if missing := missing_tools(load_board(board)):
        pytest.skip(f"not installed: {', '.join(missing)}")
    image = [f"{name}={MODELS / f'{name}.tflite'}" for name in NAMES]
    variables = {**os.environ, "HIL_ENGINE": "bakenn", "HIL_IMAGE": os.pathsep.join(image)}
    variables |= {"PLATFORMIO_BUILD_DIR": str(tmp_path)}
    done = pio(["test", "-e", board, "-f", "test_engine"], variables, limit_s=800)
    assert done.returncode == 0, done.stdout[-3000:]


def test_unknown_kernels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_BAKENN", "none")
    with pytest.raises(BuildFailed) as failed:
        build("native", [("student", MODELS / "student_int8.tflite")], "bakenn", PROJECT)
    assert "HIL_BAKENN=none is not known; unset it, or choose one: cmsis_nn esp32" in str(
        failed.value
    )
