# SPDX-License-Identifier: Apache-2.0
"""`hil compare` and `hil history`, on a terminal and in a GitHub job."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from hil.compare import Comparison
from tests.support import reports
from tests.support.command_line import hil
from tests.support.compared import run, with_memory


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return reports.full(tmp_path / "base")


@pytest.fixture
def worse(tmp_path: Path) -> Path:
    """One run of the four, with a stack beyond its limit."""
    stored = with_memory(run(), stack=2_000)
    samples = [s for part in stored.samples.values() for s in part]
    return reports.write(tmp_path / "worse", stored.manifest, samples)


def test_equal_runs_are_exit_code_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], base: Path
) -> None:
    assert hil(monkeypatch, "compare", base, base) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("# 20260102-030405-mps2 compared with")
    assert shown.err == ""


def test_a_regression_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    base: Path,
    worse: Path,
    tmp_path: Path,
) -> None:
    assert hil(monkeypatch, "compare", base, worse) == 1
    assert hil(monkeypatch, "compare", base, worse, "--allow-missing") == 1
    limits = tmp_path / "limits.toml"
    limits.write_text("[compare]\nstack = inf\noutputs = inf\n")
    words = ("compare", base, worse, "--allow-missing", "--limits", limits)
    assert hil(monkeypatch, *words) == 0
    assert hil(monkeypatch, *words[:3], "--limits", limits) == 1
    capsys.readouterr()


def test_formats_go_to_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], base: Path, worse: Path
) -> None:
    assert hil(monkeypatch, "compare", base, worse, "--format", "json") == 1
    assert msgspec.json.decode(capsys.readouterr().out, type=Comparison).regression
    assert hil(monkeypatch, "compare", base, worse, "--format", "junit") == 1
    assert ET.fromstring(capsys.readouterr().out).tag == "testsuites"


def test_github_gets_a_summary(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    base: Path,
    worse: Path,
    tmp_path: Path,
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert hil(monkeypatch, "compare", base, worse, "--format", "github") == 1
    assert capsys.readouterr().out.startswith("::error title=hil compare::mps2/aot/")
    assert summary.read_text().startswith("before\n# ")
    assert "| Figure | BASE | NEW |" in summary.read_text()
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert hil(monkeypatch, "compare", base, base, "--format", "github") == 0
    assert "GITHUB_STEP_SUMMARY is not set" in capsys.readouterr().err


def test_a_terminal_gets_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], base: Path, worse: Path
) -> None:
    from rich.console import Console

    monkeypatch.setattr("hil.cli.compare.out", Console(force_terminal=True, width=100))
    assert hil(monkeypatch, "compare", base, worse) == 1
    shown = capsys.readouterr().out
    assert "beyond 10 %" in shown
    assert "mps2/aot/teacher/int8: missing from NEW" in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--format", "yaml"), "--format yaml is unknown; choose from md, json, junit, github"),
        (("--allow", "weather"), "--allow weather: unknown field; choose from dataset"),
        (("--limits", "none.toml"), "--limits none.toml: the file does not exist; check the path"),
    ],
)
def test_a_user_error_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    base: Path,
    words: tuple[str, ...],
    says: str,
) -> None:
    assert hil(monkeypatch, "compare", base, base, *words) == 2
    shown = capsys.readouterr().err
    assert says in shown
    assert shown.count("\n") == 1


def test_runs_that_cannot_be_compared_are_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    base: Path,
    tmp_path: Path,
) -> None:
    other = reports.full(tmp_path / "other", n=100)
    assert hil(monkeypatch, "compare", base, other) == 2
    shown = capsys.readouterr().err
    assert "cannot be compared: samples 200 and 100" in shown
    assert shown.count("\n") == 1
    assert hil(monkeypatch, "compare", base, other, "--allow", "samples") == 1
    assert hil(monkeypatch, "compare", base, tmp_path / "none") == 2


def test_history_writes_html_or_markdown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], base: Path
) -> None:
    assert hil(monkeypatch, "history", base.parent) == 0
    assert "mps2/aot/student/int8: 1 run" in capsys.readouterr().out
    assert (base.parent / "history.html").read_text().startswith("<!DOCTYPE html>")
    table = base.parent / "out" / "table.md"
    assert hil(monkeypatch, "history", base.parent, "--out", table) == 0
    assert table.read_text().startswith("# Runs of ")
    assert hil(monkeypatch, "history", base.parent, "--out", "x.pdf") == 2
    assert "x.pdf is not a .html or .md file" in capsys.readouterr().err
