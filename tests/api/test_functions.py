# SPDX-License-Identifier: Apache-2.0
"""`hil.bench`, `hil.compare` and `hil.boards` as Python code calls them."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import hil
from hil import datasets
from hil.api import functions
from hil.bench import run
from hil.bench.events import BenchStored, Event, Starting, Streaming
from hil.core import errors
from hil.reference import encode_inputs, litert
from hil.runs.load import verify
from hil.testing.lab import FakeLab
from hil.tflite import read_model
from tests.support import reports
from tests.support.command_line import PROJECT, STUDENT

SINE = PROJECT / "tests" / "bench" / "data"
Use = Callable[[FakeLab], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Use:
    """Benches of this test use a fake lab, and a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def chosen(lab: FakeLab) -> None:
        monkeypatch.setattr(
            "hil.api.bench.run",
            lambda plan, folder, emit, *_, **kinds: run(plan, folder, emit, lab, **kinds),
        )

    chosen(FakeLab())
    return chosen


@pytest.mark.usefixtures("use")
def test_arrays_are_benched_and_give_frames(tmp_path: Path) -> None:
    data = datasets.load("digits")
    x, y = data.x[:12], data.y[:12]
    found = hil.bench(STUDENT, (x, y), board="mps2", host_samples=0, out=tmp_path / "run")
    assert isinstance(found, hil.Run)
    assert found.folder == tmp_path / "run"
    assert found.problems == ()
    (row,) = found.results.to_dict("records")
    assert (row["board"], row["model"], row["n"]) == ("mps2", "student_int8", 12)
    values = encode_inputs(x, read_model(STUDENT).input)
    expected = litert(STUDENT).predict((values,)).argmax(axis=1)
    by_id = found.samples.set_index("id")
    assert [by_id["device"][f"arrays-{i:05d}"] for i in range(12)] == list(expected)
    assert [by_id["label"][f"arrays-{i:05d}"] for i in range(12)] == list(y)
    assert verify(found.folder).faults == ()
    assert found.report.is_file()
    (call,) = found.manifest.command
    assert "data=<12 samples of arrays>" in call
    assert (
        repr(found) == f"<hil.Run {found.manifest.run_id}: 1 run x 12 samples of arrays, complete>"
    )


@pytest.mark.usefixtures("use")
def test_samples_without_labels_and_data_sets() -> None:
    data = datasets.load("digits")
    alone = hil.bench([STUDENT], data.x[:3], board="mps2", host_samples=0)
    assert "accuracy.device" not in alone.results
    named = hil.bench("student", data, board="mps2", precision="int8", limit=3, host_samples=0)
    assert list(named.results["dataset"]) == ["digits"]
    assert alone.folder.parent == named.folder.parent == Path("results")
    with pytest.raises(errors.UsageError, match="data is a tuple of 3"):
        hil.bench(STUDENT, (data.x, data.y, data.ids))  # type: ignore[arg-type]  # refused


@pytest.mark.usefixtures("use")
def test_float_targets_are_a_regression() -> None:
    """`rmse` by its definition, of the raw outputs and the targets as given."""
    matplotlib = pytest.importorskip("matplotlib", reason="extra examples")
    matplotlib.use("agg")
    given = np.load(SINE / "sine_floats.npz")
    network = SINE / "sine_int8.tflite"
    found = hil.bench(network, (given["x"], given["y"]), board="mps2", host_samples=0)
    at = [int(one.rpartition("-")[2]) for one in found.cells[0].ids]
    outputs = found.outputs(found.cells[0].plan.model, "int8", real=True)
    targets = given["y"].reshape(len(given["x"]), -1)[at]
    (row,) = found.results.to_dict("records")
    assert row["rmse.device"] == pytest.approx(np.sqrt(np.mean((outputs - targets) ** 2)))
    axes = found.plot()
    assert axes[0].get_xlabel() == "rmse on the device"
    matplotlib.pyplot.close("all")


def test_a_wrong_output_is_a_result_and_not_an_exception(use: Use) -> None:
    use(FakeLab(tamper=lambda output: output[::-1]))
    found = hil.bench("student", board="mps2", dataset="digits", limit=8, host_samples=0)
    assert any("mps2/aot/student/int8: 8 samples" in line for line in found.problems)
    assert "Not as expected" in found._repr_html_()
    assert found.layers["differing"].sum() > 0  # a wrong output makes the bench ask for layers


