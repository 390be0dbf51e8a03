# SPDX-License-Identifier: Apache-2.0
"""One firmware image: write its C sources, compile and link them by `pio run`, flash it, and find
the reason of a failure in the log."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final, Literal, TypeAlias

from hil.core.errors import (
    BuildFailed,
    ConfigError,
    DoesNotFit,
    FlashTooSmall,
    HilError,
    WrongCompiler,
)
from hil.core.files import locked, sha256
from hil.core.text import storable, strip_ansi
from hil.engines import CompiledModel, Models, sources, write_image
from hil.firmware.footprint import compiler_of
from hil.firmware.project import cache_folder, firmware_tree
from hil.firmware.toolchain import ensure_scons, require_compiler
from hil.link.serial_port import cannot_open
from hil.tflite import Graph
from hil.wire.diagnosis import BUILD, UPLOAD, diagnose

# GNU ld, for a MEMORY region of the linker script
_REGION: Final = re.compile(r"region [`'](\S+)' overflowed by (\d+) bytes")
# GNU ld, for a section that grew into the stack at the end of RAM
_STACK: Final = re.compile(
    r"section \.stack VMA \[([0-9a-f]+),[0-9a-f]+\] overlaps "
    r"section \S+ VMA \[[0-9a-f]+,([0-9a-f]+)\]"
)
# GNU ld for an AVR, whose data addresses begin at 0x800000, the SRAM of an ATmega2560 at 0x200
_AVR: Final = re.compile(
    r"address 0x80([0-9a-f]{4}) of \S+ section \S+ is not within region `data'"
)
_AVR_SRAM: Final = 0x200
# PlatformIO, for a linked image
_SIZE: Final = re.compile(
    r"The (program|data) size \((\d+) bytes\) is greater than maximum allowed"
)

# an ESP32's memories for code and deep sleep, which networks do not use
_OTHER: Final = ("iram0_0_", "rtc_")
# esptool; the reason follows, usually with an errno
_COULD_NOT_OPEN: Final = re.compile(
    r"Could not open \S+, the port is busy or doesn't exist\.?"
    r"\s*(?:\((?:\[Errno (\d+)\] )?([^\r\n]*)\))?"
)
# linkers do not write "error"; -Werror does not count
_NAMES_AN_ERROR: Final = re.compile(
    r"(?<!W)error\b|undefined reference|multiple definition|cannot find -l|dangerous relocation",
    re.IGNORECASE,
)
_TOOLCHAIN: Final = re.compile(r"^ - (toolchain-[\w-]+ @ [\w.+~-]+)", re.MULTILINE)
# environment variables that change the image
_CHOICES: Final = (
    "HIL_BAKENN",
    "HIL_CMSIS_NN_DIR",
    "HIL_ESP_NN_DIR",
    "HIL_MARKER_PIN",
    "HIL_MLPERF_ENERGY",
    "HIL_TFLM_DIR",
    "HIL_TFLM_KERNELS",
)
_STEP: Final = re.compile(
    r"(?P<verb>Compiling|Archiving|Indexing|Linking|Checking|Building|Uploading|Downloading"
    r"|Unpacking) (?P<file>\S+)"
)
Tell: TypeAlias = Callable[[str], None]
KERNELS_FILE: Final = "kernels.txt"  # in the build folder, from firmware/scripts


@dataclass(frozen=True, slots=True)
class BuiltFirmware:
    """A linked image, its compiler, its models as C code, and whose kernels compute them.

    ``kernels`` is empty for an engine that has only its own.
    """

    elf: Path
    sha256: str
    toolchain: str
    compiled: tuple[CompiledModel, ...]
    kernels: str = ""


def build(
    env: str,
    models: Models,
    engine: str,
    project: Path,
    *,
    layers: bool = False,
    sketch: Path | None = None,
    tell: Tell | None = None,
    fault: str | None = None,
    slot: str = "",
) -> BuiltFirmware:
    """Build PlatformIO env ``env`` of ``project``'s firmware with ``models``, in order, by
    ``engine``.

    With ``sketch`` (an .ino file or the folder of a sketch), that is built, and not ``models``.
    With ``layers`` it answers layer by layer (docs/protocol.md). ``tell`` gets each step in words.
    ``fault`` breaks layers (`hil.engines.write_image`); None: what the environment variable
    HIL_FAULT says. Each image has its own build folder, so that switching between images compiles
    nothing; images of the same ``slot`` share one, so that only what differs is compiled. Raises
    what `write_image` raises, ToolMissing without a compiler, BuildFailed with the compiler's first
    error.
    """
    special = _Special(layers, sketch, fault, slot)
    return _run(env, models, engine, project, special, tell=tell)


def upload(
    env: str,
    models: Models,
    engine: str,
    project: Path,
    port: str,
    *,
    layers: bool = False,
    needs: int = 0,
    sketch: Path | None = None,
    tell: Tell | None = None,
    fault: str | None = None,
    slot: str = "",
) -> BuiltFirmware:
    """`build`, then flash the board on ``port``, whose flash must have ``needs`` bytes.

    Raises what `build` raises, and for a failed upload LinkError, NoAnswer, WrongChip,
    FlashTooSmall, or BuildFailed with a quotation if the reason is unknown.
    """
    special = _Special(layers, sketch, fault, slot)
    return _run(env, models, engine, project, special, port, needs, tell)


@dataclass(frozen=True, slots=True)
class _Special:
    """How an image differs from that of some models and an engine."""

    layers: bool
    sketch: Path | None
    fault: str | None
    slot: str

    @property
    def broken(self) -> str:
        """The faults of its layers."""
        return os.environ.get("HIL_FAULT", "") if self.fault is None else self.fault


def _run(
    env: str,
    models: Models,
    engine: str,
    project: Path,
    special: _Special,
    port: str | None = None,
    needs: int = 0,
    tell: Tell | None = None,
) -> BuiltFirmware:
    sketch = special.sketch
    tell = tell or _nobody
    require_compiler(env)
    tree = firmware_tree(project)
    _require_path(tree)
    found = sources.environment(engine) | envs_of(project)
    name = _image_name(env, models, engine, special, found)
    folder = tree / ".pio" / "images" / name
    folder.mkdir(parents=True, exist_ok=True)
    ensure_scons(core_folder())
    # beside the folder: PlatformIO empties it when platformio.ini changes
    generated, log = folder.with_suffix(".image"), folder.with_suffix(".log")
    environment = pio_environment() | {
        **found,
        "PLATFORMIO_BUILD_DIR": str(folder),
        "HIL_IMAGE_DIR": str(generated),
        "HIL_ENGINE": engine,  # platformio.ini reads it: an engine may need libraries
        "HIL_SKETCH": str(sketch.resolve()) if sketch else "",
    }
    words = ("-t", "upload", "--upload-port", port) if port else ()
    with locked(folder.with_suffix(".lock")), log.open("wb") as output:
        image = None
        if sketch is None:
            tell(f"generating C for {', '.join(name for name, _ in models)}")
            image = write_image(
                engine, models, generated, layers=special.layers, fault=special.broken
            )
        tell("starting PlatformIO")
        command = [sys.executable, "-m", "platformio", "run", "-d", str(tree), "-e", env, *words]
        status = _logged(command, environment, output, tell)
    if status:
        raise failure(env, log, port)
    if port:
        _check_flash(_text(log), port, needs)
    elf = _find_elf(folder / env)
    compiled = image.compiled if image else ()
    return BuiltFirmware(elf, sha256(elf), compiler_of(elf), compiled, _kernels(folder / env))


def _logged(
    command: Sequence[str], environment: Mapping[str, str], log: BinaryIO, tell: Tell
) -> int:
    """Run ``command``, with its output in ``log``; its exit status."""
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                log.write(line)
                if step := step_of(line.decode(errors="replace")):
                    tell(step)
        except BaseException:  # Ctrl-C
            process.kill()
            raise
    return process.returncode


def step_of(line: str) -> str:
    """What PlatformIO says in ``line`` that it does now, in words; empty for other lines."""
    found = _STEP.match(line)
    if found is None:
        return ""
    return f"{found['verb'].lower()} {Path(found['file']).name.removesuffix('.o')}"


def _nobody(_: str) -> None:
    """Nobody is watching."""


def envs_of(project: Path) -> dict[str, str]:
    """The variable with which `platformio.ini` also reads the envs of the user's own boards."""
    folder = project / "boards"
    return {"HIL_ENVS": f"{glob.escape(str(folder))}/*.ini"} if any(folder.glob("*.ini")) else {}


