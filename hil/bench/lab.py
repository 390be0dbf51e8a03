# SPDX-License-Identifier: Apache-2.0
"""Labs build firmware and open boards for a bench; `flash` flashes a board.

`RealLab` uses PlatformIO, emulators and serial ports. `HeldLab` and `ChaosLab` wrap another lab.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol, TypedDict

from hil.bench.advice import flash_command
from hil.bench.cases import USER, Program, Sketch, sketch_of
from hil.boards.attached import Attached, find_attached
from hil.boards.config import Board
from hil.boards.emulator import start_detached, stop_detached
from hil.boards.session import HeldBoard, open_board, open_port
from hil.boards.station import Station, require_tools
from hil.core.errors import HilError, LinkError, NoAnswer, WrongFirmware
from hil.core.files import sha256
from hil.core.records import Hello
from hil.device import Device, Timing
from hil.engines import CompiledModel, Models
from hil.firmware import Footprint, build, compiler_of, footprint, upload
from hil.link import Deadline, Link, Resettable, clock_of
from hil.link.chaos import Chaos, ChaosLink, ChaosState
from hil.link.serial_port import SerialLink

_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Firmware:
    """What a board runs. Sizes in bytes: ``flash`` is code and constants, ``ram`` static data.

    ``footprint`` attributes them to owners; None without a linked image. ``compiled``: the image's
    models as C code; empty where none were generated. For a sketch that the board runs already,
    there may be no ``file``: its sizes are None then, and the strings empty. ``kernels``: whose
    kernels compute the networks; empty for an engine that has only its own.
    """

    file: Path | None
    sha256: str
    toolchain: str
    flash: int | None
    ram: int | None
    footprint: Footprint | None = None
    compiled: tuple[CompiledModel, ...] = ()
    kernels: str = ""


class Lab(Protocol):
    """Builds firmware and opens boards."""

    def check(self, station: Station) -> None:
        """Before anything is built: LinkError if the port of ``station`` cannot be opened,
        ToolMissing if the compiler or the emulator of an emulated one is not installed."""
        ...

    def build(self, image: Program, project: Path) -> Firmware:
        """The firmware that embeds the networks of ``image``, or is the user's sketch."""
        ...

    def open(
        self, station: Station, image: Program, firmware: Firmware
    ) -> AbstractContextManager[Link]:
        """A link to the board of ``station``, which runs ``firmware``."""
        ...

    def unobservable(self, station: Station) -> str:
        """Why the board cannot run firmware that shows its layers; empty if it can."""
        ...


@dataclass
class RealLab:
    """PlatformIO, emulators and serial ports.

    A board on a port must already run the image, unless ``flash`` is set.
    """

    project: Path
    flash: bool = False
    tell: Callable[[str], None] | None = None  # gets each step of a build
    # by station: the image that was flashed, and the port since then
    _flashed: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    _numbers: dict[str, str] = field(default_factory=dict)  # by station: its USB serial number

    def __getstate__(self) -> dict[str, object]:
        """Without ``tell``: the process of a lane has nobody to tell, and cannot be sent it."""
        return {**self.__dict__, "tell": None}

    def check(self, station: Station) -> None:
        """See `Lab.check`."""
        if station.port:
            open_port(station.board, station.port).close()
        else:
            require_tools(station.board)

    def build(self, image: Program, project: Path) -> Firmware:
        """See `Lab.build`."""
        if isinstance(image, Sketch) and not image.source:
            return _not_built(image)
        models, engine, special = _to_build(image)
        built = build(image.board.pio_env, models, engine, project, tell=self.tell, **special)
        found = footprint(built.elf, [name for name, _ in models])
        return Firmware(
            built.elf,
            built.sha256,
            built.toolchain,
            found.flash,
            found.ram,
            found,
            built.compiled,
            built.kernels,
        )

    def open(
        self, station: Station, image: Program, firmware: Firmware
    ) -> AbstractContextManager[Link]:
        """See `Lab.open`."""
        port = station.port and self._port_now(station.name, station.port)
        if port and self.flash:
            port = self._flash(station.name, port, image)
        return open_board(station.board, firmware.file, port)

    def _port_now(self, station: str, port: str) -> str:
        """The port where the board of this station is plugged in now, by its USB serial number.

        A board that is plugged in again may get another port. ``port`` if it is not found.
        """
        attached = find_attached(self.project)
        if station not in self._numbers:
            here = str(Path(port).resolve())
            found = (one.serial for one in attached if str(Path(one.port).resolve()) == here)
            self._numbers[station] = next(found, "")
        number = self._numbers[station]
        ports = [one.port for one in attached if number and one.serial == number]
        return ports[0] if len(ports) == 1 else port

    def unobservable(self, station: Station) -> str:
        """See `Lab.unobservable`."""
        if not station.port or self.flash:
            return ""
        return (
            f"the firmware on board {station.name} does not show its layers; "
            "run the same command with --flash"
        )

    def _flash(self, station: str, port: str, image: Program) -> str:
        """Flash ``image`` unless it is already there; the board's port afterwards."""
        key, now = self._flashed.get(station, ((), port))
        if key != image.key:
            _, now = flash(image, self.project, now, self.tell)
            self._flashed[station] = (image.key, now)
        return now


