# SPDX-License-Identifier: Apache-2.0
"""The compilers that PlatformIO envs with a platform of this project take from PATH."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformio
from platformio.dependencies import get_core_dependencies
from platformio.package.version import get_original_version

from hil.core.errors import ToolMissing, UsageError


@dataclass(frozen=True, slots=True)
class Compiler:
    """A program, and the Debian packages that bring it and what it links against.

    ``library`` is a file of the C library that the compiler must know; ``files`` come with
    packages that bring no program, and are looked for instead.
    """

    program: str
    packages: tuple[str, ...]
    library: str = ""
    files: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """The program, library and files that this machine lacks."""
        absent = [file for file in self.files if not Path(file).exists()]
        if not shutil.which(self.program):
            return [self.program, *absent]
        return [*([] if self._has_library() else [self.library]), *absent]

    def _has_library(self) -> bool:
        if not self.library:
            return True
        words = [self.program, f"-print-file-name={self.library}"]
        answer = subprocess.run(words, capture_output=True, text=True, check=False)
        return Path(answer.stdout.strip()).is_absolute()


COMPILERS: Final = {
    "native": Compiler("gcc", ("gcc", "g++", "libc6-dev")),
    "mps2": Compiler(
        "arm-none-eabi-gcc",
        (
            "gcc-arm-none-eabi",
            "libnewlib-arm-none-eabi",
            "libstdc++-arm-none-eabi-newlib",
        ),
        library="libc.a",
    ),
    "rv32": Compiler(
        "riscv64-unknown-elf-gcc",
        ("gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf"),
        library="picolibc.specs",
    ),
    "lx106": Compiler(
        "xtensa-lx106-elf-gcc",
        ("gcc-xtensa-lx106", "picolibc-xtensa-lx106-elf"),
        files=("/usr/lib/xtensa-lx106-elf/picolibc.specs",),  # not where the compiler looks
    ),
    "mega2560": Compiler(
        "avr-gcc",
        (
            *("gcc-avr", "avr-libc", "arduino-core-avr"),
            *("gcc", "libc6-dev", "libsimavr-dev", "libelf-dev"),  # for the runner
        ),
        files=(
            "/usr/lib/avr/include/avr/io.h",
            "/usr/share/arduino/hardware/arduino/avr/cores/arduino/Arduino.h",
            "/usr/include/simavr/sim_avr.h",
            "/usr/include/libelf.h",
        ),
    ),
}


def require_compiler(env: str) -> None:
    """ToolMissing, with the command that installs it, when the compiler of ``env`` is absent."""
    compiler = COMPILERS.get(env)
    if compiler and (missing := compiler.missing):
        raise ToolMissing(
            f"{missing[0]} is not installed, and board env {env} is built with it",
            f"install it: sudo apt-get install {' '.join(compiler.packages)}",
        )


_REACH_S: Final = 3.0
_START: Final = """\
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from SCons.Script import main

main()
"""


def ensure_scons(core: Path) -> None:
    """Put tool-scons into the core folder, unless it is there or PlatformIO can fetch it."""
    target = core / "packages" / "tool-scons"
    if target.exists() or _registry_answers():
        return
    source = _installed_scons()
    version = str(get_core_dependencies()["tool-scons"]).lstrip("~=^")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".scons-") as folder:
        made = Path(folder) / "tool-scons"
        shutil.copytree(
            source, made / "SCons", ignore=shutil.ignore_patterns("__pycache__", "Tool/docbook")
        )
        (made / "scons.py").write_text(_START)
        (made / "package.json").write_text(json.dumps({"name": "tool-scons", "version": version}))
        (made / ".piopm").write_text(json.dumps(_origin(version)))
        try:
            made.rename(target)
        except OSError:
            if not target.exists():  # another process may have made it meanwhile
                raise


def _origin(version: str) -> dict[str, object]:
    """PlatformIO's note of where a package came from; the owner makes it match."""
    spec = {"owner": "platformio", "id": None, "name": "tool-scons"}
    return {
        "type": "tool",
        "name": "tool-scons",
        "version": version,
        "spec": {**spec, "requirements": None, "uri": None},
    }


def _installed_scons() -> Path:
    wanted = get_original_version(str(get_core_dependencies()["tool-scons"]).lstrip("~=^"))
    found = importlib.util.find_spec("SCons")
    if found is None or not found.submodule_search_locations:
        raise ToolMissing(
            "PlatformIO's registry cannot be reached, and its build tool is not installed",
            f"pip install scons=={wanted}",
        )
    return Path(found.submodule_search_locations[0])


def _registry_answers() -> bool:
    for host in platformio.__registry_mirror_hosts__:
        try:
            socket.create_connection((f"api.{host}", 443), timeout=_REACH_S).close()
        except OSError:
            continue
        return True
    return False


def find_project(start: Path | None = None) -> Path:
    """The nearest folder, from ``start`` (the current one) upwards, that is a checkout of this
    project; else the one this package was installed from. UsageError when neither is."""
    here = (start or Path.cwd()).resolve()
    installed = Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, installed):
        if (folder / "platformio.ini").is_file() and (folder / "firmware").is_dir():
            return folder
    raise UsageError(
        f"{here} is not inside a checkout of this project", "cd into your clone and run it there"
    )
