# SPDX-License-Identifier: Apache-2.0
"""Joulescope JS110, JS220 and JS320, through the maker's library pyjoulescope-driver.

The library records into a .jls file, so that memory is bounded, and `hil.energy.files` reads it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from hil.core.errors import DataError, LinkError, NotAttached, ToolMissing, UsageError
from hil.energy.files import Given, read_trace
from hil.energy.instrument import Capabilities
from hil.energy.trace import Trace

if TYPE_CHECKING:
    from hil.energy.opened import Asked

RATE: Final = 100_000  # samples per second; a JS220 can do ten times as many, in larger files
_INPUTS: Final = 4
# topics of the instrument, as of pyjoulescope-driver 2: what connects the board to its supply
_PATH: Final = {"js110": "s/i/range/select", "js220": "s/i/range/mode", "js320": "s/i/range/mode"}
_AUTO: Final = "auto"
_INSTALL: Final = 'pip install "tinyml-hil[joulescope]"'


class Driver(Protocol):
    """What is used of `pyjoulescope_driver.Driver`."""

    def device_paths(self) -> Sequence[str]: ...

    def open(self, path: str, /, mode: str) -> None: ...

    def publish(self, topic: str, value: Any, /) -> None: ...

    def query(self, topic: str, /) -> Any: ...

    def subscribe(self, topic: str, flags: Sequence[str], fn: Callable[..., None], /) -> None: ...

    def unsubscribe(self, topic: str, fn: Callable[..., None], /) -> None: ...

    def close(self, path: str, /) -> None: ...

    def finalize(self) -> None: ...


def open_joulescope(asked: Asked) -> Joulescope:
    """The Joulescope whose serial number is ``asked.place``, or the only one that is attached.

    Raises:
        ToolMissing: The library is not installed.
        NotAttached: There is none, or several.
        LinkError: It cannot be opened.
        UsageError: The digital input is unknown.
    """
    # pyjls: the library's recorder needs it, and says so only when it records
    missing = [name for name in ("pyjoulescope_driver", "pyjls") if find_spec(name) is None]
    if missing:
        raise ToolMissing(
            f"a Joulescope needs the package {missing[0].replace('_', '-')}",
            f"install it: {_INSTALL}",
        )
    from pyjoulescope_driver import Driver as Real

    driver: Driver = Real()
    try:
        return attach(driver, asked)
    except BaseException:
        driver.finalize()
        raise


def attach(driver: Driver, asked: Asked) -> Joulescope:
    """As `open_joulescope`, with a driver that exists."""
    number = asked.gate.removeprefix("gpi").strip("[]") or "0"
    if number not in map(str, range(_INPUTS)):
        raise UsageError(
            f"a Joulescope has no input '{asked.gate}'", f"its inputs are 0 to {_INPUTS - 1}"
        )
    paths = [path for path in driver.device_paths() if path.split("/")[1:2] and _model(path)]
    found = [path for path in paths if path.lower().endswith(asked.place.lower())]
    if len(found) != 1:
        which = f" with serial number {asked.place}" if asked.place else ""
        there = ", ".join(paths) or "none"
        raise NotAttached(
            f"{'no' if not found else 'more than one'} Joulescope{which} is attached ({there})",
            "name one by its serial number, as joulescope:001234" if found else "check its cable",
        )
    path = found[0]
    try:
        # "restore" keeps the state: "defaults" would disconnect the board from its supply
        driver.open(path, mode="restore")
        _connect(driver, path)
        driver.publish(f"{path}/h/fs", RATE)
    except (RuntimeError, TimeoutError, OSError) as problem:
        raise LinkError(
            f"Joulescope {path}: {problem}", "close other programs that use it, then try again"
        ) from problem
    return Joulescope(driver, path, f"gpi[{number}]")


def _model(path: str) -> str:
    """The model in a path such as u/js220/001234; empty for another device."""
    name = path.split("/")[1]
    return name if name in _PATH else ""


def _connect(driver: Driver, path: str) -> None:
    """Close the path of the current, if it is open; a board that has power keeps it."""
    topic = f"{path}/{_PATH[_model(path)]}"
    if str(driver.query(topic)).lower() in ("off", "0"):
        driver.publish(topic, _AUTO)


@dataclass(slots=True)
class Joulescope:
    """An opened Joulescope at ``path``; ``gate``: the marker's input, as its library calls it."""

    driver: Driver
    path: str
    gate: str
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _record: Any = None

    @property
    def name(self) -> str:
        return f"Joulescope {self.path}"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(rate=RATE, voltage=True, gate=True, supply=False)

    def supply(self, volts: float) -> None:
        raise UsageError(
            f"a Joulescope cannot supply {volts:g} V",
            "power the board through it, without --supply",
        )

    def start(self) -> None:
        from pyjoulescope_driver.record import Record

        self._folder = tempfile.TemporaryDirectory(prefix="hil-joulescope-")
        self._record = Record(self.driver, self.path, ["current", "voltage", self.gate])
        self._record.open(str(self._file))

    def stop(self) -> Trace:
        if self._folder is None:
            raise DataError(f"{self.name} was not recording", "start it first")
        ended = ""
        try:
            self._record.close()
        except (RuntimeError, TimeoutError, OSError) as problem:
            ended = str(problem) or "it did not answer"
        try:
            trace = read_trace(self._file, Given(gate=self.gate))
        except DataError as problem:
            raise DataError(
                f"{self.name} sent no samples ({problem.what})", "check its USB cable"
            ) from problem
        finally:
            self._folder.cleanup()
            self._folder = None
        return Trace(
            self.name,
            trace.rate,
            trace.current,
            trace.voltage,
            trace.gate,
            trace.clipped,
            ended,
        )

    def close(self) -> None:
        try:
            self.driver.close(self.path)
        finally:
            self.driver.finalize()

    @property
    def _file(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "recording.jls"
