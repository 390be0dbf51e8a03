"""Which board this machine can run without anything attached."""

from __future__ import annotations

import shutil
from pathlib import Path

from hil.boards.config import Board, load_board
from hil.platformio.toolchain import COMPILERS


def missing_tools(board: Board) -> list[str]:
    """Programs and files that building or running ``board`` needs and this machine lacks."""
    missing = COMPILERS[board.pio_env].missing if board.pio_env in COMPILERS else []
    if board.emulator:
        programs = [words[0] for words in (board.emulator.command, *board.emulator.prepare)]
        missing += [tool for tool in programs if "{" not in tool and not shutil.which(tool)]
    return missing


def choose_board(project: Path | None = None) -> tuple[str, str]:
    """The emulated Cortex-M7 when it can be had, else the host process; with a note why."""
    missing = missing_tools(load_board("mps2", project))
    if not missing:
        return "mps2", ""
    return (
        "native",
        f"{' and '.join(missing)} not installed, so the firmware runs as a process of this "
        "machine (board native): answers, but no time; `hil doctor` says how to install them",
    )
