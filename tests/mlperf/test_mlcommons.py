# SPDX-License-Identifier: Apache-2.0
"""Tests with MLCommons' code, which is not in this repository.

They need a checkout of mlcommons/tiny, named by HIL_MLPERF_TINY_DIR. Its runner drives our
firmware, and both hil and the runner drive a device that is built on its reference API.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from hil import datasets
from hil.boards.config import Emulator, load_board
from hil.boards.emulator import start
from hil.engines import write_image
from hil.firmware import build
from hil.link import Deadline
from hil.link.serial_port import SerialLink
from hil.mlperf.data import export
from hil.mlperf.dut import Dut
from hil.mlperf.energy import Energy
from hil.mlperf.measure import Accuracy
from hil.mlperf.session import run as run_session
from hil.reference import encode_inputs, oracle
from hil.stats.metrics import dequantised
from tests.mlperf.monitor import ACTIVE, bench
from tests.mlperf.test_energy import Marking, Recorder, session
from tests.support.firmware import FIRMWARE, PROJECT, run
from tests.support.mlperf_devices import infer
from tests.support.needs import skip_without

TINY = os.environ.get("HIL_MLPERF_TINY_DIR", "")
HERE = Path(__file__).parent
SETS = {"tabular": 200, "digits": 50}  # float features and 77 % right; pixels
OURS, THEIRS = "student int8 aot", "ic01"  # ids that the devices report for `profile`

pytestmark = [
    pytest.mark.firmware,
    skip_without(tool for tool in ("gcc", "g++") if not shutil.which(tool)),
    pytest.mark.skipif(not TINY, reason="HIL_MLPERF_TINY_DIR names no checkout of mlcommons/tiny"),
]


@pytest.fixture(params=SETS)
def name(request: pytest.FixtureRequest) -> str:
    """A data set; the device runs its student."""
    found: str = request.param
    return found


def student(name: str) -> Path:
    return PROJECT / "models" / name / "student_int8.tflite"


@dataclass(frozen=True)
class Truth:
    """The host's figures for the same samples."""

    top1: float
    auc: float
    results: npt.NDArray[np.float64]


@pytest.fixture
def truth(name: str) -> Truth:
    data = datasets.subset(datasets.load(name), SETS[name])
    host = oracle(student(name))
    raw = host.predict(encode_inputs(data.x, host.graph.input))
    out = host.graph.output
    shares = softmax(dequantised(raw, out.scale, out.zero_point), axis=-1)
    right = float((raw.argmax(axis=1) == data.y).mean() * 100)
    return Truth(right, float(roc_auc_score(data.y, shares, multi_class="ovr")), shares)


@contextmanager
def running(emulator: Emulator, elf: Path, folder: Path) -> Iterator[str]:
    process = start(emulator, elf, folder / "emulator.log", Deadline.after(60))
    try:
        yield process.port
    finally:
        process.stop()


@pytest.fixture
def reference(name: str, tmp_path: Path) -> Iterator[str]:
    """The port of a device built on MLCommons' API."""
    folder = tmp_path / "reference"
    write_image("aot", [("student", student(name))], folder)
    engine = f"-I{FIRMWARE / 'lib' / 'TinymlHil' / 'src' / 'hil_engine'}"
    flags = [f"-I{Path(TINY) / 'benchmark'}", f"-I{folder}", engine, "-O2"]
    run(["gcc", "-c", *flags, str(folder / "hil_image.c"), "-o", str(folder / "image.o")])
    model = f'-DTH_MODEL_VERSION="{THEIRS}"'
    sources = [HERE / "reference_dut.cpp", Path(TINY, "benchmark/api/internally_implemented.cpp")]
    objects = [*map(str, sources), str(folder / "image.o")]
    run(["g++", "-std=c++17", model, *flags, *objects, "-lm", "-o", str(folder / "dut")])
    emulator = Emulator(("{elf}",), port_pattern=r"port (\S+)")
    with running(emulator, folder / "dut", tmp_path) as port:
        yield port


@pytest.fixture
def firmware(name: str, tmp_path: Path) -> Iterator[str]:
    """The port of our firmware, as a process."""
    board = load_board("native")
    built = build(board.pio_env, [("student", student(name))], "aot", PROJECT)
    assert board.emulator
    with running(board.emulator, built.elf, tmp_path) as port:
        yield port


def mlcommons_runner(
    port: str, model: str, name: str, folder: Path
) -> tuple[float, float, npt.NDArray[np.float64]]:
    """Top-1 in percent, AUC, and the results that MLCommons' runner stored."""
    folder.mkdir()
    export(datasets.load(name), folder / "data", model, SETS[name])
    devices = "- {name: dut, type: dut, baud: 115200, usb: {1: 1}}\n"
    (folder / "devices.yaml").write_text(devices)
    session = started(port, "data/tests_accuracy.yaml", "a", folder)
    text = (session / "results.txt").read_text()
    found = re.search(r"Top 1% = ([\d.]+)\n.*AUC = ([\d.]+)\n", text)
    assert found
    stored = json.loads((session / "results.json").read_text())
    results = np.array([one["infer"]["results"] for one in stored])
    return float(found[1]), float(found[2]), results


def started(ports: str, tests: str, mode: str, folder: Path) -> Path:
    """The session of MLCommons' runner in ``folder``, which has its devices and tests."""
    where = ("-d", "devices.yaml", "-t", tests, "-s", "data", "-m", mode)
    runner = str(Path(TINY, "benchmark", "runner"))
    words = [sys.executable, str(HERE / "on_pty.py"), runner, ports, *where]
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (session,) = (folder / "sessions").iterdir()
    return session


