# SPDX-License-Identifier: Apache-2.0
"""`--json` and `--quiet`: what is on stdout and stderr, and the exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hil import datasets
from hil.api import records
from hil.api.records_mlperf import MlperfDataOutput
from hil.bench import run
from hil.cli.console import err, out
from hil.cli.main import COMMANDS, load_command
from hil.cli.output import RECORDS
from hil.compare.records import Comparison
from hil.report import write
from hil.testing.lab import FakeLab, Tamper
from tests.support import reports
from tests.support.command_line import PROJECT, STUDENT, hil

EXAMPLE = PROJECT / "results" / "example"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; returns its exit code, stdout and stderr, those of its processes included."""

    def ran(*words: str | Path, folder: Path = PROJECT) -> tuple[int, str, str]:
        capfd.readouterr()
        code = hil(monkeypatch, *words, folder=folder)
        return code, *capfd.readouterr()

    return ran


def record(stdout: str, kind: Any) -> Any:
    """The one record on stdout; every field is in its documented type, and no other is there."""
    found = msgspec.json.decode(stdout, type=kind, strict=True)
    assert json.loads(msgspec.json.encode(found)) == json.loads(stdout)
    assert stdout.endswith("}\n")
    return found


def bench_words(folder: Path) -> list[str | Path]:
    words: list[str | Path] = ["bench", "--board", "mps2", "--dataset", "digits", "--limit", "8"]
    return [*words, "--model", "student", "--host-samples", "0", "--out", folder]


def use(monkeypatch: pytest.MonkeyPatch, tamper: Tamper = bytes) -> None:
    monkeypatch.setattr(
        "hil.api.bench.run",
        lambda plan, folder, emit, *_, **kinds: run(plan, folder, emit, FakeLab(tamper), **kinds),
    )


def test_a_bench_prints_its_summary(
    command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch)
    code, stdout, stderr = command(*bench_words(tmp_path / "run"), "--json")
    found = record(stdout, records.ReportOutput)
    assert code == 0
    assert found.as_expected
    assert found.summary == write(tmp_path / "run").summary
    assert found.folder == str(tmp_path / "run")
    assert Path(found.report).is_file()
    assert "2 runs x 8 samples of digits" in stderr


def test_a_wrong_output_is_a_record_and_exit_code_1(
    command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, lambda output: output[::-1])
    code, stdout, stderr = command(*bench_words(tmp_path / "run"), "--json", "--quiet")
    found = record(stdout, records.ReportOutput)
    assert (code, stderr) == (1, "")
    assert not found.as_expected
    assert any("mps2/aot/student/int8" in line for line in found.problems)


def test_what_explains_wrong_answers_is_said_and_recorded(
    command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch)
    some = datasets.subset(datasets.load("digits", "test"), 120)
    np.savez(tmp_path / "inverted.npz", x=255 - some.x, y=some.y)
    model = PROJECT / "models" / "digits" / "student_int8.tflite"
    words = ["bench", "--board", "mps2", "--model", model, "--data", tmp_path / "inverted.npz"]
    folder = tmp_path / "run"
    code, stdout, _ = command(*words, "--host-samples", "0", "--out", folder, "--json")
    found = record(stdout, records.ReportOutput)
    assert code == 0  # the board computes what the host does
    assert [one.code for one in found.checks] == ["input-inverted"]
    _, stdout, _ = command("report", folder)
    assert "check: student_int8 int8: " in stdout
    assert "(docs/checks.md#input-inverted)" in stdout
    assert "every output equals the host's, but see the checks" in stdout
    assert "every output is as expected" not in stdout
    assert "**Exact, but see the checks.**" in (folder / "report.md").read_text()


def test_quiet_leaves_the_result_alone(
    command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch)
    code, stdout, stderr = command(*bench_words(tmp_path / "run"), "--quiet")
    assert (code, stderr) == (0, "")
    assert "every output is as expected" in stdout
    code, stdout, stderr = command(*bench_words(tmp_path / "other"), "--limit", "0", "--quiet")
    assert (code, stdout) == (2, "")
    assert "error: --limit must be at least 1" in stderr


def test_an_error_is_a_record(command: Run, tmp_path: Path) -> None:
    for words in (["report", tmp_path], ["bench", "--engine", "nothing", "--json"]):
        code, stdout, stderr = command(*words, *([] if "--json" in words else ["--json"]))
        found = record(stdout, records.ErrorOutput)
        assert code == found.error.exit_code == 2
        assert found.error.what
        assert found.error.hint
        assert stderr == ""


def test_errors_before_the_options_are_known_are_records(command: Run, tmp_path: Path) -> None:
    code, stdout, stderr = command("bench", "--json", "--bord", "mps2")
    assert (code, record(stdout, records.ErrorOutput).error.exit_code) == (2, 2)
    assert "--bord" in stderr
    (tmp_path / "hil.toml").write_text("[bench")
    code, stdout, _ = command("bench", "--json", folder=tmp_path)
    assert (code, record(stdout, records.ErrorOutput).error.type) == (2, "ConfigError")
    code, stdout, stderr = command("bench", folder=tmp_path)
    assert (code, stdout) == (2, "")
    assert "hil.toml" in stderr
    assert "Usage" in command("bench", "--help", "--json")[1]


