# SPDX-License-Identifier: Apache-2.0
"""The format of a board's TOML file, and where the files are."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from hil.boards.npm import NpmPackage
from hil.core.errors import ConfigError, unknown
from hil.core.files import Config, read_toml
from hil.core.records import (
    ClockSteps,
    Cycles,
    DeviceTime,
    Instructions,
    Latency,
    Precision,
    TimeUnit,
)
from hil.core.settings import SETTINGS, read_settings
from hil.wire.messages import Lap, Repeated, Result

PLACEHOLDERS: Final = "{elf}, {elf.parent}, {build}, {run}, {tcp}, {npm}"


class BoardClock(Config, frozen=True):
    """Which of the two clocks in RESULT is valid, and what it counts.

    A count is ``ticks * numerator / denominator``. An emulator may count instructions, or cycles if
    the data sheet fixes the core's timing and the emulator follows it. Only a physical board may
    report microseconds. ``hertz``: the clock of the core; 0: not known.
    """

    unit: TimeUnit
    source: Literal["ticks", "micros", "none"] = "none"
    numerator: int = 1
    denominator: int = 1
    hertz: int = 0
    detail: str = ""

    def time(self, result: Result | Repeated | Lap) -> DeviceTime:
        """The time of one or several inferences, or of one layer (a lap), in this clock's type."""
        raw = {"ticks": result.ticks, "micros": result.micros, "none": None}[self.source]
        if raw is None or self.unit == "none":
            return None
        count = (raw * self.numerator + self.denominator // 2) // self.denominator
        if self.unit == "cycles":
            # a sketch built without the counter sends 0, which no inference takes
            return Cycles(count) if count or isinstance(result, Lap) else None
        return Instructions(count) if self.unit == "instructions" else Latency(count)

    def step(self, steps: ClockSteps) -> float | None:
        """The smallest step that the device saw, in this clock's unit; None if it did not step."""
        raw = {"ticks": steps.ticks, "micros": steps.micros, "none": 0}[self.source]
        return raw * self.numerator / self.denominator if raw else None


class Verify(Config, frozen=True):
    """A command that tells whether a program is the right one, by its output.

    ``output``: regular expression that must match a line; ``what``: the name of what is missing
    if it does not.
    """

    command: tuple[str, ...]
    output: str
    what: str

    def __post_init__(self) -> None:
        if not self.command or not self.what:
            raise ValueError("emulator.verify: command or what is empty")
        _groups("verify.output", self.output)


class Emulator(Config, frozen=True):
    """A process that emulates the board, and how its serial port is reached.

    In every word ``{elf}`` is the firmware, ``{build}`` its folder, ``{run}`` a folder for this
    run, ``{tcp}`` a free TCP port and ``{npm}`` the folder of the package ``npm``. The commands of
    ``prepare`` run first, in order. Exactly one of ``port_pattern``, ``port`` and ``stdio`` is
    given.
    """

    command: tuple[str, ...]
    port_pattern: str = ""  # regular expression for its output; group 1 is the port
    port: str = ""  # the port itself: a URL with {tcp} or a fixed number, or a path
    stdio: bool = False  # the port is its stdin and stdout, which the harness connects to a pty
    ready: str = ""  # with port or stdio: regular expression for its output, to wait for
    prepare: tuple[tuple[str, ...], ...] = ()
    package: str = ""  # Debian package of command[0]
    npm: NpmPackage | None = None
    get: dict[str, str] = msgspec.field(default_factory=dict)  # program -> a command, or a URL
    verify: Verify | None = None
    environment: tuple[str, ...] = ()  # variables that must be set, e.g. a token
    optional: bool = False  # users install it themselves, and name the board: `all` leaves it out

    def __post_init__(self) -> None:
        if not self.command or not all(self.prepare):
            raise ValueError("emulator: a command is empty")
        if [bool(self.port_pattern), bool(self.port), self.stdio].count(True) != 1:
            raise ValueError("emulator: give one of port_pattern, port and stdio")
        if self.ready and self.port_pattern:
            raise ValueError("emulator: ready has no effect with port_pattern; leave it out")
        _groups("ready", self.ready)
        if self.port_pattern and not _groups("port_pattern", self.port_pattern):
            raise ValueError("emulator.port_pattern: it needs a group ( ) for the port")
        for words in (*self.prepare, self.command, (self.port,)):
            try:
                filled = self.fill(words, Path("build/firmware.elf"), Path("run"), 1)
            except (KeyError, ValueError, IndexError, AttributeError):
                raise ValueError(
                    f"emulator: {' '.join(words)!r} has an unknown placeholder; use "
                    f"{PLACEHOLDERS}, and double a literal brace"
                ) from None
        (port,) = filled
        if "://" in port and not _tcp_port(port):
            raise ValueError(f"emulator.port: {self.port!r} is not scheme://host:number")
        if "{tcp}" in self.port and not self.wants_tcp:
            raise ValueError("emulator: port contains {tcp}, but no command does")

    @property
    def wants_tcp(self) -> bool:
        """Whether a command needs a free TCP port."""
        return any("{tcp}" in word for words in (*self.prepare, self.command) for word in words)

    def fill(self, words: tuple[str, ...], elf: Path, run: Path, tcp: int) -> list[str]:
        """``words`` with their placeholders replaced."""
        values = {"elf": elf, "build": elf.parent, "run": run, "tcp": tcp}
        if self.npm:
            values["npm"] = self.npm.folder
        return [word.format(**values) for word in words]


def _groups(key: str, pattern: str) -> int:
    """The number of groups in the regular expression ``pattern``; ValueError if it is not one."""
    try:
        return re.compile(pattern).groups
    except re.error as problem:
        raise ValueError(f"emulator.{key}: {problem}") from None


def _tcp_port(url: str) -> int:
    try:
        return urlsplit(url).port or 0
    except ValueError:
        return 0


class Serial(Config, frozen=True):
    """The settings of a physical board's port.

    ``dtr`` and ``rts`` are the levels while the port is open; a pulse on the ``reset`` line
    restarts the board; ``faster`` are further rates (baud) to try, above ``baud``.
    """

    baud: int = 115200
    faster: tuple[int, ...] = ()
    dtr: bool = True
    rts: bool = True
    reset: Literal["dtr", "rts", "none"] = "none"


class Usb(Config, frozen=True):
    """The board's USB identities: ``vid:pid`` in four hex digits each.

    ``ids`` while firmware runs; ``bootloader_ids`` while its bootloader waits for an upload (DFU, a
    ROM loader, a drive for UF2 files). ``udev``: those that an upload tool opens without a serial
    port, for which Linux needs a rule.
    """

    ids: tuple[str, ...]
    bootloader_ids: tuple[str, ...] = ()
    udev: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        named = {"ids": self.ids, "bootloader_ids": self.bootloader_ids, "udev": self.udev}
        for key, names in named.items():
            for name in names:
                if not re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", name):
                    raise ValueError(f"usb.{key}: {name!r} is not vid:pid, e.g. `303a:1001`")
        if both := set(self.ids) & set(self.bootloader_ids):
            raise ValueError(
                f"usb: {min(both)} is in ids and in bootloader_ids, so it identifies neither; "
                "keep it in ids"
            )


class BoardMemory(Config, frozen=True):
    """Bytes available to a firmware: ``flash``, and ``ram`` including ``stack``.

    ``constants``: how much of the flash code can read as data, on a core that has a separate
    address space for it; None: all. ``small_requests``: the firmware is built with
    HIL_SHORT_OF_RAM, so a request carries the network's input in its own type only.
    """

    flash: int
    ram: int
    stack: int = 0
    constants: int | None = None
    small_requests: bool = False

    def __post_init__(self) -> None:
        if self.flash < 1 or not 0 <= self.stack < self.ram:
            raise ValueError("memory.flash must be positive, and memory.ram larger than the stack")
        if self.constants is not None and not 0 < self.constants <= self.flash:
            raise ValueError("memory.constants must be positive, and at most memory.flash")


class Around(Config, frozen=True):
    """What `hil fit` knows of a board whose compiler is not installed: bytes of the board's core
    and the firmware in ``flash`` and static ``ram``, without a network, its code, arena and
    buffers.

    ``error``: how far the flash may be off, and half of it the RAM. ``like``: an emulated board
    with nearly the same instructions, whose compiler tells the size of a network's code.
    """

    flash: int
    ram: int
    error: int
    like: str = ""

    def __post_init__(self) -> None:
        if min(self.flash, self.ram, self.error) < 0:
            raise ValueError("around.flash, around.ram and around.error must not be negative")


class Timeouts(Config, frozen=True):
    """Seconds. ``away``: how long a bench waits for a port that vanished during a run."""

    boot: float = 10.0
    reply: float = 20.0
    away: float = 120.0


class Board(Config, frozen=True):
    """One board. Its name is the file name."""

    name: str
    title: str
    pio_env: str
    clock: BoardClock
    emulator: Emulator | None = None
    serial: Serial = Serial()
    usb: Usb | None = None
    timeouts: Timeouts = Timeouts()
    memory: BoardMemory | None = None  # None: unknown
    around: Around | None = None
    core: str = ""  # of LLVM's scheduling models, for estimated cycles; empty: none
    fma: bool = False  # the compiler contracts a*b+c: float32 is then close, not exact
    # what fits a small board, and why; empty: no restriction
    models: tuple[str, ...] = ()
    precisions: tuple[Precision, ...] = ()
    restriction: str = ""
    refused_engines: dict[str, str] = msgspec.field(default_factory=dict)  # engine -> reason

    def __post_init__(self) -> None:
        if self.emulator and self.clock.unit == "us":
            raise ValueError("an emulator has no latency: clock.unit cannot be `us`")
        if self.clock.unit == "cycles" and not self.emulator:
            raise ValueError("clock.unit `cycles` is of an emulator; a physical board has `us`")
        if self.clock.unit == "cycles" and self.clock.hertz <= 0:
            raise ValueError("clock.hertz is missing: the clock of the core that counts `cycles`")
        if self.clock.hertz < 0:
            raise ValueError("clock.hertz must be positive")
        if self.clock.unit in ("instructions", "none") and self.clock.hertz:
            raise ValueError("clock.hertz needs clock.unit `cycles` or `us`")
        if self.clock.numerator < 1 or self.clock.denominator < 1:
            raise ValueError("clock.numerator and clock.denominator must be positive")

    @property
    def optional(self) -> bool:
        """Whether users install its emulator themselves, so that only its name selects it."""
        return self.emulator is not None and self.emulator.optional


def board_files(project: Path | None = None) -> dict[str, Path]:
    """Name -> file that defines the board: of this package, of the project's `boards/`, or its
    `hil.toml`; a later one takes precedence."""
    builtin = Path(str(resources.files("hil.boards")))
    folders = [builtin] + ([project / "boards"] if project else [])
    files = {file.stem: file for folder in folders for file in sorted(folder.glob("*.toml"))}
    if project:
        files |= dict.fromkeys(read_settings(project).boards, project / SETTINGS)
    return files


def load_board(name: str, project: Path | None = None) -> Board:
    """The board ``name``; UsageError lists the known ones."""
    files = board_files(project)
    if name not in files:
        raise unknown(f"no board is called {name!r}", name, sorted(files))
    file = files[name]
    if project and file == project / SETTINGS:
        return _from_settings(name, file, read_settings(project).boards[name])
    board = read_toml(file, Board)
    if board.name != name:
        raise ConfigError(f"{file}: name is {board.name!r}", f"name it like the file: {name!r}")
    return board


def _from_settings(name: str, file: Path, table: dict[str, Any]) -> Board:
    """The board of table ``[boards.NAME]``, which needs no ``name``."""
    try:
        board = msgspec.convert({"name": name, **table}, Board)
    except msgspec.ValidationError as problem:
        hint = "see docs/adding-a-board.md"
        raise ConfigError(f"{file}: [boards.{name}]: {problem}", hint) from None
    if board.name != name:
        raise ConfigError(
            f"{file}: [boards.{name}]: name is {board.name!r}", "leave it out of this table"
        )
    return board
