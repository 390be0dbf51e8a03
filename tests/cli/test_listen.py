# SPDX-License-Identifier: Apache-2.0
"""`hil listen` and `hil bench --protocol text`, as a user runs them: on saved logs and on a pty."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from hil.runs.load import load_run, read_manifest
from hil.runs.schema import Sample
from tests.support.command_line import STUDENT, hil
from tests.support.ptys import served_pty

LABEL = r"class (?P<label>\d+)"
LOG = b"boot\r\nclass 1\r\nclass 3\r\nclass 1 and more\r\nclass 1\r\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "board.log"
    file.write_bytes(LOG)
    return file


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    file = tmp_path / "my.npz"
    np.savez(file, x=np.arange(12, dtype="u1").reshape(3, 4), y=np.array([1, 3, 1]))
    return file


def samples(folder: Path) -> tuple[Sample, ...]:
    (found,) = load_run(folder).samples.values()
    return found


def chosen(folder: Path) -> list[int]:
    return [int(np.frombuffer(one.device, "<i4")[0]) for one in samples(folder)]


def test_a_saved_log_becomes_a_run_and_a_report(
    tmp_path: Path,
    log: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    more = ("--name", "my sketch 2", "--out", out, "--no-open")
    assert hil(monkeypatch, "listen", "--port", log, "--pattern", LABEL, *more) == 0
    said = capsys.readouterr()
    assert "did not count: 1 lines that a pattern matched only in part" in said.out
    assert "such as: class 1 and more" in said.out
    assert chosen(out) == [1, 3, 1]
    assert "my sketch 2" in (out / "report.md").read_text()


def test_standard_input_is_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LOG)))
    out = tmp_path / "run"
    more = ("--count", "2", "--out", out, "--no-open")
    assert hil(monkeypatch, "listen", "--port", "-", "--pattern", LABEL, *more) == 0
    assert chosen(out) == [1, 3]


def test_a_run_that_is_complete_is_not_written_again(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("listen", "--port", log, "--pattern", LABEL, "--out", tmp_path / "run", "--no-open")
    assert hil(monkeypatch, *words) == 0
    assert hil(monkeypatch, *words) == 2
    assert "already contains a complete run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no --pattern is given; give an expression, or one of tutorial"),
        (("--pattern", "("), "unterminated subpattern at position 0"),
        (("--pattern", LABEL, "--dataset", "digits"), "it is not known which samples"),
        (("--pattern", LABEL, "--sample", "1"), "--sample needs a data set"),
        (("--pattern", LABEL, "--classes", "a,,b"), "--classes has an empty name"),
        (("--pattern", LABEL, "--classes", "a,b", "--outputs", "3"), "--outputs 3 does not fit"),
        (("--pattern", LABEL, "--model", STUDENT, "--outputs", "3"), "has 10 outputs"),
        (("--pattern", "(?P<label>x)"), "no answer on"),
        (("--pattern", LABEL, "--port", "/dev/no-such-port"), "does not exist"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path,
    log: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str | Path, ...],
    said: str,
) -> None:
    out = tmp_path / "run"
    assert hil(monkeypatch, "listen", "--port", log, "--out", out, "--no-open", *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("error:") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pattern", LABEL), "--protocol text needs a port"),
        (("--pattern", LABEL, "--port", "x", "--send", "xml"), "--send xml is unknown"),
        (("--pattern", LABEL, "--port", "x", "--send-type", "int4"), "--send-type int4 is unknown"),
        (("--pattern", LABEL, "--port", "x", "--repeat", "3"), "--repeat 3; 1, or 2 to send"),
        (("--port", "x"), "no --pattern is given"),
        (("--pattern", LABEL, "--port", "x", "--chaos", "7"), "--chaos and --protocol text contra"),
        (("--pattern", LABEL, "--port", "x", "--engine", "user"), "--engine and --protocol text"),
        (("--protocol", "smoke"), "--protocol smoke is unknown; choose from frames, text"),
        (("--protocol", "frames", "--pattern", LABEL), "--pattern needs --protocol text"),
        (("--protocol", "frames", "--send", "json"), "--send needs --protocol text"),
        (("--protocol", "frames", "--repeat", "2"), "--repeat needs --protocol text"),
    ],
)
def test_mistakes_of_a_bench_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert hil(monkeypatch, "bench", "--protocol", "text", *words) == 2
    assert said in capsys.readouterr().err


def test_a_bench_on_a_pty(
    tmp_path: Path, npz: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sketch names the class 1 for the sample that begins with 4, and else 3 or nothing."""
    answers = {b"0,1,2,3;": b"class 1\n", b"4,5,6,7;": b"class 3\n", b"8,9,10,11;": b"class 3\n"}
    received = bytearray()

    def answer(data: bytes) -> bytes:
        received.extend(data)
        whole, end, rest = bytes(received).partition(b";")
        if not end:
            return b""
        received[:] = rest
        return answers[whole + end]

    out = tmp_path / "run"
    words = ("--pattern", LABEL, "--data", npz, "--end", ";", "--out", out, "--no-open")
    with served_pty(answer) as pty:
        code = hil(monkeypatch, "bench", "--protocol", "text", "--port", pty.name, *words)
    assert code == 0, capsys.readouterr().err
    assert chosen(out) == [1, 3, 3]
    manifest = read_manifest(out)
    assert (manifest.dataset.n, manifest.runs[0].emulated) == (3, True)  # a pty has no clock


def test_a_port_that_vanishes_tells_how_to_resume(
    tmp_path: Path,
    npz: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    left = [3]  # requests until the cable is pulled: the first answer is not stored

    def answer(data: bytes) -> bytes | None:
        if not data.endswith(b"\n"):
            return b""
        left[0] -= 1
        return None if left[0] < 0 else b"class 1\n"

    out = tmp_path / "run"
    words = ("--pattern", LABEL, "--data", npz, "--out", out, "--no-open")
    with served_pty(answer) as pty:
        code = hil(monkeypatch, "bench", "--protocol", "text", "--port", pty.name, *words)
    said = capsys.readouterr().err
    assert code == 2
    assert f"port {pty.name} vanished" in said
    assert f"to resume: hil bench --protocol text --port {pty.name}" in said
    assert (read_manifest(out).state, chosen(out)) == ("failed", [1, 1])
    with served_pty(lambda data: b"class 1\n" if data.endswith(b"\n") else b"") as pty:
        code = hil(monkeypatch, "bench", "--protocol", "text", "--port", pty.name, *words)
    assert (code, read_manifest(out).state, chosen(out)) == (0, "complete", [1, 1, 1])