class _Special(TypedDict, total=False):
    """What a build needs to know beyond models and engine."""

    layers: bool
    sketch: Path
    fault: str | None
    slot: str


def _to_build(image: Program) -> tuple[Models, str, _Special]:
    """The models, the engine and the other arguments of `build` and `upload`."""
    if isinstance(image, Sketch):
        return [], USER, {"sketch": image.source} if image.source else {}
    models = [(network.name, network.graph) for network in image.networks]
    special: _Special = {"layers": image.layers, "fault": image.fault, "slot": image.slot}
    return models, image.engine, special


def _not_built(sketch: Sketch) -> Firmware:
    """A sketch that the user built: what its ELF file shows, if there is one."""
    elf = sketch.elf
    if elf is None:
        return Firmware(None, "", "", None, None)
    found = footprint(elf)
    return Firmware(elf, sha256(elf), compiler_of(elf), found.flash, found.ram, found)


def flash(
    image: Program,
    project: Path,
    where: Attached | str | None = None,
    tell: Callable[[str], None] | None = None,
) -> tuple[Hello, str]:
    """Flash ``image`` onto its board; the board's HELLO afterwards, and its port.

    ``where`` is a port, or an attached board, which is found again by its serial number; None
    starts an emulated board, which keeps running. ``tell`` gets each step of the build.

    Raises the errors of `upload`, WrongFirmware if the board then runs something else, and the
    error that the board's text shows when it panics or its loader does not start the firmware
    (`hil.wire.diagnosis`).
    """
    board = image.board
    models, engine, special = _to_build(image)
    if isinstance(where, str):  # an attached board was just found
        open_port(board, where).close()
    if where is None:
        require_tools(board)
        built = build(board.pio_env, models, engine, project, tell=tell, **special)
        running = start_detached(project, board, built.elf)
        return _hello(image, project, running.port), running.port
    port = where.port if isinstance(where, Attached) else where
    needs = board.memory.flash if board.memory else 0
    upload(board.pio_env, models, engine, project, port, needs=needs, tell=tell, **special)
    deadline = Deadline.after(board.timeouts.boot)
    while True:  # a board with native USB disconnects, and may come back under another name
        found = _port_now(where, project)
        try:
            return _hello(image, project, found), found
        except LinkError:
            if deadline.expired:
                raise
            time.sleep(_POLL_S)


def ask(board: Board, port: str, seconds: float) -> Hello:
    """HELLO of the board on ``port``; a `DeviceError` when it does not answer in ``seconds``."""
    link = open_port(board, port)
    try:
        return Device(link, Timing(boot=seconds)).hello()
    finally:
        link.close()


def check_image(hello: Hello, image: Program, port: str | None = None) -> None:
    """WrongFirmware unless the board runs ``image``: its models, in order, with its engine.

    ``port``: where the board is, for the hint.
    """
    if isinstance(image, Sketch):
        check_sketch(hello)
        return
    if is_sketch(hello):
        raise runs_sketch(hello)
    if hello.has_layers and not image.layers:
        raise shows_layers(hello)
    runs = [(model.name, model.sha256, model.engine) for model in hello.models]
    wanted = [(n.name, n.graph.sha256, image.engine) for n in image.networks]
    if runs != wanted:
        raise WrongFirmware(
            f"board {hello.board} runs {_words(runs)}, expected {_words(wanted)}",
            f"flash it: {flash_command(image, port)}",
        )


def is_sketch(hello: Hello) -> bool:
    """Whether a board runs a sketch of the user's own."""
    return any(model.engine == USER for model in hello.models)


def runs_sketch(hello: Hello) -> WrongFirmware:
    """The error when a board runs a user's sketch instead of firmware of this project."""
    return WrongFirmware(
        f"board {hello.board} runs the sketch {sketch_of(hello)}, not firmware of this project",
        "bench the sketch with --engine user, or run the same command with --flash",
    )


def check_sketch(hello: Hello) -> None:
    """WrongFirmware unless the board runs a sketch of the user's own, with one model."""
    if not is_sketch(hello):
        runs = _words([(model.name, model.sha256, model.engine) for model in hello.models])
        raise WrongFirmware(
            f"board {hello.board} runs firmware of this project ({runs}), not a sketch of your own",
            "leave out --engine user, or upload your sketch, built with the library TinymlHil",
        )
    if len(hello.models) != 1:
        raise WrongFirmware(
            f"board {hello.board}: the sketch {sketch_of(hello)} lists {len(hello.models)} models",
            "use the library TinymlHil of this version: a sketch lists one",
        )


def connect(board: Board, link: Link) -> Device:
    """The board behind ``link``, at its boot rate, whichever rate the last program left."""
    if link.baud != board.serial.baud:
        link.set_baud(board.serial.baud)
    timing = Timing(board.timeouts.boot, board.timeouts.reply, clock=clock_of(link))
    return Device(link, timing, board.serial.baud)


