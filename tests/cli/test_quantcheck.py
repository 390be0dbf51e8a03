# SPDX-License-Identifier: Apache-2.0
"""`hil quantcheck`: its table, its record, its exit codes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

import hil
from hil.api.records import ErrorOutput, QuantcheckOutput
from tests.support.command_line import PROJECT
from tests.support.command_line import hil as ran

CASES = PROJECT / "tests" / "bench" / "data"
FLOAT, GOOD = CASES / "digits_float32.tflite", CASES / "digits_int8.tflite"
WIDE = CASES / "digits_calibrated_x255_int8.tflite"
DATA = CASES / "digits.npz"


Ran = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ran:
    def run(*words: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        code = ran(monkeypatch, "quantcheck", *words, "--data", DATA)
        return code, *capfd.readouterr()

    return run


def test_a_good_pair_is_exit_code_0(said: Ran) -> None:
    code, stdout, _ = said(FLOAT, GOOD)
    assert code == 0
    assert "float32 95.0%, int8 95.0%" in stdout
    assert "int8 loses nothing that matters" in stdout
    assert stdout.count("FULLY_CONNECTED") == 2


def test_a_loss_is_named_with_exit_code_1(said: Ran) -> None:
    code, stdout, _ = said(FLOAT, WIDE)
    assert code == 1
    assert "warning: 4 of 4 ranges of int8 do not fit this data" in stdout
    assert "input holds 0 to 255, the data has 0 to 1" in stdout
    assert "95.0% instead of 30.0%" in stdout
    assert "docs/quantcheck.md#quant-calibration" in stdout


def test_the_record(said: Ran) -> None:
    code, stdout, stderr = said(FLOAT, WIDE, "--json", "--quiet", "--limit", "100")
    found = msgspec.json.decode(stdout, type=QuantcheckOutput, strict=True)
    assert (code, stderr) == (1, "")
    assert found.pair.n == found.pair.tried == 100
    assert [one.code for one in found.pair.findings] == ["quant-calibration"]
    assert [one.ops for one in found.pair.layers][:2] == ["INPUT", "CONV_2D"]
    assert json.loads(msgspec.json.encode(found)) == json.loads(stdout)


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ((GOOD, FLOAT), "computes in float32"),
        ((GOOD, GOOD), "computes in int8"),
        ((FLOAT, FLOAT), "computes in float32"),
        ((FLOAT, CASES / "colour_int8.tflite"), "are not the same network: inputs of shape"),
        ((FLOAT, CASES / "missing.tflite"), "missing.tflite"),
    ],
)
def test_what_it_refuses(said: Ran, files: tuple[Path, Path], what: str) -> None:
    code, stdout, stderr = said(*files)
    assert code == 2
    assert what in stderr
    assert stdout == ""


def test_data_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    np.savez(tmp_path / "small.npz", x=np.zeros((20, 8, 8, 1), np.uint8))
    code = ran(monkeypatch, "quantcheck", FLOAT, GOOD, "--data", tmp_path / "small.npz", "--json")
    found = msgspec.json.decode(capfd.readouterr().out, type=ErrorOutput)
    assert (code, found.error.type) == (2, "DataError")
    assert "64 values" in found.error.what


def test_a_limit_of_0(said: Ran) -> None:
    code, _, stderr = said(FLOAT, GOOD, "--limit", "0")
    assert code == 2
    assert "--limit must be at least 1" in stderr


def test_python_has_the_same(said: Ran) -> None:
    _, stdout, _ = said(FLOAT, GOOD, "--json")
    data = np.load(DATA)
    found = hil.quantcheck(FLOAT, GOOD, DATA)
    assert msgspec.json.decode(stdout, type=QuantcheckOutput).pair == found
    # another data set has another subset, so all samples
    same = hil.quantcheck(FLOAT, GOOD, (data["x"], data["y"]), limit=397)
    whole = hil.quantcheck(FLOAT, GOOD, DATA, limit=397)
    assert same.n == 397
    assert same.int8 == whole.int8


def test_codes_of_the_int8_network_are_the_same_numbers(tmp_path: Path) -> None:
    data = np.load(DATA)
    codes = (data["x"].astype(np.int16) - 128).astype(np.int8)  # its scale is 1/255
    np.savez(tmp_path / "codes.npz", x=codes, y=data["y"])
    found = hil.quantcheck(FLOAT, GOOD, tmp_path / "codes.npz", limit=397)
    whole = hil.quantcheck(FLOAT, GOOD, DATA, limit=397)
    assert (found.float32.right, found.int8.right) == (whole.float32.right, whole.int8.right)
    assert found.int8.sqnr == pytest.approx(whole.int8.sqnr, abs=0.001)