def _kernels(folder: Path) -> str:
    file = folder / KERNELS_FILE
    return file.read_text("utf-8").strip() if file.is_file() else ""


def core_folder() -> Path:
    """Where PlatformIO keeps its packages: $PLATFORMIO_CORE_DIR, or its own default in the user's
    home, or, if the home cannot be written, a folder of the user's cache."""
    if chosen := os.environ.get("PLATFORMIO_CORE_DIR"):
        return Path(chosen)
    home = Path("~").expanduser()
    if (home / ".platformio").is_dir() or os.access(home, os.W_OK):
        return home / ".platformio"
    return cache_folder().parent / "platformio"


def pio_environment() -> dict[str, str]:
    """The environment of every `pio` process: without colours, telemetry and update checks."""
    return {
        **os.environ,
        "PLATFORMIO_CORE_DIR": str(core_folder()),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_NO_ANSI": "true",
        "HIL_PYTHON": sys.executable,
    }


def _require_path(tree: Path) -> None:
    """ConfigError if PlatformIO cannot build in ``tree``."""
    if "$" in str(tree):
        why, without = "build tool expands the '$' in the path", "'$'"
    elif storable(str(tree)) != str(tree):
        why, without = "files are UTF-8, and a name in the path is not", "such a name"
    else:
        return
    move = "set XDG_CACHE_HOME" if tree.is_relative_to(cache_folder()) else "move the project"
    raise ConfigError(
        f"cannot build in {tree}: PlatformIO's {why}", f"{move} to a path without {without}"
    )


