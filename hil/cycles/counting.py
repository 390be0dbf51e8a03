# SPDX-License-Identifier: Apache-2.0
"""How often each instruction of an image ran during one inference, counted by a plugin of QEMU."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from hil.boards.config import Board
from hil.core.errors import ToolMissing, UsageError

_STOPWATCH: Final = ("stopwatch_start", "stopwatch_stop")  # functions of every port
CALIBRATION: Final = 4  # windows with an empty invoke, which the firmware measures at boot


@dataclass(frozen=True, slots=True)
class Window:
    """What ran between the stopwatch's start and its stop.

    ``runs``: address of an instruction -> how often it ran. ``jumps``: how often execution went
    from the last instruction of a block to the first one of another, which may be the next.
    """

    runs: dict[int, int]
    jumps: dict[tuple[int, int], int]

    @property
    def instructions(self) -> int:
        return sum(self.runs.values())

    def less(self, empty: Window) -> Window:
        """Without the stopwatch itself: ``empty`` is a window around an empty invoke."""
        runs = {at: n - empty.runs.get(at, 0) for at, n in self.runs.items()}
        jumps = {at: n - empty.jumps.get(at, 0) for at, n in self.jumps.items()}
        return Window(
            {at: n for at, n in runs.items() if n},
            {at: n for at, n in jumps.items() if n},
        )


def compiled(folder: Path) -> Path:
    """The plugin, compiled by the host's gcc.

    Raises:
        ToolMissing: There is no gcc, or it failed.
    """
    source = resources.files("hil.cycles") / "counts.c"
    library = folder / "counts.so"
    words = ["gcc", "-std=c11", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-x", "c", "-"]
    try:
        subprocess.run(
            [*words, "-o", str(library)],
            input=source.read_bytes(),
            check=True,
            capture_output=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError) as problem:
        raise ToolMissing(
            "QEMU's plugin that counts instructions cannot be compiled",
            "install it: sudo apt-get install gcc libc6-dev",
        ) from problem
    return library


def counted(board: Board, elf: Path, library: Path, out: Path) -> Board:
    """``board`` with an emulator that writes the windows of its stopwatch to ``out``.

    Raises:
        UsageError: The board's emulator is not QEMU, or its firmware has no such stopwatch.
    """
    emulator = board.emulator
    if emulator is None or not emulator.command[0].startswith("qemu-system-"):
        raise UsageError(
            f"{board.name} does not run in QEMU, so its instructions cannot be counted one by one",
            "use a board that QEMU emulates, e.g. mps2",
        )
    start, stop = (_address(elf, name) for name in _STOPWATCH)
    plugin = f"{library},start={start},stop={stop},out={out}"
    braces = plugin.replace("{", "{{").replace("}", "}}")
    command = (*emulator.command, "-plugin", braces)
    return msgspec.structs.replace(
        board, emulator=msgspec.structs.replace(emulator, command=command)
    )


def _address(elf: Path, name: str) -> int:
    with elf.open("rb") as stream:
        for section in ELFFile(stream).iter_sections():
            if isinstance(section, SymbolTableSection):
                for symbol in section.get_symbol_by_name(name) or ():
                    return int(symbol["st_value"]) & ~1  # bit 0: Thumb
    raise UsageError(
        f"{elf.name} has no function {name}", "use firmware that `hil bench` builds for the board"
    )


def windows(text: str) -> Iterator[Window]:
    """The windows that the plugin wrote, in order; a last one that is not complete is left out."""
    runs: dict[int, int] = {}
    jumps: dict[tuple[int, int], int] = {}
    for line in text.splitlines():
        kind, *rest = line.split()
        if kind == "end":
            yield Window(runs, jumps)
            runs, jumps = {}, {}
        else:
            first, second, count = map(int, rest)
            if kind == "i":
                runs[first] = count
            else:
                jumps[first, second] = count
