# SPDX-License-Identifier: Apache-2.0
"""Engine `bakenn` in the firmware: CMSIS-NN's kernels on `mps2`, ESP-NN's C kernels on request, and
portable C elsewhere; all give the oracle's bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.core.errors import BuildFailed
from hil.firmware import build
from tests.engines.test_bakenn import needs_bakenn
from tests.support.firmware import (
    MODELS,
    PROJECT,
    answers_of,
    check_promises,
    oracle_outputs,
)

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
    hello, outputs = answers_of(board, "bakenn", NAMES)
    assert [model.engine for model in hello.models] == ["bakenn", "bakenn"]
    assert outputs == [oracle_outputs(name) for name in NAMES]


@pytest.mark.parametrize("board", ["native", "mps2", "rv32", "lx106"])
def test_the_engine_keeps_its_promises(board: str, tmp_path: Path) -> None:
    check_promises(board, "bakenn", NAMES, tmp_path)


def test_unknown_kernels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_BAKENN", "none")
    with pytest.raises(BuildFailed) as failed:
        build("native", [("student", MODELS / "student_int8.tflite")], "bakenn", PROJECT)
    assert "HIL_BAKENN=none is not known; unset it, or choose one: cmsis_nn esp32" in str(
        failed.value
    )
