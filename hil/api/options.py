# SPDX-License-Identifier: Apache-2.0
"""The options of a bench: their defaults, and which of them contradict each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hil.bench.host import SAMPLES, HostTiming
from hil.core.errors import UsageError, unknown
from hil.core.processes import cores
from hil.core.records import Dataset
from hil.datasets import Given
from hil.energy.opened import EXAMPLES, check_voltages, split

PROTOCOLS: Final = ("frames", "text")
_ONLY_FRAMES: Final = (
    *(
        "teacher",
        "student",
        "engine",
        "precision",
        "calibrate",
        "sketch",
        "firmware",
        "flash",
        "layers",
        "profile",
        "cycles",
        "clock",
        "power",
        "voltage",
        "supply",
        "gate",
        "idle_mode",
        "chaos",
    ),
)
_ONLY_TEXT: Final = (
    *("pattern", "send", "send_type", "end", "repeat", "timeout", "baud", "classes", "outputs"),
    "name",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """The options of `hil bench`, each named like its option there; an empty tuple means all."""

    board: tuple[str, ...] = ("auto",)
    model: tuple[str, ...] = ()
    teacher: tuple[str, ...] = ()
    student: tuple[str, ...] = ()
    precision: tuple[str, ...] = ()
    engine: tuple[str, ...] = ("aot",)
    dataset: str = "auto"
    data: Given | None = None
    target: str | None = None
    resize: str | None = None
    input: str | None = None
    calibrate: Given | None = None
    limit: int | None = None
    out: Path | None = None
    port: str | None = None
    flash: bool = False
    sketch: Path | None = None
    firmware: Path | None = None
    tolerance: float | None = None
    jobs: int | None = None
    layers: bool = False
    chaos: str | None = None
    profile: bool = False
    cycles: bool = False
    clock: str = ""
    power: str | None = None
    voltage: float | None = None
    supply: float | None = None
    gate: str = ""
    idle_mode: str | None = None
    protocol: str = "frames"
    pattern: tuple[str, ...] = ()
    send: str = "csv"
    send_type: str | None = None
    end: str = "\\n"
    repeat: int = 1
    timeout: float = 10.0
    baud: int | None = None
    classes: str = ""
    outputs: int | None = None
    name: str = ""
    host_samples: int = SAMPLES
    host_threads: int = 1

    def given(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        values = {name: getattr(self, name) for name in BenchOptions.__dataclass_fields__}
        return {name: one for name, one in values.items() if _differs(one, getattr(DEFAULTS, name))}

    def host(self) -> HostTiming:
        """How to time LiteRT; UsageError if the numbers make no sense."""
        if self.host_samples < 0:
            raise UsageError("--host-samples must not be negative", "0 times nothing")
        if not 1 <= self.host_threads <= cores():  # more would wait for each other
            raise UsageError(
                f"--host-threads must be from 1 to {cores()}, the cores of this computer",
                "leave it out for one thread",
            )
        return HostTiming(self.host_samples, self.host_threads)

    def check(self) -> None:
        """UsageError for an unknown protocol, and for an option that the protocol ignores."""
        if self.protocol not in PROTOCOLS:
            raise unknown(f"--protocol {self.protocol} is unknown", self.protocol, PROTOCOLS)
        given = {name: f"--{name.replace('_', '-')}" for name in self.given()}
        if self.protocol == "text":
            if refused := next((given[name] for name in _ONLY_FRAMES if name in given), None):
                raise UsageError(
                    f"{refused} and --protocol text contradict",
                    "the sketch on the port runs as it is: leave one of them out",
                )
        elif refused := next((given[name] for name in _ONLY_TEXT if name in given), None):
            raise UsageError(f"{refused} needs --protocol text", f"add it, or leave out {refused}")
        self._check_power()
        if self.clock and not self.cycles:
            raise UsageError(f"--clock {self.clock} needs --cycles", "add it, or leave out --clock")
        if self.clock and "user" in self.engine:
            raise UsageError(
                "--clock and --engine user contradict: the cycles of a sketch are not estimated",
                "leave one of them out",
            )
        if self.jobs is not None and self.jobs < 1:
            raise UsageError("--jobs must be at least 1", "leave it out for one emulator per core")

    def _check_power(self) -> None:
        """UsageError for an instrument that does not exist, and for voltages that make no sense."""
        if self.power is None:
            names = ("voltage", "supply", "gate", "idle_mode")
            if given := next((name for name in names if getattr(self, name)), None):
                option = f"--{given.replace('_', '-')}"
                raise UsageError(
                    f"{option} needs --power", f"name the instrument, as --power {EXAMPLES[1]}"
                )
            return
        split(self.power)
        check_voltages(self.voltage, self.supply)


DEFAULTS: Final = BenchOptions()


def _differs(one: object, default: object) -> bool:
    """A data set is compared by identity: arrays have no single truth value."""
    return one is not default if isinstance(one, Dataset) else one != default
