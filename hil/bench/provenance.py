"""Where figures come from: this machine, these packages, this commit."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from hil.boards.config import Board
from hil.runlog.schema import Git, Host

PACKAGES: Final = (
    "ai-edge-litert",
    "numpy",
    "platformio",
    "pyserial",
    "scipy",
    "tflite-micro",
    "tinyml-hil",
)


def host() -> Host:
    """The machine and the versions of what a figure may depend on."""
    return Host(
        platform=platform.platform(),
        cpu=_cpu(),
        python=platform.python_version(),
        packages={name: version for name in PACKAGES if (version := _version(name))},
    )


def git_state(project: Path) -> Git | None:
    """The commit of the checkout, None outside of one."""
    try:
        commit = _git(project, "rev-parse", "HEAD")
        return Git(commit=commit, dirty=bool(_git(project, "status", "--porcelain", "-uno")))
    except (OSError, subprocess.SubprocessError):
        return None


def emulator_version(board: Board) -> str:
    """QEMU's first line on itself: its counts may depend on it. Empty for any other board; the
    runner of simavr and the host process are built from this checkout."""
    program = board.emulator.command[0] if board.emulator else ""
    return _says(program) if program.startswith("qemu") else ""


@cache
def _says(program: str) -> str:
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return next(iter(done.stdout.splitlines()), "").strip()


def _git(project: Path, *words: str) -> str:
    command = ["git", "-C", str(project), *words]  # the git on PATH
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
