# SPDX-License-Identifier: Apache-2.0
"""Nordic Power Profiler Kit II, through the library ppk2lab.

ppk2lab sends nothing that switches the board's power unless it is asked to, and notices samples
that were lost, by the counter in each of them. ppk2-api, the older library, does not.
"""

from __future__ import annotations

import threading
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from hil.core.errors import DataError, LinkError, NotAttached, ToolMissing, UsageError
from hil.energy.instrument import Capabilities
from hil.energy.trace import Trace

if TYPE_CHECKING:
    from ppk2lab import PPK2
    from ppk2lab.calibration import Calibration

    from hil.energy.opened import Asked

RATE: Final = 100_000
MOST: Final = 60_000_000  # samples of a recording: 10 minutes, 240 MB
VOLTS: Final = (0.8, 5.0)
_CHANNELS: Final = tuple(f"D{i}" for i in range(8))
_ADC: Final = 0x3FFF
_TOP: Final = 4  # the range that is not followed by a larger one
_UNIT: Final = 1.8 / 163840  # volts of one step of four times the field of the ADC
_INSTALL: Final = 'pip install "tinyml-hil[ppk2]"'


def open_ppk2(asked: Asked) -> Ppk2:
    """The PPK2 at the port ``asked.place``, or the only one that is attached.

    Raises:
        ToolMissing: ppk2lab is not installed.
        NotAttached, LinkError: There is none, or its port cannot be opened.
        UsageError: The digital input is unknown.
    """
    channel = asked.gate.upper() or _CHANNELS[0]
    if channel not in _CHANNELS:
        raise UsageError(f"a PPK2 has no input '{asked.gate}'", "its inputs are D0 to D7")
    try:
        from ppk2lab import PPK2
        from ppk2lab.errors import DeviceNotFoundError, Ppk2labError
    except ImportError:
        raise ToolMissing("a PPK2 needs the package ppk2lab", f"install it: {_INSTALL}") from None
    try:
        # simulate=False: an environment variable of ppk2lab must not replace the instrument
        device = PPK2.open(port=asked.place or None, simulate=False)
    except DeviceNotFoundError as problem:
        raise NotAttached(str(problem), "check its USB cable") from problem
    except (Ppk2labError, OSError) as problem:
        raise LinkError(
            f"PPK2 {asked.place}: {problem}", "close other programs that use it, then try again"
        ) from problem
    return Ppk2(device, asked.volts, _CHANNELS.index(channel))


@dataclass(slots=True)
class Ppk2:
    """An opened PPK2. ``volts``: of the board's supply, if the user says so; else it is what the
    PPK2 supplies. ``gate``: the number of the marker's input. ``most``: samples of a recording."""

    device: PPK2
    volts: float | None = None
    gate: int = 0
    most: int = MOST
    _words: array[int] = field(default_factory=lambda: array("I"))
    _gaps: list[tuple[int, int]] = field(default_factory=list)  # index in the words, samples lost
    _ended: str = ""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        return f"PPK2 {self.device.info.serial_number or self.device.transport.description}"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(rate=RATE, voltage=False, gate=True, supply=True)

    def supply(self, volts: float) -> None:
        from ppk2lab import Mode

        if not VOLTS[0] <= volts <= VOLTS[1]:
            raise UsageError(f"a PPK2 cannot supply {volts:g} V", "choose 0.8 to 5 V")
        # the voltage first: the board must never see the one that was set before
        self.device.set_source_voltage_mv(round(volts * 1000))
        self.device.set_mode(Mode.SOURCE)
        self.device.set_dut_power(True)
        self.volts = volts

    def start(self) -> None:
        self._supplied()  # an unknown voltage is said before the recording, not after it
        self._words, self._gaps, self._ended = array("I"), [], ""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._record, name="ppk2", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until the recording is full, or the instrument is gone."""
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> Trace:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if not self._words:
            raise DataError(
                f"{self.name} sent no samples{f' ({self._ended})' if self._ended else ''}",
                "check its USB cable",
            )
        calibration = self.device.calibration
        assert calibration is not None  # opening it read the constants
        return decoded(
            np.frombuffer(self._words, np.uint32),
            self._gaps,
            calibration,
            self._supplied(),
            gate=self.gate,
            source=self.name,
            ended=self._ended,
        )

    def close(self) -> None:
        self._stopping.set()
        self.device.close(restore_power=False)

    def _supplied(self) -> float:
        """Volts of the board's supply; UsageError if nothing says them."""
        from ppk2lab import Mode

        if self.volts is not None:
            return self.volts
        state = self.device.state
        if state.mode is Mode.SOURCE and state.source_voltage_mv:
            return state.source_voltage_mv / 1000
        raise UsageError(
            f"{self.name} does not measure the voltage of a board that it does not supply",
            "give it with --voltage",
        )

    def _record(self) -> None:
        from ppk2lab.errors import Ppk2labError
        from ppk2lab.protocol.samples import SampleBlock

        try:
            with self.device.stream() as events:
                for event in events:
                    if isinstance(event, SampleBlock):
                        self._words.extend(event.words)
                    else:
                        # an unknown number is at least one: the window around it does not count
                        self._gaps.append((len(self._words), event.missing or 1))
                    if len(self._words) >= self.most:
                        del self._words[self.most :]
                        self._ended = f"the recording is full after {self.most:,} samples"
                        return
                    if self._stopping.is_set():
                        return
        except (Ppk2labError, OSError) as problem:
            self._ended = str(problem)


def decoded(
    words: npt.NDArray[np.uint32],
    gaps: list[tuple[int, int]],
    calibration: Calibration,
    volts: float,
    *,
    gate: int,
    source: str,
    ended: str = "",
) -> Trace:
    """The samples of a PPK2 in amperes.

    Args:
        words: (n,) as it sends them: 14 bits of ADC, 3 of range, 6 of a counter, 8 of inputs.
        gaps: Before which word how many samples were lost; they become NaN.
        calibration: Its constants. With those of a range, x = (4 ADC - O) 1.8 / 163840 / R and the
            current is UG (x (GS x + GI) + S volts + I), as in Nordic's Power Profiler, without its
            filter of spikes after a change of range.
        volts: Of the board's supply.
        gate: The number of the marker's input.
        source, ended: As in `Trace`.
    """
    ranges = ((words >> 14) & 0x7).astype(np.intp)
    adc = words & _ADC
    constants = np.full((8, 7), np.nan)  # a range without constants, or an impossible one, is lost
    for number, one in enumerate(calibration.ranges):
        if one is not None:
            constants[number] = (one.r, one.gs, one.gi, one.o, one.s, one.i, one.ug)
    r, gs, gi, o, s, i, ug = constants.T[:, ranges]
    x = (adc * 4.0 - o) * (_UNIT / r)
    current = ug * (x * (gs * x + gi) + s * volts + i)
    high = ((words >> (24 + gate)) & 1).astype(np.bool_)
    clipped = (ranges == _TOP) & (adc == _ADC)
    changes = int(np.count_nonzero(np.diff(ranges)))
    places = np.repeat([at for at, _ in gaps], [lost for _, lost in gaps]).astype(np.intp)
    # the gate keeps its level over a gap, so that a gap is not taken for an edge
    before = high[np.maximum(places - 1, 0)]
    current = np.insert(current, places, np.nan)
    high = np.insert(high, places, before)
    return Trace(
        source,
        RATE,
        current,
        np.full(len(current), volts),
        high,
        np.insert(clipped, places, False),
        ended,
        changes,
    )
