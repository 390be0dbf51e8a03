"""What this machine has and lacks for the main job, and the command that installs it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from hil.datasets import mnist
from hil.errors import HilError
from hil.platformio import find_project
from hil.platformio.build import core_folder
from hil.platformio.scons import ensure_scons
from hil.platformio.toolchain import COMPILERS

Need = Literal["required", "emulator", "optional"]

# program -> Debian packages that bring it
DEBIAN: Final = {
    COMPILERS["native"].program: COMPILERS["native"].packages,
    COMPILERS["mps2"].program: COMPILERS["mps2"].packages,
    "qemu-system-arm": ("qemu-system-arm",),
    COMPILERS["rv32"].program: COMPILERS["rv32"].packages,
    "qemu-system-riscv32": ("qemu-system-misc",),
}
# without these the firmware runs nowhere; without the others only not on mps2 or rv32
REQUIRED: Final = {COMPILERS["native"].program}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked for: ``fix`` is the command or step that brings it."""

    name: str
    ok: bool
    detail: str
    need: Need = "required"
    fix: str = ""
    packages: tuple[str, ...] = ()


def examine() -> Iterator[Check]:
    """Every check, cheapest first."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check(
        "Python",
        (3, 11) <= sys.version_info[:2] <= (3, 13),
        version,
        fix="use Python 3.11, 3.12 or 3.13",
    )
    yield _project()
    yield from map(_program, DEBIAN)
    yield _newlib()
    yield _picolibc()
    yield _module("platformio", "required", "pip install platformio==6.2.0")
    yield _build_tool()
    yield _module("tflite_micro", "optional", "pip install tflite-micro (Linux x86-64 only)")
    yield _module("keras", "optional", "pip install -e '.[train]' (only `hil train` needs it)")
    yield _mnist()


def missing_packages(checks: Iterable[Check]) -> tuple[str, ...]:
    """Debian packages that would mend the failed checks."""
    return tuple(dict.fromkeys(p for check in checks if not check.ok for p in check.packages))


def install(packages: tuple[str, ...]) -> str:
    """Install Debian packages if this user may; "" when done, else why not."""
    if not shutil.which("apt-get"):
        return "this is no Debian system"
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and (
        not shutil.which("sudo") or subprocess.run(["sudo", "-n", "true"], check=False).returncode
    ):
        return "not root, and sudo asks for a password"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(
            [*prefix, *words],
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    last = (done.stdout.strip().splitlines() or [""])[-1]
    return "" if done.returncode == 0 else f"apt-get said: {last}"


def apt_command(packages: tuple[str, ...]) -> str:
    """What a person types to install ``packages``."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get install {' '.join(packages)}"


def _program(name: str) -> Check:
    where = shutil.which(name)
    packages = DEBIAN[name]
    need: Need = "required" if name in REQUIRED else "emulator"
    return Check(name, bool(where), where or "not found", need, apt_command(packages), packages)


def _newlib() -> Check:
    packages = DEBIAN["arm-none-eabi-gcc"]
    compiler = shutil.which("arm-none-eabi-gcc")
    found = False
    if compiler:
        words = [compiler, "-mcpu=cortex-m7", "-mthumb", "-print-file-name=libc.a"]
        answer = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
        found = Path(answer).is_absolute()
    return Check(
        "newlib",
        found,
        "C library for Arm" if found else "not found",
        "emulator",
        apt_command(packages),
        packages,
    )


def _picolibc() -> Check:
    packages = DEBIAN["riscv64-unknown-elf-gcc"]
    compiler = shutil.which("riscv64-unknown-elf-gcc")
    found = False
    if compiler:
        words = [compiler, "-print-file-name=picolibc.specs"]
        answer = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
        found = Path(answer).is_absolute()
    detail = "C library for RISC-V" if found else "not found"
    return Check("picolibc", found, detail, "emulator", apt_command(packages), packages)


def _module(name: str, need: Need, fix: str) -> Check:
    found = importlib.util.find_spec(name) is not None
    return Check(name, found, "installed" if found else "not installed", need, fix)


def _build_tool() -> Check:
    """`pio run` without its build tool asks PlatformIO's registry, for a minute where that is
    out of reach; so it is put in place here and now."""
    try:
        ensure_scons(core_folder())
    except HilError as problem:
        return Check("PlatformIO's SCons", False, problem.what, "required", problem.hint)
    return Check("PlatformIO's SCons", True, "there, or PlatformIO can fetch it")


def _project() -> Check:
    try:
        return Check("project", True, str(find_project()))
    except HilError as problem:
        return Check("project", False, problem.what, "required", problem.hint)


def _mnist() -> Check:
    found = mnist.found("test")
    detail = "found" if found else "not on this machine: downloaded on first use, else `digits`"
    return Check("MNIST", found, detail, "optional", "HIL_DATA_DIR=<folder of the four IDX files>")
