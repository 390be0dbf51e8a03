# SPDX-License-Identifier: Apache-2.0
"""Recordings in each format, and damaged ones."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyjls import DataType, Writer

from hil.core.errors import DataError, UsageError
from hil.energy import Board, Simulated, Trace
from hil.energy.files import Given, read_trace

VOLTS = Given(volts=3.3)
BOARD = Board(4, active=0.132, idle=0.0165, seconds=0.001, pause=0.001)


@pytest.fixture
def trace() -> Trace:
    return Simulated(BOARD, noise=1e-4).stop()


def gate_of(trace: Trace) -> np.ndarray:
    assert trace.gate is not None
    return trace.gate


def write_ppk2_csv(path: Path, trace: Trace) -> Path:
    """As nRF Connect Power Profiler exports it: D0 is the first of eight digits."""
    lines = ["Timestamp(ms),Current(uA),D0-D7"]
    lines += [
        f"{1e3 * i / trace.rate:.3f},{1e6 * current:.3f},{int(high)}0000000"
        for i, (current, high) in enumerate(zip(trace.current, gate_of(trace), strict=True))
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_ppk2(path: Path, trace: Trace, rate: object = None) -> Path:
    """As nRF Connect Power Profiler 4 saves it."""
    frames = np.zeros(trace.n, [("microamperes", "<f4"), ("bits", "<u2")])
    frames["microamperes"] = trace.current * 1e6
    frames["bits"] = np.where(gate_of(trace), 0x5556, 0x5555)
    facts = {"metadata": {"samplesPerSecond": rate or trace.rate}, "formatVersion": 2}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps(facts))
        archive.writestr("session.raw", frames.tobytes())
    return path


def write_jls(path: Path, trace: Trace) -> Path:
    """By Joulescope's own library: a voltage at half of the current's rate."""
    with Writer(str(path)) as writer:
        writer.source_def(1, name="JS220", vendor="Jetperch", model="JS220", serial_number="1")
        rate = int(trace.rate)
        writer.signal_def(1, source_id=1, sample_rate=rate, name="current", units="A")
        writer.signal_def(2, source_id=1, sample_rate=rate // 2, name="voltage", units="V")
        writer.signal_def(
            3, source_id=1, sample_rate=rate, name="gpi[0]", data_type=DataType.U1, units=""
        )
        writer.fsr(1, 0, trace.current.astype(np.float32))
        writer.fsr(2, 0, trace.voltage[::2].astype(np.float32))
        writer.fsr(3, 0, np.packbits(gate_of(trace), bitorder="little"))
    return path


def test_the_csv_of_nordics_program_is_read(tmp_path: Path, trace: Trace) -> None:
    read = read_trace(write_ppk2_csv(tmp_path / "a.csv", trace), VOLTS)
    assert read.rate == pytest.approx(100_000, rel=1e-6)
    np.testing.assert_allclose(read.current, trace.current, atol=1e-9)
    np.testing.assert_array_equal(gate_of(read), gate_of(trace))


def test_the_file_of_nordics_program_is_read(tmp_path: Path, trace: Trace) -> None:
    read = read_trace(write_ppk2(tmp_path / "a.ppk2", trace), VOLTS)
    assert read.rate == 100_000
    np.testing.assert_allclose(read.current, trace.current, rtol=1e-6)
    np.testing.assert_array_equal(gate_of(read), gate_of(trace))


def test_the_file_of_a_joulescope_is_read(tmp_path: Path, trace: Trace) -> None:
    read = read_trace(write_jls(tmp_path / "a.jls", trace))
    assert read.rate == 100_000
    np.testing.assert_allclose(read.current, trace.current, rtol=1e-6)
    np.testing.assert_allclose(read.voltage, 3.3, rtol=1e-6)
    np.testing.assert_array_equal(gate_of(read), gate_of(trace)[: read.n])


def test_the_table_of_an_otii_is_read(tmp_path: Path) -> None:
    path = tmp_path / "otii.csv"
    head = "Relative time (s),Main current - Arc (A),Main voltage - Arc (V),GPI 1 - Arc\n"
    path.write_text(head + "".join(f"{i / 4000},0.01,3.7,{i % 2}\n" for i in range(40)))
    read = read_trace(path)
    assert read.rate == pytest.approx(4000)
    assert gate_of(read).sum() == 20
    assert read.voltage[0] == 3.7


def test_missing_lines_are_lost_samples(tmp_path: Path, trace: Trace) -> None:
    path = write_ppk2_csv(tmp_path / "a.csv", trace)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:100] + lines[120:]))
    read = read_trace(path, VOLTS)
    assert read.n == trace.n
    assert read.lost == 20


@pytest.mark.parametrize(
    ("text", "error", "what"),
    [
        ("", DataError, "not a table"),
        ("a,b\n1,2\n", DataError, "no column of current"),
        ("Current,Time(s)\n1,2\n", DataError, "has no unit"),
        ("Current(uA)\n1\n2\n", UsageError, "no column of time"),
        ("Time(s),Current(A)\n0,x\n1,2\n", DataError, "has text"),
        ("Time(s),Current(A)\n1,1\n1,1\n", DataError, "does not increase"),
        ("Time(s),Current(A)\n0,1\n1,1\n2,1\n900,1\n", DataError, "are missing"),
        ("Time(s),Current(A)\n0,1\n", DataError, "does not increase"),
    ],
)
def test_a_wrong_table_is_refused(
    tmp_path: Path, text: str, error: type[Exception], what: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(error, match=what):
        read_trace(path, VOLTS)


def test_what_is_missing_must_be_given(tmp_path: Path, trace: Trace) -> None:
    path = write_ppk2_csv(tmp_path / "a.csv", trace)
    with pytest.raises(UsageError, match="has no voltage"):
        read_trace(path)
    with pytest.raises(UsageError, match="no digital channel D9"):
        read_trace(path, Given(volts=3.3, gate="D9"))
    with pytest.raises(UsageError, match="--rate 50"):
        read_trace(path, Given(volts=3.3, rate=50))
    with pytest.raises(UsageError, match=r"hil reads \.csv"):
        read_trace(tmp_path / "a.txt")
    with pytest.raises(DataError, match="No such file"):
        read_trace(tmp_path / "b.csv")


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_damaged_file_is_an_error_or_a_recording(
    tmp_path: Path, trace: Trace, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(["ppk2", "csv", "jls"]))
    write = {"ppk2": write_ppk2, "csv": write_ppk2_csv, "jls": write_jls}[kind]
    path = tmp_path / f"fuzzed.{kind}"
    path.unlink(missing_ok=True)
    whole = bytearray(write(path, trace).read_bytes())
    cut = data.draw(st.integers(0, len(whole)))
    for _ in range(data.draw(st.integers(0, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[:cut])
    try:
        read = read_trace(path, VOLTS)
    except (DataError, UsageError):
        return
    assert read.n > 0


@pytest.mark.parametrize("rate", [0, -1, "fast", 1e12])
def test_a_wrong_rate_in_a_file_is_refused(tmp_path: Path, trace: Trace, rate: object) -> None:
    path = write_ppk2(tmp_path / "a.ppk2", trace, rate=rate or "0")
    with pytest.raises(DataError, match="sample rate"):
        read_trace(path, VOLTS)
