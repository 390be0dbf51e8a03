# SPDX-License-Identifier: Apache-2.0
"""Which other programs have a serial port open: by /proc on Linux, by lsof elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hil.core.text import clean

PROC: Final = Path("/proc")
_MASTERS: Final = {"/dev/ptmx", "/dev/pts/ptmx"}
_MOST: Final = 4  # programs that are named
_TIME_LIMIT_S: Final = 5.0
_NAME: Final = 40  # characters


def programs_on(port: str, proc: Path = PROC) -> tuple[str, ...]:
    """``name (process N)`` of each other program that has ``port`` open, as far as this user may
    see it. Programs of other users are visible only to root."""
    if "://" in port or not Path(port).exists():
        return ()
    device = os.path.realpath(port)
    found = _by_proc(device, proc) if (proc / "self" / "fd").is_dir() else _by_lsof(device)
    mine = os.getpid(), os.getppid()
    others = {number: name for number, name in found if number not in mine}
    return tuple(f"{others[one]} (process {one})" for one in sorted(others))[:_MOST]


def _by_proc(device: str, proc: Path) -> Iterator[tuple[int, str]]:
    for folder in proc.glob("[0-9]*"):
        try:
            files = list((folder / "fd").iterdir())
        except OSError:  # another user's, or it has just ended
            continue
        targets = {_target(file) for file in files}
        # a program with the other end of a pty is the board, such as an emulator
        is_board = device.startswith("/dev/pts/") and not targets.isdisjoint(_MASTERS)
        if device in targets and not is_board:
            yield int(folder.name), _name(folder / "comm")


def _target(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:
        return ""


def _name(file: Path) -> str:
    try:
        return clean(file.read_text("utf-8", "replace").strip(), _NAME) or "a program"
    except OSError:
        return "a program"


def _by_lsof(device: str) -> Iterator[tuple[int, str]]:
    lsof = shutil.which("lsof")
    if lsof is None:
        return
    words = [lsof, "-F", "pc", "--", device]
    try:
        done = subprocess.run(words, capture_output=True, timeout=_TIME_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return
    number = 0
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        if line.startswith("p") and line[1:].isdigit():
            number = int(line[1:])
        elif line.startswith("c") and number:
            yield number, clean(line[1:], _NAME)
