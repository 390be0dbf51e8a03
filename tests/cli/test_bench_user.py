# SPDX-License-Identifier: Apache-2.0
"""`hil bench --engine user`: a sketch on a port, from the command line to the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil.core.records import DType, TensorSpec
from hil.reference import encode_inputs, oracle
from hil.testing.board import EngineFails
from hil.testing.lab import FakeSketch
from hil.tflite import read_model
from hil.wire.messages import SketchFault
from tests.support.benches import PROJECT
from tests.support.command_line import hil
from tests.support.ptys import served_pty

MODEL = PROJECT / "models" / "digits" / "student_int8.tflite"
GRAPH = read_model(MODEL)
PIXELS = TensorSpec(DType.FLOAT32, (28, 28))
Values = npt.NDArray[np.generic]


def student() -> Callable[[Values], Values]:
    """A predict function that computes the digits' student."""
    reference = oracle(MODEL)
    return lambda x: np.asarray(reference.predict(encode_inputs(x[None], GRAPH.input))[0])


def bench(
    monkeypatch: pytest.MonkeyPatch, out: Path, predict: Callable[[Values], Values], *words: str
) -> int:
    """20 digits on a board whose sketch runs ``predict``; returns the exit code."""
    sketch = FakeSketch(predict, PIXELS, GRAPH.output)
    with served_pty(sketch.board("native").answer) as pty:
        return hil(
            monkeypatch,
            *("bench", "--engine", "user", "--board", "native", "--port", pty.name),
            *("--limit", "20", "--out", str(out), "--host-samples", "0", *words),
        )


def test_a_sketch_that_is_right_is_exit_code_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("--dataset", "digits", "--model", str(MODEL))
    assert bench(monkeypatch, tmp_path / "run", student(), *words) == 0
    said = capsys.readouterr()
    assert "asking the sketch on /dev/pts/" in said.err
    assert "every output is as expected" in said.out
    assert "digits int8" in said.out
    report = (tmp_path / "run" / "report.md").read_text()
    assert "digits 1.2" in report


def test_a_sketch_that_is_wrong_or_fails_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    right, count = student(), iter(range(99))

    def predict(x: Values) -> Values:
        number = next(count) - 3  # after the warm-up
        if number == 4:
            raise EngineFails(SketchFault.WROTE_AFTER)
        return right(x)[::-1] if number == 7 else right(x)

    words = ("--dataset", "digits", "--model", str(MODEL))
    assert bench(monkeypatch, tmp_path / "run", predict, *words) == 1
    said = capsys.readouterr().out
    assert "not as expected: native/user/digits/int8: 19 samples" in said
    assert "outputs of the sketch differ from the oracle" in said
    assert "1 of 20 requests got no answer that counts" in said
    assert "predict wrote past its output" in (tmp_path / "run" / "report.md").read_text()


def test_nothing_to_compare_with_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    np.savez(tmp_path / "my.npz", x=np.random.default_rng(2).random((20, 784), np.float32))
    words = ("--data", str(tmp_path / "my.npz"))
    sketch = FakeSketch(student(), PIXELS, GRAPH.output, sent="<f4")
    with served_pty(sketch.board("native").answer) as pty:
        code = hil(
            monkeypatch,
            *("bench", "--engine", "user", "--board", "native", "--port", pty.name),
            *("--out", str(tmp_path / "run"), *words),
        )
    assert code == 0
    said = capsys.readouterr().out
    assert "no output was compared with the host's: name the network with --model" in said
    assert "every output is as expected" not in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--port", "fake"), "needs to know which samples to send"),
        (("--dataset", "digits"), "board native is emulated, and there is no sketch for it to run"),
        (
            ("--dataset", "digits", "--port", "fake", "--sketch", "."),
            "has no effect without --flash",
        ),
    ],
)
def test_what_is_missing_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    says: str,
) -> None:
    assert hil(monkeypatch, "bench", "--engine", "user", "--board", "native", *words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert line.startswith("error: ")
    assert says in line