def test_mlcommons_runner_drives_our_firmware(
    firmware: str, truth: Truth, name: str, tmp_path: Path
) -> None:
    top1, area, results = mlcommons_runner(firmware, OURS, name, tmp_path / "runner")
    assert top1 == pytest.approx(truth.top1, abs=0.05)  # printed with one decimal
    assert area == pytest.approx(truth.auc, abs=0.0005)
    np.testing.assert_allclose(results, truth.results, rtol=0, atol=2e-6)


def test_a_device_on_mlcommons_api_is_driven_by_us_and_by_its_runner(
    reference: str, truth: Truth, name: str, tmp_path: Path
) -> None:
    top1, area, results = mlcommons_runner(reference, THEIRS, name, tmp_path / "runner")
    link = SerialLink(reference)
    try:
        data = tmp_path / "runner" / "data" / name
        outcome = run_session(
            link, data, tmp_path / "ours", "accuracy", emulated=True, read_back=True
        )
    finally:
        link.close()
    assert isinstance(outcome.found, Accuracy)
    assert outcome.found.top1 == pytest.approx(truth.top1)
    assert outcome.found.auc == pytest.approx(truth.auc, abs=1e-6)
    assert (top1, area) == (round(truth.top1, 1), round(truth.auc, 3))
    assert outcome.retries == 0
    stored = json.loads((tmp_path / "ours" / "results.json").read_text())
    assert [one["infer"]["results"] for one in stored] == results.tolist()


@pytest.mark.parametrize("name", ["tabular"], indirect=True)
def test_a_device_on_mlcommons_api_is_found_after_an_unfinished_command(reference: str) -> None:
    link = SerialLink(reference)
    try:
        link.write(b"db 0011zz")
        assert Dut(link).identify().model == THEIRS
    finally:
        link.close()


DEVICES = """\
- {name: stm32h573i-dk, type: interface, baud: 115200, usb: {1: 1}}
- {name: lpm01a, type: power, baud: 115200, voltage: 1.8, usb: {2: 2}}
- {name: dut, type: dut, baud: {energy: 115200}, usb: {9: 9}}
"""


@pytest.mark.parametrize("name", ["digits"])
def test_mlcommons_runner_measures_our_firmware_in_energy_mode(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a simulated monitor: the runner's figure is the simulated power times the time between
    the edges of our firmware."""
    iterations = int(os.environ.get("HIL_MLPERF_ITERATIONS", "20000"))  # 10 s take more
    edges = tmp_path / "edges"
    monkeypatch.setenv("HIL_MLPERF_ENERGY", "1")
    monkeypatch.setenv("HIL_MARKER_PIN", "1")
    monkeypatch.setenv("HIL_MARKER_FILE", str(edges))
    board = load_board("native")
    built = build(board.pio_env, [("student", student(name))], "aot", PROJECT)
    folder = tmp_path / "runner"
    folder.mkdir()
    export(datasets.load(name), folder / "data", OURS, 20)
    tests = folder / "data" / "tests_energy.yaml"
    tests.write_text(tests.read_text().replace("infer 1000 10", f"infer {iterations} 10"))
    (folder / "devices.yaml").write_text(DEVICES)
    assert board.emulator
    with running(board.emulator, built.elf, tmp_path) as port:
        link = SerialLink(port)
        try:
            assert Dut(link).identify().model == OURS
            with bench(link, edges) as (interface, power, monitor, passed):
                session = started(f"{interface},{power}", str(tests), "e", folder)
        finally:
            link.close()
    assert "setbaud 115200" in passed.commands
    assert {"output energy", "freq 1k", "eventsrc d7 fal", "volt 1800m"} <= set(monitor.commands)
    falls = monitor.edges.falls()[monitor.edges.at_boot :]
    assert len(falls) == 10
    seconds = np.diff(falls)[::2] / 1e6
    stored = json.loads((session / "results.json").read_text())
    assert [len(one["power"]["timestamps"]) for one in stored] == [2] * 5
    text = (session / "results.txt").read_text()
    elapsed = np.array(re.findall(r"Elapsed time  : ([\d.]+)", text), np.float64)
    np.testing.assert_allclose(elapsed, seconds, rtol=0, atol=0.002)  # two of its samples
    (median,) = re.findall(r"Median energy cost is ([\d.]+) uJ/inf\.", text)
    wanted = float(np.median(seconds)) * ACTIVE / iterations * 1e6
    assert float(median) == pytest.approx(wanted, rel=0.003 / seconds.min())
    # our own files of such a session have the same keys
    ours = set(stored[0]["infer"]) | set(stored[0]["power"])
    assert ours == {
        *("results", "total_inferences", "iterations", "warmups"),
        *("samples", "timestamps", "extracted_power", "voltage"),
    }


THEIR_ENERGY = """\
import json, sys
sys.path[:0] = [{here!r}, {runner!r}]
import on_pty
on_pty.pretend([])
import main
main.print_energy_results(json.load(open({ours!r})), results_file={theirs!r})
"""


def test_mlcommons_code_finds_the_same_energy_in_our_file(tmp_path: Path) -> None:
    """Its sums are over milliseconds, ours over the instrument's samples."""
    device = Marking(infer, seconds=0.02)
    outcome, out = session(tmp_path, device, Recorder(device))
    assert isinstance(outcome.found, Energy)
    theirs = tmp_path / "theirs.txt"
    code = THEIR_ENERGY.format(
        here=str(HERE),
        runner=str(Path(TINY, "benchmark", "runner")),
        ours=str(out / "results.json"),
        theirs=str(theirs),
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (median,) = re.findall(r"Median energy cost is ([\d.]+) uJ/inf\.", theirs.read_text())
    assert float(median) == pytest.approx(outcome.found.median * 1e6, rel=2e-4)
