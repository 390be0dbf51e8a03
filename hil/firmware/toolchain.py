# SPDX-License-Identifier: Apache-2.0
"""What a build needs on this machine: a compiler on PATH for the emulated boards, and PlatformIO's
build tool SCons."""

from __future__ import annotations

import configparser
import importlib.util
import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import platformio
from platformio.dependencies import get_core_dependencies
from platformio.package.version import get_original_version

from hil.core.errors import StorageError, ToolMissing
from hil.firmware.project import installed_tree

_EMULATED: Final = "symlink://${PROJECT_DIR}/firmware/platforms/"
_REACH_S: Final = 3.0  # limit of a connection to PlatformIO's registry
_START: Final = """\
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from SCons.Script import main

main()
"""


@dataclass(frozen=True, slots=True)
class Compiler:
    """The compilers of a board, and the Debian packages that contain them and their libraries.

    ``libraries`` are files that a compiler must find, by the compiler; ``files`` are files of
    packages without a program.
    """

    programs: tuple[str, ...]
    packages: tuple[str, ...]
    libraries: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """The programs, libraries and files that are not installed."""
        programs = [name for name in self.programs if not shutil.which(name)]
        libraries = [
            file for name, file in self.libraries if name not in programs and not _finds(name, file)
        ]
        return [*programs, *libraries, *(file for file in self.files if not Path(file).exists())]


def _finds(compiler: str, library: str) -> bool:
    words = [compiler, f"-print-file-name={library}"]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    return Path(answer.stdout.strip()).is_absolute()


_HOST: Final = Compiler(
    ("gcc", "g++"),
    ("gcc", "g++", "libc6-dev"),
    libraries=(("gcc", "crt1.o"),),
)
_AVR: Final = Compiler(
    ("avr-gcc", "avr-g++", "gcc"),  # the last one is for the runner
    (
        *("gcc-avr", "avr-libc", "arduino-core-avr"),
        *("gcc", "libc6-dev", "libsimavr-dev", "libelf-dev"),
    ),
    libraries=(("gcc", "crt1.o"),),
    files=(
        "/usr/lib/avr/include/avr/io.h",
        "/usr/share/arduino/hardware/arduino/avr/cores/arduino/Arduino.h",
        "/usr/include/simavr/sim_avr.h",
        "/usr/include/libelf.h",
    ),
)
# by `build.toolchain` of the board's JSON file
BARE_METAL: Final = {
    "arm-none-eabi": Compiler(
        ("arm-none-eabi-gcc", "arm-none-eabi-g++"),
        (
            "gcc-arm-none-eabi",
            "libnewlib-arm-none-eabi",
            "libstdc++-arm-none-eabi-newlib",
        ),
        libraries=(("arm-none-eabi-gcc", "libc.a"), ("arm-none-eabi-g++", "libstdc++.a")),
    ),
    "riscv64-unknown-elf": Compiler(
        ("riscv64-unknown-elf-gcc", "riscv64-unknown-elf-g++"),
        ("gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf"),
        libraries=(("riscv64-unknown-elf-gcc", "picolibc.specs"),),
    ),
    "xtensa-lx106-elf": Compiler(
        ("xtensa-lx106-elf-gcc", "xtensa-lx106-elf-g++"),
        ("gcc-xtensa-lx106", "picolibc-xtensa-lx106-elf"),
        files=("/usr/lib/xtensa-lx106-elf/picolibc.specs",),  # not where the compiler looks
    ),
}


@cache
def compilers() -> Mapping[str, Compiler]:
    """The compiler of each PlatformIO env that builds with one of PATH."""
    tree = installed_tree()
    found = {"native": _HOST}
    for env, options in emulated_envs(tree / "platformio.ini").items():
        board = tree / "firmware" / "platforms" / options["platform"] / "boards"
        file = board / f"{options['board']}.json"
        if prefix := json.loads(file.read_text("utf-8"))["build"].get("toolchain"):
            found[env] = BARE_METAL[prefix]
    return MappingProxyType({**found, "mega2560": _AVR})


def emulated_envs(file: Path) -> Mapping[str, Mapping[str, str]]:
    """The envs of emulated boards in a `platformio.ini`: name -> platform, board and port."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text("utf-8"))
    except OSError as problem:
        raise StorageError(f"cannot read {file} ({problem.strerror})", "reinstall it") from problem
    return {
        section.removeprefix("env:"): {
            "platform": options["platform"].removeprefix(_EMULATED),
            "board": options["board"],
            "port": options["custom_hil_port"],
        }
        for section, options in parser.items()
        if options.get("platform", "").startswith(_EMULATED)
    }


def require_compiler(env: str) -> None:
    """ToolMissing, with the command that installs it, if the compiler of ``env`` is missing."""
    compiler = compilers().get(env)
    if compiler and (missing := compiler.missing):
        raise ToolMissing(
            f"{missing[0]} is not installed, and env {env} needs it",
            f"install it: sudo apt-get install {' '.join(compiler.packages)}",
        )


def ensure_scons(core: Path) -> None:
    """Install tool-scons into the core folder, unless it is there or PlatformIO can download it.

    Raises:
        ToolMissing: neither the registry nor the package scons is there.
        StorageError: the core folder cannot be written.
    """
    target = core / "packages" / "tool-scons"
    if target.exists() or registry_answers():
        return
    source = _installed_scons()
    try:
        _copy_scons(source, target)
    except OSError as problem:
        if not target.exists():  # another process may have installed it
            raise StorageError(
                f"cannot install PlatformIO's build tool in {target} "
                f"({problem.strerror or problem})",
                "free space, or set PLATFORMIO_CORE_DIR to a folder that can be written",
            ) from problem


def _copy_scons(source: Path, target: Path) -> None:
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
        made.rename(target)


def _origin(version: str) -> dict[str, object]:
    """PlatformIO's record of a package's origin; it looks for the owner."""
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


def registry_answers() -> bool:
    for host in platformio.__registry_mirror_hosts__:
        try:
            socket.create_connection((f"api.{host}", 443), timeout=_REACH_S).close()
        except OSError:
            continue
        return True
    return False
