# SPDX-License-Identifier: Apache-2.0
"""ST X-NUCLEO-LPM01A, which speaks lines of text over USB, as MLPerf Tiny's runner uses it.

The commands and answers are those of ST's user manual UM2269 and of `power_manager_lpm.py` in
https://github.com/mlcommons/tiny. The instrument always powers the board.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from hil.core.errors import DataError, LinkError, UsageError
from hil.energy.instrument import Capabilities
from hil.energy.trace import Trace

if TYPE_CHECKING:
    from hil.energy.opened import Asked

RATE: Final = 5000  # samples per second: the most in decimal text without an end
VOLTS: Final = (1.8, 3.3)
MOST: Final = 3_000_000  # samples of a recording: 10 minutes
_BAUD: Final = 3_686_400
_TURNS: Final = 40  # reads without an answer, of `_READ_S` each, until it is taken for dead
_READ_S: Final = 0.25
_SAMPLE: Final = re.compile(r"(\d{4})([+-]\d{2})")  # 6409-07 is 6409e-7 A
_CLOCK: Final = re.compile(r"TimeStamp:[ ><]?\s*(\d+)s (\d+)ms")
_EVENT: Final = re.compile(r"event \d+ ris")
_PROMPT: Final = "PowerShield > "
_LARGEST: Final = 0.05  # amperes that it measures


class Port(Protocol):
    """What is needed of a serial port. A read ends after `_READ_S` at the latest."""

    def write(self, data: bytes) -> object: ...

    def readline(self) -> bytes: ...

    def close(self) -> None: ...


def open_lpm01a(asked: Asked) -> Lpm01a:
    """The LPM01A at the port ``asked.place``; LinkError if it does not answer there, UsageError
    without a port or voltage."""
    import serial

    if not asked.place:
        raise UsageError("an LPM01A needs its port", "as --power lpm01a:/dev/ttyACM0")
    if asked.volts is None:
        raise UsageError("the voltage that the LPM01A supplies is not known", "add --supply 3.3")
    try:
        port = serial.Serial(asked.place, _BAUD, timeout=_READ_S)
    except (serial.SerialException, OSError) as problem:
        raise LinkError(
            f"LPM01A {asked.place}: {problem}", "check its USB cable, and close other programs"
        ) from problem
    instrument = Lpm01a(port, asked.place, asked.volts, pulses=asked.pulses)
    try:
        instrument.greet()
    except BaseException:
        port.close()
        raise
    return instrument


@dataclass(slots=True)
class Lpm01a:
    """An opened LPM01A at ``place``. ``volts``: what it supplies. ``pulses``: each event on its
    input D7 begins or ends a window, as in MLPerf Tiny's energy mode; without it there is no gate,
    because it does not sample the level of that input."""

    port: Port
    place: str
    volts: float
    pulses: bool = False
    most: int = MOST
    _current: list[float] = field(default_factory=list)
    _events: list[int] = field(default_factory=list)  # sample before which each came
    _ended: str = ""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        return f"LPM01A {self.place}"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(rate=RATE, voltage=False, gate=self.pulses, supply=True)

    def greet(self) -> None:
        """Take control; nothing here changes the board's power."""
        self._command("htc")

    def supply(self, volts: float) -> None:
        if not VOLTS[0] <= volts <= VOLTS[1]:
            raise UsageError(f"an LPM01A cannot supply {volts:g} V", "choose 1.8 to 3.3 V")
        self._command(f"volt {round(volts * 1000)}m")
        self._command("pwr on nostatus")
        self.volts = volts

    def start(self) -> None:
        self._current, self._events, self._ended = [], [], ""
        for command in (
            "acqtime inf",
            "trigdelay 0",
            "trigsrc sw",
            "eventsrc d7 fal",
            "pwrend on",  # the board keeps its power after the recording
            "output current",
            "format ascii_dec",
            f"freq {RATE // 1000}k",
            "start",
        ):
            self._command(command)
        self._stopping.clear()
        self._thread = threading.Thread(target=self._record, name="lpm01a", daemon=True)
        self._thread.start()

    def stop(self) -> Trace:
        if self._thread is not None:
            if not self._ended:
                self._write("stop")
            self._stopping.set()
            self._thread.join()
            self._thread = None
        if not self._current:
            why = f" ({self._ended})" if self._ended else ""
            raise DataError(f"{self.name} sent no samples{why}", "check its USB cable")
        current = np.array(self._current)
        return Trace(
            self.name,
            RATE,
            current,
            np.full(current.size, self.volts),
            self._gate(current.size) if self.pulses else None,
            current >= _LARGEST,
            self._ended,
        )

    def close(self) -> None:
        # not hrc: giving back control could switch the board off
        self._stopping.set()
        self.port.close()

    def _gate(self, n: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(n,) high from each odd event to the next."""
        edges = np.zeros(n + 1, np.int64)
        np.add.at(edges, np.minimum(self._events, n), 1)
        return np.asarray(np.cumsum(edges[:n]) % 2 == 1)

    def _record(self) -> None:
        before = 0  # samples at the last of the clock's lines, which come every second
        seen = False
        silent = 0
        try:
            for line in self._lines():
                silent = 0 if line else silent + 1
                if silent > _TURNS or (self._stopping.is_set() and silent > 2):
                    self._ended = "" if self._stopping.is_set() else "it stopped sending"
                    return
                if "Acquisition completed" in line:
                    self._ended = "" if self._stopping.is_set() else "it ended the recording"
                    return
                if _CLOCK.search(line):
                    if seen:  # samples that the line between them lost
                        missing = before + RATE - len(self._current)
                        self._current += [np.nan] * max(missing, 0)
                    seen, before = True, len(self._current)
                elif _EVENT.match(line):
                    self._events.append(len(self._current))
                else:
                    self._current += samples(line)
                if len(self._current) >= self.most:
                    self._ended = f"the recording is full after {self.most:,} samples"
                    self._write("stop")
                    return
        except LinkError as problem:
            self._ended = problem.what

    def _lines(self) -> Iterator[str]:
        """What it sends, line by line; an empty one whenever a read ends without one."""
        while True:
            try:
                raw = self.port.readline()
            except OSError as problem:  # serial.SerialException is one
                raise LinkError(f"{self.name}: {problem}", "check its USB cable") from problem
            yield raw.decode("ascii", "replace").replace(_PROMPT, "").strip()

    def _write(self, command: str) -> None:
        try:
            self.port.write(f"{command}\r\n".encode())
        except OSError as problem:
            raise LinkError(f"{self.name}: {problem}", "check its USB cable") from problem

    def _command(self, command: str) -> None:
        """LinkError unless it acknowledges the command."""
        self._write(command)
        silent = 0
        for line in self._lines():
            silent = 0 if line else silent + 1
            if line.startswith("ack") and command in line:
                return
            if line.startswith("error") or silent > _TURNS:
                said = f"answered '{line}'" if line else "did not answer"
                raise LinkError(
                    f"{self.name} {said} to '{command}'", "is it an LPM01A, with its own firmware?"
                )


def samples(line: str) -> list[float]:
    """The amperes in a line of samples; NaN for one that was damaged, nothing for other text."""
    found = [float(f"{digits}e{power}") for digits, power in _SAMPLE.findall(line)]
    if not found:
        return []
    rest = _SAMPLE.sub(" ", line).strip()
    return [*found, np.nan] if rest else found