def _image_name(
    env: str,
    models: Models,
    engine: str,
    special: _Special,
    found: Mapping[str, str] = MappingProxyType({}),
) -> str:
    chosen = [f"{key}={os.environ[key]}" for key in _CHOICES if os.environ.get(key)]
    chosen += [f"{key}={value}" for key, value in found.items()]
    files = [f"{name}={_identity(model)}" for name, model in models]
    if special.slot:
        files = [f"slot={special.slot}"]
    elif special.broken:
        files.append(f"HIL_FAULT={special.broken}")
    words = "\0".join([engine, *chosen, *files, *(["layers"] if special.layers else [])])
    words += f"\0{special.sketch.resolve()}" if special.sketch else ""
    return f"{env}-{hashlib.sha256(os.fsencode(words)).hexdigest()[:10]}"


def _identity(model: Path | Graph) -> str:
    """The path of a model, or its hash if it was never in a file."""
    if not isinstance(model, Graph):
        return str(model.resolve())
    return str(model.path.resolve()) if model.path else model.sha256


def _find_elf(folder: Path) -> Path:
    for name in ("firmware.elf", "program"):
        if (folder / name).is_file():
            return folder / name
    raise BuildFailed(f"PlatformIO built no image in {folder}", "see the .log file beside it")


@dataclass(frozen=True, slots=True)
class Overflow:
    """``needs`` bytes in all, or, if the log has only that, ``over`` bytes too many."""

    memory: Literal["flash", "ram"]
    needs: int = 0
    over: int = 0


