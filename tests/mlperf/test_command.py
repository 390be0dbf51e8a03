# SPDX-License-Identifier: Apache-2.0
"""`hil mlperf` and `hil mlperf-data` on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from hil import datasets
from hil.api.records_mlperf import MlperfAccuracy, MlperfOutput
from hil.boards.config import load_board
from hil.boards.station import missing_tools
from hil.mlperf.session import is_pty
from hil.mlperf.submission import read_result
from hil.reference import encode_inputs, oracle
from hil.stats.metrics import dequantised
from hil.testing.mlperf import FakeDut
from tests.support.command_line import PROJECT, hil
from tests.support.mlperf_devices import infer, sample, write_set
from tests.support.needs import skip_without
from tests.support.ptys import served_pty

SET = [(label, sample(label)) for label in (0, 1, 2, 2)]


@pytest.fixture
def port() -> Iterator[str]:
    """A pty with a fake device behind it, in real time."""
    with served_pty(FakeDut(infer).answer) as pty:
        yield pty.name


def test_any_device_on_a_port(
    port: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    data, out = write_set(tmp_path / "set", SET), tmp_path / "run"
    words = ("mlperf", "--port", port, "--data", str(data), "--out", str(out))
    assert hil(monkeypatch, *words) == 0
    shown = capsys.readouterr()
    assert "Top-1 100.00 % (4 of 4), AUC 1.0000" in shown.out
    assert "these figures are not measured times" in shown.out  # a pty is not a board
    assert "device [fake] runs model [fake01]: 4 files of 3 classes" in shown.err
    assert read_result(out).emulated
    assert hil(monkeypatch, "verify", str(out)) == 0
    assert "intact (5 files" in capsys.readouterr().out
    assert hil(monkeypatch, "report", str(out)) == 2
    assert "contains an MLPerf Tiny session" in capsys.readouterr().err


def test_the_json_record_has_the_figures(
    port: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    words = ("mlperf", "--port", port, "--data", str(write_set(tmp_path / "set", SET)))
    out = ("--out", str(tmp_path / "run"), "--json", "--quiet")
    assert hil(monkeypatch, *words, *out) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    found = msgspec.json.decode(shown.out, type=MlperfOutput, strict=True)
    assert found.accuracy == MlperfAccuracy(n=4, correct=4, top1=100.0, auc=1.0, improper=0)
    assert (found.vendor, found.model, found.emulated) == ("fake", "fake01", True)
    assert (found.windows, found.median, found.faults) == ((), None, ())


def test_what_is_not_as_expected_ends_with_1(
    port: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    improper = [(label, sample(label, 250)) for label in (0, 1, 2)]  # shares of 2.5 and -0.75
    data = write_set(tmp_path / "set", improper)
    words = ("mlperf", "--port", port, "--data", str(data), "--out", str(tmp_path / "run"))
    assert hil(monkeypatch, *words) == 1
    assert "not as expected: 3 of 3 results are not probabilities" in capsys.readouterr().out


def test_a_pty_is_not_a_board_under_any_name(port: str, tmp_path: Path) -> None:
    link = tmp_path / "board"
    link.symlink_to(port)
    assert is_pty(port)
    assert is_pty(str(link))
    assert is_pty("/dev/ttys003")
    assert not any(map(is_pty, ("/dev/ttyUSB0", "/dev/ttyS0", "socket://lab:7000", "COM3")))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "no device is given; give --port"),
        (
            ("--port", "/dev/null", "--mode", "speed"),
            "--mode speed is unknown; choose from",
        ),
        (("--board", "native", "--mode", "energy"), "--mode energy and --power need each other"),
        (("--board", "native", "--power", "sim:"), "--mode energy and --power need each other"),
        (
            ("--board", "native", "--mode", "energy", "--power", "meter:"),
            "no instrument is called 'meter'",
        ),
        (("--board", "mars"), "no board is called 'mars'"),
        (("--board", "mps2", "--mode", "performance"), "cannot be measured on an emulator"),
        (
            ("--port", "x", "--emulated", "--mode", "performance"),
            "cannot be measured on an emulator",
        ),
        (("--board", "esp32dev"), "board esp32dev is not emulated; flash it"),
        (("--board", "native", "--data", "no-such"), "no y_labels.csv in no-such or its subfold"),
        (("--port", "/dev/no-such-port"), "port /dev/no-such-port does not exist"),
        (("--board", "native", "--model", "pupil"), "no model is called 'pupil'"),
    ],
)
def test_impossible_requests_are_one_line_of_error(
    words: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "y_labels.csv").touch()
    given = ("mlperf", "--data", str(tmp_path), "--dataset", "digits", *words)
    assert hil(monkeypatch, *given) == 2
    assert says in capsys.readouterr().err


def test_a_data_set_of_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("mlperf-data", "--dataset", "digits", "--out", str(tmp_path / "d"), "--limit")
    assert hil(monkeypatch, *words, "20") == 0
    shown = capsys.readouterr().out
    assert f"20 samples of digits in {tmp_path / 'd' / 'digits'}" in shown
    assert "tests_accuracy.yaml" in shown
    assert hil(monkeypatch, *words, "20") == 2
    assert "already exists" in capsys.readouterr().err
    assert hil(monkeypatch, *words, "0") == 2


def test_data_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each sample's bytes are its values, whatever they stand for."""
    (tmp_path / "my.csv").write_text("a,b,kind\n1,2,no\n3,4,yes\n")
    words = ("mlperf-data", "--data", str(tmp_path / "my.csv"), "--out", str(tmp_path / "d"))
    assert hil(monkeypatch, *words) == 2
    assert "my has no labels; MLPerf Tiny needs a class" in capsys.readouterr().err
    assert hil(monkeypatch, *words, "--target", "kind") == 0
    folder = tmp_path / "d" / "my"
    assert (folder / "my-00001.bin").read_bytes() == np.array([3, 4], "<f4").tobytes()
    assert (folder / "y_labels.csv").read_text() == "my-00000.bin,2,0\nmy-00001.bin,2,1\n"


@pytest.mark.firmware
@pytest.mark.parametrize(
    "board",
    [
        pytest.param(name, marks=skip_without(missing_tools(load_board(name))))
        for name in ("native", "mps2")
    ],
)
def test_our_firmware_gives_the_answers_of_the_host(
    board: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(PROJECT)
    name = "tabular"
    data, out = tmp_path / "data", tmp_path / "run"
    assert hil(monkeypatch, "mlperf-data", "--dataset", name, "--out", str(data)) == 0
    words = ("mlperf", "--board", board, "--dataset", name, "--data", str(data / name))
    assert hil(monkeypatch, *words, "--out", str(out)) == 0
    found = read_result(out)
    whole = datasets.load(name)
    host = oracle(PROJECT / "models" / name / "student_int8.tflite")
    raw = host.predict(encode_inputs(whole.x, host.graph.input))
    assert (found.n, found.correct) == (len(whole), int((raw.argmax(axis=1) == whole.y).sum()))
    spec = host.graph.output
    shares = softmax(dequantised(raw, spec.scale, spec.zero_point), axis=-1)
    stored = json.loads((out / "results.json").read_text())
    results = np.array([one["infer"]["results"] for one in stored])
    np.testing.assert_allclose(results, shares, rtol=0, atol=2e-6)
    assert found.auc == pytest.approx(roc_auc_score(whole.y, shares, multi_class="ovr"), abs=1e-6)
    assert found.emulated
    assert found.device.vendor.startswith("tinyml-hil ")
