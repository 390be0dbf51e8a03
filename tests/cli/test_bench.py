# SPDX-License-Identifier: Apache-2.0
"""`hil bench` on a fake lab, and `hil report` and `hil verify` on the run that it stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil.bench import run
from hil.bench.lab import RealLab
from hil.runs.load import load_run
from hil.testing.lab import FakeLab, Tamper
from tests.support import reports
from tests.support.command_line import STUDENT, hil


def bench_with_fake_lab(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tamper: Tamper = bytes,
    *more: str,
    host_samples: int = 0,
) -> int:
    """20 digits on a board whose outputs ``tamper`` changes; returns the exit code."""
    lab = FakeLab(tamper=tamper)
    monkeypatch.setattr(
        "hil.api.bench.run",
        lambda plan, folder, emit, *_, **wanted: run(plan, folder, emit, lab, **wanted),
    )
    words = ("--board", "mps2", "--dataset", "digits", "--limit", "20", *more)
    words += ("--host-samples", str(host_samples))
    return hil(monkeypatch, "bench", *words, "--out", str(tmp_path / "run"))


def test_expected_outputs_are_exit_code_0_and_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench_with_fake_lab(monkeypatch, tmp_path) == 0
    shown = capsys.readouterr()
    assert "every output is as expected" in shown.out
    names = {file.name for file in (tmp_path / "run").iterdir()}
    assert {
        "manifest.json",
        "samples.jsonl",
        "digits.json",
        "summary.json",
        "report.md",
        "report.html",
    } <= names


def test_the_host_is_timed_on_the_samples_and_threads_requested(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("hil.bench.host.is_virtual", lambda: True)
    monkeypatch.setattr("hil.api.options.cores", lambda: 2)
    words = ("--model", "student", "--host-threads", "2")
    assert bench_with_fake_lab(monkeypatch, tmp_path, bytes, *words, host_samples=7) == 0
    host = load_run(tmp_path / "run").host
    assert host
    found = [(t.precision, t.kernels, t.threads, len(t.times)) for t in host.times]
    assert found == [
        (precision, kernels, threads, 7)
        for precision in ("float32", "int8")
        for kernels, threads in (("xnnpack", 2), ("reference", 1))
    ]
    said = capsys.readouterr().err
    assert said.count("note: the host's times may not repeat: ") == 1
    assert "it is a virtual machine" in said


def test_wrong_outputs_are_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench_with_fake_lab(monkeypatch, tmp_path, lambda output: output[::-1]) == 1
    shown = capsys.readouterr().out
    assert "not as expected: mps2/aot/teacher/int8" in shown
    assert "first differs at layer 4 (FULLY_CONNECTED logits), element 0" in shown


def test_the_report_shows_the_hosts_latency_in_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert hil(monkeypatch, "report", str(reports.on_board(tmp_path / "run", 40))) == 0
    lines = capsys.readouterr().out.splitlines()
    head = lines.index(next(line for line in lines if line.startswith("LiteRT on the host"))) + 1
    assert lines[head].split() == ["model", "kernels", "first", "median", "p5–p95", "device/host"]
    rows = lines[head + 1 : head + 9]
    assert [row.split()[2] for row in rows] == ["XNNPACK", "reference"] * 4
    assert all(row.rstrip().endswith("×") for row in rows)
    assert max(map(len, lines[head : head + 9])) <= 80


def test_verify_names_each_damaged_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench_with_fake_lab(monkeypatch, tmp_path) == 0
    folder = tmp_path / "run"
    capsys.readouterr()
    assert hil(monkeypatch, "verify", str(folder)) == 0
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    files = sum(path.is_file() and path.name != ".lock" for path in folder.rglob("*"))
    assert f": intact ({files} files, " in shown
    (folder / "\x1b[31mred\n.txt").write_text("a stranger's")
    samples = folder / "samples.jsonl"
    samples.write_bytes(samples.read_bytes().replace(b'"label":1', b'"label":2', 1))
    old = tmp_path / "old"
    old.mkdir()
    (old / "manifest.json").write_bytes(b'{"schema":1,"hil":"0.0.9","run_id":"old"}')
    assert hil(monkeypatch, "verify", str(folder), str(old)) == 1
    shown, said = capsys.readouterr()
    lines = shown.splitlines()
    assert len(lines) == 2
    assert "run/samples.jsonl: changed: SHA-256 " in lines[0]
    assert lines[1].endswith("/run/?[31mred?.txt: does not belong to this run")
    assert "written by hil 0.0.9 in schema 1, this hil reads schema 2" in said
    assert hil(monkeypatch, "verify", str(old)) == 2
    assert hil(monkeypatch, "report", str(folder)) == 1
    said = capsys.readouterr().err
    assert said.count("error:") == 2
    assert "samples.jsonl: changed" in said.splitlines()[-1]


def test_your_own_network_and_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "my.npz", x=rng.random((6, 28, 28, 1), dtype="f4"), y=np.arange(6))
    monkeypatch.setattr(
        "hil.api.bench.run",
        lambda plan, folder, emit, *_, **__: run(plan, folder, emit, FakeLab()),
    )
    words = ("--board", "mps2", "--model", str(STUDENT), "--data", str(tmp_path / "my.npz"))
    assert hil(monkeypatch, "bench", *words, "--out", str(tmp_path / "run")) == 0
    assert "student_int8" in capsys.readouterr().out


def test_a_missing_port_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(RealLab, "build", lambda _, image, project: FakeLab().build(image, project))
    port = str(tmp_path / "ttyUSB0")
    words = ("--board", "mps2", "--dataset", "digits", "--limit", "3", "--port", port)
    assert hil(monkeypatch, "bench", *words, "--out", str(tmp_path / "run")) == 2
    assert f"port {port} does not exist" in capsys.readouterr().err


def test_a_missing_compiler_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    words = ("--board", "mps2", "--dataset", "digits", "--limit", "3")
    assert hil(monkeypatch, "bench", *words, "--out", str(tmp_path / "run")) == 2
    assert "apt-get install gcc-arm-none-eabi" in capsys.readouterr().err
