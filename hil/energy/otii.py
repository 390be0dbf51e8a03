# SPDX-License-Identifier: Apache-2.0
"""Qoitech Otii Arc and Ace, through the server of the Otii program and Qoitech's otii-tcp-client.

The Otii program must run with its server switched on; it needs a licence for automation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from hil.core.errors import DataError, HilError, LinkError, NotAttached, ToolMissing, UsageError
from hil.core.text import printable, shorten
from hil.energy.instrument import Capabilities
from hil.energy.trace import Bools, Floats, Trace

if TYPE_CHECKING:
    from otii_tcp_client.arc import Arc
    from otii_tcp_client.otii_client import Connect
    from otii_tcp_client.project import Project

    from hil.energy.opened import Asked

HOST: Final = "127.0.0.1"
PORT: Final = 1905
RATES: Final = {"Arc": 4000, "Ace": 50_000}  # samples per second of the main current
_CURRENT, _VOLTAGE = "mc", "mv"
_INPUTS: Final = {"": "i1", "GPI1": "i1", "I1": "i1", "GPI2": "i2", "I2": "i2"}
_MOST: Final = 60_000_000  # samples of a recording
_VOLTS: Final = (0.5, 25.0)
_INSTALL: Final = 'pip install "tinyml-hil[otii]"'


def open_otii(asked: Asked) -> Otii:
    """The only instrument of the Otii server at ``asked.place`` (HOST or HOST:PORT; empty: this
    computer).

    Raises:
        ToolMissing: otii-tcp-client is not installed.
        LinkError: No server answers there.
        NotAttached: It has no instrument, or several.
        UsageError: The address or the digital input is wrong.
    """
    channel = _INPUTS.get(asked.gate.upper())
    if channel is None:
        raise UsageError(f"an Otii has no input '{asked.gate}'", "its inputs are GPI1 and GPI2")
    host, port = _address(asked.place)
    try:
        from otii_tcp_client.otii_client import OtiiClient
    except ImportError:
        raise ToolMissing(
            "an Otii needs the package otii-tcp-client", f"install it: {_INSTALL}"
        ) from None
    try:
        server = OtiiClient().connect(host=host, port=port, try_for_seconds=0)
    except Exception as problem:  # the library raises Exception itself
        raise LinkError(
            f"the Otii server at {host}:{port}: {_said(problem)}",
            "start the Otii program and switch its server on",
        ) from problem
    try:
        return _attached(server, channel)
    except BaseException:
        server.disconnect()
        raise


def _address(place: str) -> tuple[str, int]:
    host, _, port = place.partition(":")
    if port and not (port.isdecimal() and 0 < int(port) < 1 << 16):
        raise UsageError(f"'{place}' is not an address", f"as otii:{HOST}:{PORT}")
    return host or HOST, int(port or PORT)


def _attached(server: Connect, channel: str) -> Otii:
    try:
        found = server.get_devices()
        if len(found) != 1:
            names = ", ".join(printable(one.name) for one in found) or "none"
            raise NotAttached(
                f"the Otii server has {len(found)} instruments ({names}), expected one",
                "connect one of them",
            )
        arc = found[0]
        try:
            project = server.get_active_project()
        except Exception:  # it has none yet
            project = server.create_project()
        arc.add_to_project()
        for one in (_CURRENT, _VOLTAGE, channel):
            arc.enable_channel(one, True)
    except HilError:
        raise
    except Exception as problem:
        raise LinkError(f"Otii: {_said(problem)}", "look at the Otii program") from problem
    return Otii(server, arc, project, channel)


@dataclass(slots=True)
class Otii:
    """An opened Otii; ``channel``: of the marker's input."""

    server: Connect
    arc: Arc
    project: Project
    channel: str

    @property
    def name(self) -> str:
        return f"Otii {self.arc.type} {self.arc.id}"

    @property
    def capabilities(self) -> Capabilities:
        rate = RATES.get(self.arc.type, RATES["Arc"])
        return Capabilities(rate=rate, voltage=True, gate=True, supply=True)

    def supply(self, volts: float) -> None:
        if not _VOLTS[0] <= volts <= _VOLTS[1]:
            raise UsageError(f"an Otii cannot supply {volts:g} V", "choose 0.5 to 25 V")
        self._ask(lambda: self.arc.set_main_voltage(volts))
        self._ask(lambda: self.arc.set_main(True))

    def start(self) -> None:
        self._ask(self.project.start_recording)

    def stop(self) -> Trace:
        ended = ""
        try:
            self.project.stop_recording()
        except Exception as problem:
            ended = _said(problem)
        recording = self._ask(self.project.get_last_recording)
        if recording is None:
            raise DataError(f"{self.name} has no recording", "look at the Otii program")

        def channel(name: str) -> dict[str, Any]:
            count = recording.get_channel_data_count(self.arc.id, name)
            if count > _MOST:
                raise DataError(f"{self.name} recorded {count:,} samples", f"{_MOST:,} is the most")
            return recording.get_channel_data(self.arc.id, name, 0, count) if count else {}

        current, voltage, gate = self._ask(
            lambda: (channel(_CURRENT), channel(_VOLTAGE), channel(self.channel))
        )
        return assembled(current, voltage, gate, self.name, ended)

    def close(self) -> None:
        # the main output keeps its state
        self._ask(self.server.disconnect)

    def _ask(self, ask: Any) -> Any:
        try:
            return ask()
        except HilError:
            raise
        except Exception as problem:
            raise LinkError(
                f"{self.name}: {_said(problem)}", "look at the Otii program"
            ) from problem


def assembled(
    current: dict[str, Any], voltage: dict[str, Any], gate: dict[str, Any], source: str, ended: str
) -> Trace:
    """The channels of a recording as a trace, at the rate of the current. DataError if they are
    not what an Otii records."""
    amperes, rate, began = _analog(current, source)
    volts, rate_of_volts, _ = _analog(voltage, source)
    at = began + np.arange(amperes.size) / rate
    place = np.minimum((np.arange(amperes.size) * rate_of_volts / rate).astype(int), volts.size - 1)
    return Trace(source, rate, amperes, volts[place], _levels(gate, at, source), ended=ended)


def _analog(channel: dict[str, Any], source: str) -> tuple[Floats, float, float]:
    """Values, samples per second, and the time of the first."""
    try:
        values = np.asarray(channel["values"], np.float64)
        rate, began = 1 / float(channel["interval"]), float(channel["timestamp"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        values, rate, began = np.empty(0), 0.0, 0.0
    if values.ndim != 1 or not values.size or not 1 <= rate <= 1e6:
        raise DataError(f"{source} sent no samples", "check that it is connected")
    return values, rate, began


def _levels(channel: dict[str, Any], at: npt.NDArray[np.float64], source: str) -> Bools:
    """The level at each time: that of the latest change before it; low before the first."""
    try:
        changes = [(float(one["timestamp"]), bool(one["value"])) for one in channel["values"]]
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"{source} has no changes of its digital input",
            "connect the marker pin, and see that the channel is enabled in the Otii program",
        ) from None
    times = np.array([-np.inf, *(time for time, _ in changes)])
    levels = np.array([False, *(level for _, level in changes)])
    return np.asarray(levels[np.searchsorted(times, at, side="right") - 1])


def _said(problem: Exception) -> str:
    return shorten(printable(str(problem) or type(problem).__name__), 120)
