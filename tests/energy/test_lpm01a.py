# SPDX-License-Identifier: Apache-2.0
"""hil/energy/lpm01a.py with a scripted instrument that answers as ST's does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.errors import DataError, LinkError, UsageError
from hil.energy import find_windows, measure
from hil.energy.lpm01a import RATE, Lpm01a, samples
from hil.energy.opened import open_instrument
from hil.energy.trace import Trace

PAUSE, WINDOW, WINDOWS = 50, 200, 6  # samples
IDLE, ACTIVE = 2e-3, 10e-3  # amperes


def text(amperes: float) -> str:
    return f"{round(amperes * 1e5):04d}-05"


def body(*, pulses: bool = False) -> Iterator[str]:
    """The lines of a recording, with the clock's line every second."""
    sent = 0
    for part in [*(("p", "w") * WINDOWS), "p"]:
        if pulses and sent:
            yield "event 01 ris"
        for _ in range(PAUSE if part == "p" else WINDOW):
            if sent % RATE == 0:
                yield f"TimeStamp: {sent // RATE:03d}s 000ms, buff 01%"
            yield text(IDLE if part == "p" else ACTIVE)
            sent += 1


@dataclass
class Scripted:
    """A port with an LPM01A behind it. ``refused``: a command that it does not take."""

    recording: list[str]
    refused: str = ""
    unplugged_after: int | None = None
    commands: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    sent: int = 0
    patience: float = 0.25
    asked: threading.Event = field(default_factory=threading.Event)  # a command was written
    read: threading.Event = field(default_factory=threading.Event)  # all that was waiting

    def write(self, data: bytes) -> None:
        command = data.decode().strip()
        self.commands.append(command)
        if command == self.refused:
            self.waiting.append(f"error {command}")
        elif command == "stop":
            self.waiting += ["Acquisition completed", "PowerShield > "]
        else:
            self.waiting.append(f"PowerShield > ack {command}")
            if command == "start":
                self.waiting += self.recording
        self.asked.set()

    def readline(self) -> bytes:
        if self.unplugged_after is not None and self.sent >= self.unplugged_after:
            self.read.set()
            raise OSError("device reports readiness to read but returned no data")
        if not self.waiting:
            self.read.set()
            self.asked.wait(self.patience)  # as a serial port waits for bytes
            self.asked.clear()
            return b""
        self.sent += 1
        return f"{self.waiting.pop(0)}\r\n".encode()

    def close(self) -> None:
        self.commands.append("closed")


def recorded(port: Scripted, *, pulses: bool = False) -> Trace:
    instrument = Lpm01a(port, "/dev/scripted", 1.8, pulses=pulses)
    instrument.start()
    if port.unplugged_after is None:
        assert port.read.wait(60)
    return instrument.stop()


def test_opening_and_closing_leave_the_power_of_the_board_alone() -> None:
    port = Scripted([])
    instrument = Lpm01a(port, "/dev/scripted", 3.3)
    instrument.greet()
    instrument.close()
    assert port.commands == ["htc", "closed"]


def test_the_voltage_is_set_before_the_power_is_switched_on() -> None:
    port = Scripted([])
    Lpm01a(port, "/dev/scripted", 3.3).supply(1.8)
    assert port.commands == ["volt 1800m", "pwr on nostatus"]
    with pytest.raises(UsageError, match="cannot supply 5 V"):
        Lpm01a(port, "/dev/scripted", 3.3).supply(5)


@pytest.mark.parametrize("pulses", [True, False])
def test_the_energy_of_known_windows_is_recovered(pulses: bool) -> None:
    trace = recorded(Scripted(list(body(pulses=pulses))), pulses=pulses)
    assert (trace.gate is not None) == pulses
    found = measure(trace, find_windows(trace))
    assert (found.n, trace.lost, trace.ended) == (WINDOWS, 0, "")
    joules = (ACTIVE - IDLE) * 1.8 * WINDOW / RATE
    assert found.above_idle.point == pytest.approx(joules, rel=0.02 if not pulses else 1e-6)


def test_the_recording_leaves_the_power_on() -> None:
    port = Scripted(list(body()))
    recorded(port)
    assert "pwrend on" in port.commands
    assert not any(command.startswith("pwr off") for command in port.commands)


def test_samples_lost_between_two_seconds_are_put_back_as_unknown() -> None:
    whole = [text(IDLE)] * RATE
    clock = [f"TimeStamp: {i:03d}s 000ms, buff 01%" for i in range(3)]
    trace = recorded(Scripted([clock[0], *whole, clock[1], *whole[:-30], clock[2], *whole]))
    assert (trace.n, trace.lost) == (3 * RATE, 30)


def test_an_unplugged_instrument_keeps_what_it_recorded() -> None:
    port = Scripted(list(body()), unplugged_after=500)
    trace = recorded(port)
    assert "returned no data" in trace.ended
    assert 400 < trace.n < 500


def test_one_that_sends_nothing_is_an_error() -> None:
    with pytest.raises(DataError, match="sent no samples"):
        recorded(Scripted([]))


@pytest.mark.parametrize("command", ["htc", "start"])
def test_a_command_that_is_refused_is_named(command: str) -> None:
    instrument = Lpm01a(Scripted([], refused=command), "/dev/scripted", 3.3)
    with pytest.raises(LinkError, match=f"answered 'error {command}'"):
        instrument.greet() if command == "htc" else instrument.start()


def test_a_port_without_an_instrument_is_an_error() -> None:
    class Silent(Scripted):
        def write(self, data: bytes) -> None:
            pass

    with pytest.raises(LinkError, match="did not answer to 'htc'"):
        Lpm01a(Silent([], patience=0), "/dev/scripted", 3.3).greet()


@pytest.mark.parametrize(
    ("place", "volts", "said"),
    [("", 3.3, "needs its port"), ("/dev/ttyNONE", None, "is not known")],
)
def test_what_is_missing_is_said(place: str, volts: float | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_instrument(f"lpm01a:{place}", volts=volts)


def test_samples_are_read_as_st_writes_them() -> None:
    assert samples("6409-07") == pytest.approx([640.9e-6])
    assert samples("6409-07 0001+00") == pytest.approx([640.9e-6, 1.0])
    damaged = samples("09-076409-07")
    assert damaged[0] == pytest.approx(640.9e-6) or np.isnan(damaged[0])
    assert np.isnan(damaged).sum() == 1
    assert samples("ack start") == []


@given(st.text())
def test_any_line_is_read_without_an_error(line: str) -> None:
    assert all(np.isnan(one) or one >= 0 for one in samples(line))