def test_a_damaged_run_and_a_missing_one(command: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(EXAMPLE, folder)
    with (folder / "report.md").open("a") as file:
        file.write("x")
    code, stdout, stderr = command("verify", folder, tmp_path / "none", EXAMPLE, "--json")
    damaged, missing, intact = record(stdout, records.VerifyOutput).runs
    assert (code, stderr) == (1, "")
    assert [line.partition(":")[0] for line in damaged.faults] == ["report.md"]
    assert missing.error.type == "UsageError"
    assert intact.intact
    assert not damaged.intact
    assert not missing.intact


def test_stored_runs(command: Run, tmp_path: Path) -> None:
    folder = reports.full(tmp_path / "runs" / "one", 20)
    code, stdout, _ = command("report", folder, "--json")
    assert code == 0
    assert record(stdout, records.ReportOutput).state == "complete"
    code, stdout, _ = command("compare", folder, folder, "--json")
    assert code == 0
    assert record(stdout, Comparison).regression is False
    assert command("compare", folder, folder, "--format", "json")[1].strip() != ""
    code, stdout, _ = command("compare", folder, folder, "--json", "--format", "md")
    assert (code, record(stdout, records.ErrorOutput).error.type) == (2, "UsageError")
    code, stdout, _ = command("history", tmp_path / "runs", "--json", "--quiet")
    history = record(stdout, records.HistoryOutput)
    assert code == 0
    assert len(history.trends) == 4
    assert Path(history.page).is_file()


def test_boards_and_tools(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    code, stdout, stderr = command("boards", "--json")
    found = {one.name: one for one in record(stdout, records.BoardsOutput).boards}
    assert (code, stderr) == (0, "")
    assert found["mps2"].emulated
    assert found["esp32dev"].clock == "us"
    code, stdout, _ = command("doctor", "--board", "native", "--json")
    checks = record(stdout, records.DoctorOutput)
    assert checks.ok == (code == 0)
    assert "Python" in [one.name for one in checks.checks]


def test_lines_that_did_not_count_are_in_the_record(command: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("class 1\nclass 3\nclass 1 and more\nclass 1\n")
    words = ("--port", log, "--pattern", "class (?P<label>[0-9]+)", "--out", tmp_path / "run")
    code, stdout, _ = command("listen", *words, "--json", "--no-open")
    found = record(stdout, records.ReportOutput)
    assert code == 0
    assert found.summary.runs[0].n == 3
    assert [one.times for one in found.not_counted] == [1]


def test_headers(command: Run, tmp_path: Path) -> None:
    for words in (["export", STUDENT], ["headers", f"student_int8={STUDENT}"]):
        code, stdout, _ = command(*words, "--out", tmp_path / "made", "--json")
        (model,) = record(stdout, records.ExportOutput).models
        assert (code, model.name) == (0, "student_int8")
        assert Path(model.header).is_file()
        assert model.arena > 0


def test_data_for_mlcommons(command: Run, tmp_path: Path) -> None:
    words = ("mlperf-data", "--dataset", "digits", "--limit", "10", "--out", tmp_path / "data")
    code, stdout, _ = command(*words, "--json")
    found = record(stdout, MlperfDataOutput)
    assert (code, found.samples) == (0, 10)
    assert all(Path(one).exists() for one in found.tests)


@pytest.mark.firmware
def test_a_bench_that_builds_and_an_emulator_that_stays(tmp_path: Path) -> None:
    """In processes of their own: an emulator outlives the one that started it."""

    def ran(*words: str) -> str:
        line = [sys.executable, "-m", "hil", *words, "--json", "--quiet"]
        done = subprocess.run(line, cwd=PROJECT, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout

    try:
        words = ("flash", "--board", "native", "--dataset", "digits", "--model", "student")
        found = record(ran(*words), records.FlashOutput)
        assert found.board == "native"
        assert {one.engine for one in found.models} == {"aot"}
        boards = {one.name: one for one in record(ran("boards"), records.BoardsOutput).boards}
        assert (boards["native"].state, boards["native"].ports) == ("running", (found.port,))
        more = ("--board", "native", "--dataset", "digits", "--model", "student", "--limit", "3")
        line = ran("bench", *more, "--host-samples", "0", "--out", str(tmp_path / "run"))
        assert [row.n for row in record(line, records.ReportOutput).summary.runs] == [3, 3]
    finally:
        stopped = record(ran("emulate", "native", "--stop"), records.EmulateOutput).stopped
    assert stopped is True


def test_the_options_do_not_outlive_their_command(command: Run) -> None:
    assert command("verify", EXAMPLE, "--json", "--quiet")[0] == 0
    assert "intact" in command("verify", EXAMPLE)[1]
    assert not out.quiet
    assert not err.quiet


@pytest.mark.parametrize("name", RECORDS)
def test_every_such_command_has_both_options_once(name: str) -> None:
    found = [word for one in load_command(name, COMMANDS[name]).params for word in one.opts]
    assert found.count("--json") == found.count("--quiet") == 1