def shows_layers(hello: Hello) -> WrongFirmware:
    """The error when a board runs firmware that shows its layers, not the one to measure."""
    return WrongFirmware(
        f"board {hello.board} runs firmware that was built to show its layers",
        "flash the firmware to measure: run the same command with --flash",
    )


def _hello(image: Program, project: Path, port: str) -> Hello:
    try:
        hello = ask(image.board, port, image.board.timeouts.boot)
        check_image(hello, image, port)
    except NoAnswer as silent:
        raise type(silent)(
            f"{image.board.name} was flashed, but then {silent.what}", silent.hint
        ) from silent
    except HilError:
        if image.board.emulator:
            stop_detached(project, image.board.name)
        raise
    return hello


def _port_now(where: Attached | str, project: Path) -> str:
    if isinstance(where, str) or not where.serial:
        return where if isinstance(where, str) else where.port
    again = [one for one in find_attached(project) if one.serial == where.serial and one.boards]
    return again[0].port if again else where.port


def _words(models: list[tuple[str, str, str]]) -> str:
    return ", ".join(f"{name} {sha[:12]} ({engine})" for name, sha, engine in models) or "no model"


class HeldLab:
    """Builds each image once, with another lab, and keeps the board that runs one open."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._built: dict[tuple[str, ...], Firmware] = {}
        self._held: HeldBoard | None = None
        self._lost = False

    def check(self, station: Station) -> None:
        """See `Lab.check`: a board that is held was found."""

    def build(self, image: Program, project: Path) -> Firmware:
        """See `Lab.build`."""
        if image.key not in self._built:
            self._built[image.key] = self._lab.build(image, project)
        return self._built[image.key]

    def hold(self, station: Station, firmware: Firmware | None = None) -> HeldBoard:
        """The board, opened (and started with ``firmware`` if emulated) on the first call."""
        if self._held is None:
            file = firmware.file if firmware else None
            self._held = HeldBoard(station.board, file, station.port)
        return self._held

    @contextmanager
    def open(
        self,
        station: Station,
        image: Program,  # noqa: ARG002 - the caller of `hold` has put it on the board
        firmware: Firmware,
    ) -> Iterator[Link]:
        """See `Lab.open`; the link stays open, and is opened again only after it was lost."""
        held = self.hold(station, firmware)
        if self._lost:
            held.reopen()
            self._lost = False
        try:
            yield held.link
        except (LinkError, NoAnswer):
            self._lost = True
            raise

    def unobservable(self, station: Station) -> str:
        """See `Lab.unobservable`: the board stays open with the firmware that it runs."""
        return f"board {station.name} is in use by a test; `hil bench` shows the layers"

    def close(self) -> None:
        """Close the board, if it is open."""
        if self._held:
            self._held.close()


@dataclass
class ChaosLab:
    """``lab`` with a `hil.link.chaos.ChaosLink` around every link that it opens.

    Every board has its own faults, drawn from the seed and its name; they continue on links that
    are opened again. A port cannot be opened while its cable is out. A reset restarts the board
    where that is possible: by its reset line, or by starting its emulator again.
    """

    lab: Lab
    chaos: Chaos
    clock: Callable[[], float] = time.monotonic  # of all its links
    _states: dict[str, ChaosState] = field(default_factory=dict)

    def check(self, station: Station) -> None:
        """See `Lab.check`."""
        self.lab.check(station)

    def build(self, image: Program, project: Path) -> Firmware:
        """See `Lab.build`."""
        return self.lab.build(image, project)

    @contextmanager
    def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
        """See `Lab.open`; LinkError also while the cable is out."""
        name = "/".join((station.name, *image.key))
        state = self._states.get(name)
        if state is None:
            seed = self.chaos.seed ^ zlib.crc32(name.encode())
            state = self._states[name] = ChaosState(replace(self.chaos, seed=seed))
        if state.out_until is not None and self.clock() < state.out_until:
            where = station.port or station.name
            raise LinkError(f"port {where} vanished (chaos: the cable is out)")
        state.lose_all()  # what was on the line that was closed
        with self.lab.open(station, image, firmware) as link:
            restart = _restart(station, link)
            yield ChaosLink(link, state.chaos, clock=self.clock, reset=restart, state=state)

    def unobservable(self, station: Station) -> str:
        """See `Lab.unobservable`."""
        return self.lab.unobservable(station)


def injected(link: Link) -> dict[str, int]:
    """How often each fault was injected so far, on all links of this board."""
    return link.injected if isinstance(link, ChaosLink) else {}


def _restart(station: Station, link: Link) -> Callable[[], None] | None:
    """How to restart the board behind ``link``; None when that is not possible."""
    line = station.board.serial.reset
    if isinstance(link, Resettable):
        return link.reset
    if not station.port:
        return _stop
    if line != "none" and isinstance(link, SerialLink):
        return lambda: link.pulse(line)
    return None


def _stop() -> None:
    """End the emulator: opening the board again starts a new one."""
    raise LinkError("the emulator was stopped (chaos: reset)")