@pytest.mark.usefixtures("use")
def test_progress_is_a_function_of_events() -> None:
    seen: list[Event] = []
    words = {"board": "mps2", "dataset": "digits", "precision": "int8", "host_samples": 0}
    found = hil.bench("student", limit=4, progress=seen.append, **words)  # type: ignore[arg-type]
    (start,) = [one for one in seen if isinstance(one, Starting)]
    assert start == Starting("1 run x 4 samples of digits", found.folder)
    assert [one.done for one in seen if isinstance(one, Streaming)][-1] == 4
    assert isinstance(seen[-1], BenchStored)


@pytest.mark.usefixtures("use")
def test_nothing_is_printed_where_nobody_watches(capfd: pytest.CaptureFixture[str]) -> None:
    hil.bench("student", board="mps2", dataset="digits", limit=2, host_samples=0)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("use")
def test_an_unknown_argument_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"hil.bench\(\) has no argument 'limt'"):
        hil.bench("student", limt=3)  # type: ignore[call-arg]  # refused


def test_an_error_of_the_board_says_how_to_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(_: object, folder: Path, *__: object, **___: object) -> None:
        reports.interrupted(folder, 20)
        raise errors.NoAnswer("the board is silent", "check its cable")

    monkeypatch.setattr("hil.api.bench.run", dies)
    with pytest.raises(hil.errors.NoAnswer, match="the board is silent") as failed:
        hil.bench("student", board="mps2", dataset="digits", limit=4, out=tmp_path / "run")
    assert failed.value.hint.startswith("check its cable; all answers so far are stored")
    assert failed.value.hint.endswith(f"to resume: out='{tmp_path / 'run'}'")
    assert (tmp_path / "run" / "report.html").is_file()


def test_two_runs_are_compared(tmp_path: Path) -> None:
    base = hil.load(reports.full(tmp_path / "base", 40))
    found = hil.compare(base, reports.full(tmp_path / "new", 40))
    assert not found.regression
    assert found.problems == ()
    assert set(found.figures["word"]) == {"same"}
    assert "No regression" in repr(found)
    assert "<table" not in found._repr_html_()  # nothing differs
    with pytest.raises(errors.UsageError, match="the file does not exist"):
        hil.compare(base, base, limits=tmp_path / "limits.toml")


def test_what_differs_is_a_table(tmp_path: Path) -> None:
    base = reports.plan()
    wrong = reports.samples(base, 40, off_by_one=9)
    folder = reports.write(tmp_path / "new", reports.manifest(base, n=40), wrong)
    right = reports.samples(base, 40)
    found = hil.compare(
        reports.write(tmp_path / "base", reports.manifest(base, n=40), right), folder
    )
    changed = found.figures[found.figures["word"] != "same"]
    assert list(changed["word"]) == ["worse"]
    page = found._repr_html_()
    assert page.count("<tr>") == 1  # and a row of heads, which is styled
    assert ">worse<" in page


def test_boards_are_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    found = hil.boards()
    assert found.loc["native", "emulated"]
    assert found.loc["esp32dev", "state"] in {"absent", "tools missing"}
    assert found.loc["mps2", "clock"] == "instructions"


def test_packages_are_still_packages() -> None:
    for name in ("bench", "boards", "compare"):
        assert isinstance(getattr(hil, name), ModuleType)
    assert importlib.import_module("hil.bench").events is sys.modules["hil.bench.events"]
    assert inspect.signature(hil.bench) == inspect.signature(functions.bench)
    assert inspect.getdoc(hil.bench) == inspect.getdoc(functions.bench)
    assert set(hil.__all__) <= set(dir(hil))
    assert all(getattr(hil, name) is not None for name in hil.__all__)
    with pytest.raises(AttributeError, match="no attribute 'bensh'"):
        getattr(hil, "bensh")  # noqa: B009 - mypy knows that there is none


def test_all_errors_are_public() -> None:
    assert set(hil.errors.__all__) == {
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, errors.HilError)
    }
    for name in hil.errors.__all__:
        assert getattr(hil.errors, name) is getattr(errors, name)


def test_a_script_needs_no_guard_for_its_main_module(tmp_path: Path) -> None:
    """A worker process does not run the user's script a second time."""
    script = tmp_path / "script.py"
    script.write_text(
        "from hil.core.processes import receive, start\n"
        "print('script', flush=True)\n"
        "for _ in receive([start(print, 'worker')]):\n"
        "    pass\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["script", "worker"]


@pytest.mark.firmware
def test_a_script_benches_the_host_process(tmp_path: Path) -> None:
    """Two runs in two processes, in an empty folder, without an ``if __name__`` guard."""
    script = (
        "import hil\n"
        "run = hil.bench(board='native', dataset='digits', precision='int8', limit=5,"
        " host_samples=0, jobs=2)\n"
        "print(list(run.results['n']), run.problems)\n"
    )
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[5, 5] ()\n", "", 0)
