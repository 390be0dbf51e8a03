# SPDX-License-Identifier: Apache-2.0
"""`hil energy` on recordings of the simulated instrument."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hil.energy import Board, Simulated, Trace
from hil.runs.load import StoredRun, load_run
from tests.support.command_line import hil

BOARD = Board(10, active=0.132, idle=0.0165, seconds=0.01, pause=0.01)
TIMED = Path("results/example-latency")  # runs with times of a board's clock


@pytest.fixture
def timed(tmp_path: Path) -> Path:
    """A copy of `TIMED`: results are stored in it."""
    return Path(shutil.copytree(TIMED, tmp_path / "timed"))


def saved(path: Path, trace: Trace) -> Path:
    lines = ["Time(s),Current(A),Voltage(V),D0"]
    gate = np.zeros(trace.n) if trace.gate is None else trace.gate
    lines += [
        f"{i / trace.rate:.6f},{current:.9f},{volts:.3f},{int(high)}"
        for i, (current, volts, high) in enumerate(
            zip(trace.current, trace.voltage, gate, strict=True)
        )
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def seconds_of(stored: StoredRun) -> list[float]:
    """What the board measured, in order."""
    answers = (one for plan in stored.manifest.runs for one in stored.samples[plan.key])
    return [one.time / 1e6 for one in answers if one.time is not None]


def of_run(times: list[float], warm_up: int = 3) -> Trace:
    """A recording of inferences that took these seconds, behind a few others."""
    every = [times[0]] * warm_up + times
    rate = 100_000.0
    pieces = [np.zeros(40, np.bool_)]
    for seconds in every:
        pieces += [np.ones(round(seconds * rate), np.bool_), np.zeros(40, np.bool_)]
    high = np.concatenate(pieces)
    current = np.where(high, 0.04, 0.005)
    return Trace("made", rate, current, np.full(len(high), 3.3), high)


def test_a_recording_alone_gives_the_energy_of_its_windows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = saved(tmp_path / "a.csv", Simulated(BOARD).stop())
    assert hil(monkeypatch, "energy", path, "--battery", "1000", "--every", "60") == 0
    shown = capsys.readouterr().out
    assert "windows by the gate" in shown
    # 10 ms at 132 mW
    assert "1.32 mJ" in shown
    assert "1.155 mJ" in shown
    assert "16.5 mW" in shown
    # 1,000 mAh at 3.3 V, over 16.5 mW and 1.155 mJ a minute
    assert f"{3.3 * 3600 / (0.0165 + 0.001155 / 60) / 86_400:,.1f} days" in shown


def test_json_has_what_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = saved(tmp_path / "a.csv", Simulated(BOARD).stop())
    assert hil(monkeypatch, "energy", path, "--json", "--inferences", "10") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["by"] == "gate"
    assert found["parts"][0]["joules"]["point"] == pytest.approx(0.000132, rel=1e-3)


def test_each_run_of_a_folder_is_found_by_its_times(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    timed: Path,
) -> None:
    stored = load_run(timed)
    times = seconds_of(stored)
    path = saved(tmp_path / "a.csv", of_run(times))
    assert hil(monkeypatch, "energy", timed, path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [part["run"] for part in found["parts"]] == [plan.key for plan in stored.manifest.runs]
    for part, plan in zip(found["parts"], stored.manifest.runs, strict=True):
        mean = np.mean([one.time for one in stored.samples[plan.key] if one.time]) / 1e6
        assert part["seconds"]["point"] == pytest.approx(mean, rel=2e-3)
        assert part["joules"]["point"] == pytest.approx(mean * 0.132, rel=2e-3)
        assert part["gate_over_device"] == pytest.approx(1, abs=2e-3)


def test_what_is_measured_is_stored_and_shown_in_the_report(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    timed: Path,
) -> None:
    assert hil(monkeypatch, "energy", timed) == 2
    assert "has no energy" in capsys.readouterr().err
    path = saved(tmp_path / "a.csv", of_run(seconds_of(load_run(timed))))
    words = ("--idle-mode", "asleep", "--json")
    assert hil(monkeypatch, "energy", timed, path, *words) == 0
    measured = json.loads(capsys.readouterr().out)
    assert hil(monkeypatch, "energy", timed, "--json", "--battery", "1000", "--every", "1") == 0
    stored = json.loads(capsys.readouterr().out)
    for one, other in zip(measured["parts"], stored["parts"], strict=True):
        assert other.pop("battery_days") > 0
        assert one.pop("battery_days") is None
        assert one == other
    assert hil(monkeypatch, "verify", timed) == 0
    rows = json.loads((timed / "summary.json").read_text())["runs"]
    assert [row["energy"]["idle_mode"] for row in rows] == ["asleep"] * len(rows)
    assert rows[0]["energy"]["joules"] == pytest.approx(measured["parts"][0]["joules"]["point"])
    page = (timed / "report.html").read_text()
    assert "Battery life in days" in page
    assert "the board is asleep" in page


def test_a_damaged_folder_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    timed: Path,
) -> None:
    path = saved(tmp_path / "a.csv", of_run(seconds_of(load_run(timed))))
    samples = timed / "samples.jsonl"
    samples.write_text(samples.read_text().replace('"i":1,', '"i":1, ', 1))
    assert hil(monkeypatch, "energy", timed, path) != 0
    assert "samples.jsonl" in capsys.readouterr().err
    assert not (timed / "energy.json").exists()


def test_a_clock_that_disagrees_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    timed: Path,
) -> None:
    times = seconds_of(load_run(timed))
    times[5] *= 1.1
    path = saved(tmp_path / "a.csv", of_run(times))
    assert hil(monkeypatch, "energy", timed, path) == 1
    assert (
        "windows that do not count: 1 (the gate was high for another time"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--battery", "1000"), "--battery and --every belong together"),
        (("--battery", "-1", "--every", "1"), "must be more than 0"),
        (("--battery", "1", "--every", "0.001"), "longer than --every"),
        (("--inferences", "0"), "--inferences counts from 1"),
    ],
)
def test_wrong_options_are_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: tuple[str, ...],
    what: str,
) -> None:
    path = saved(tmp_path / "a.csv", Simulated(BOARD).stop())
    assert hil(monkeypatch, "energy", path, *words) == 2
    assert what in capsys.readouterr().err


def test_a_run_without_a_clock_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = saved(tmp_path / "a.csv", Simulated(BOARD).stop())
    assert hil(monkeypatch, "energy", "results/example", path) == 2
    assert "no run with times of a board's own clock" in capsys.readouterr().err