def find_overflow(log: str) -> Overflow | None:
    """The memory that is too small by a build's log, flash first; None if none is."""
    if match := _SIZE.search(log):
        return Overflow("flash" if match[1] == "program" else "ram", needs=int(match[2]))
    regions = [
        (_memory(name), int(over))
        for name, over in _REGION.findall(log)
        if not name.startswith(_OTHER)
    ]
    if regions:
        kind = min((memory for memory, _ in regions), key=("flash", "ram").index)
        return Overflow(kind, over=max(over for memory, over in regions if memory == kind))
    if ends := _AVR.findall(log):
        return Overflow("ram", needs=max(int(end, 16) for end in ends) - _AVR_SRAM)
    if match := _STACK.search(log):
        return Overflow("ram", over=int(match[2], 16) - int(match[1], 16) + 1)
    return None


def _memory(region: str) -> Literal["flash", "ram"]:
    """The kind of a region: dram0_0_seg, RAM and data are RAM, the rest is flash, including an
    ESP32's iram0_2_seg, which maps flash for instructions."""
    name = region.lower().removeprefix("iram0_2_")
    return "ram" if "ram" in name or name.startswith(("data", "bss")) else "flash"


def failure(env: str, log: Path, port: str | None = None) -> HilError:
    """Why `pio run` failed, by its ``log``; with ``port`` it was an upload.

    A symptom of `hil.wire.diagnosis` if one matches; else the first line that names an error; else
    the last line before SCons reports the failed step (dfu-util and avrdude do not write "error").
    """
    text = _text(log)
    doing = f"flashing {env}" if port else f"building {env}"
    whole = f"the whole log: {log}"
    if found := find_overflow(text):
        amount = f"{found.needs:,} bytes" if found.needs else f"{found.over:,} bytes too many"
        return DoesNotFit(
            f"{doing} failed: the image does not fit the board's {found.memory} ({amount})",
            f"choose a smaller network, or a larger board; {whole}",
            memory=found.memory,
            needs=found.needs,
            over=found.over,
        )
    if port and (refused := _COULD_NOT_OPEN.search(text)):
        return cannot_open(port, OSError(int(refused[1] or 0), refused[2] or refused[0]))
    if known := (port and diagnose(text, UPLOAD)) or diagnose(text, BUILD):
        problem = known.error(port if port and known.symptom in UPLOAD else env)
        used = ", ".join(_TOOLCHAIN.findall(text)) if isinstance(problem, WrongCompiler) else ""
        what = f"{problem.what} (installed: {used})" if used else problem.what
        return type(problem)(what, f"{problem.hint}; {whole}")
    lines = text.splitlines()
    if any("HTTPClientError" in line for line in lines):
        return BuildFailed(
            f"{doing} needs packages from PlatformIO's registry, which cannot be reached",
            f"connect this machine to the network once; {whole}",
        )
    step = next((i for i, line in enumerate(lines) if re.match(r"\*\*\* \[", line)), len(lines))
    before = [line for line in lines[:step] if line.strip()]
    named = [line for line in before if _NAMES_AN_ERROR.search(line)]
    said = (named or before[-1:] or ["nothing"])[0]
    return BuildFailed(f"{doing} failed: {said.strip()[:300]}", whole)


def _text(log: Path) -> str:
    return strip_ansi(log.read_text(errors="replace"))


def _check_flash(text: str, port: str, needs: int) -> None:
    """FlashTooSmall if the uploader saw less flash than needed and uploaded anyway."""
    if (warned := diagnose(text, UPLOAD)) and warned.symptom.error is FlashTooSmall:
        raise warned.error(port)
    detected = re.search(r"Auto-detected [Ff]lash size: (\d+)([KM])B", text)
    if detected and (has := int(detected[1]) << (20 if detected[2] == "M" else 10)) < needs:
        raise FlashTooSmall(
            f"the board on {port} has {has:,} bytes of flash, but its firmware may take "
            f"{needs:,} (memory.flash in its board file)",
            "use a board with more flash, or set a smaller app partition in its file and its env",
        )
