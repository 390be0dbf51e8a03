"""Whose a byte of a firmware is: by the object that it comes from, and what that calls it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from hil.platformio.link_map import Piece

MODEL: Final = "model"  # "model NAME": weights and other constants of one network
ARENA: Final = "arena"
ENGINE: Final = "engine"
FIRMWARE: Final = "firmware"
FRAMEWORK: Final = "board's core"
LIBRARY: Final = "C library"
STARTUP: Final = "start-up"
PADDING: Final = "padding"
UNKNOWN: Final = "unknown"

# the linker's own, which the map puts to the account of the first object
_LINKED: Final = re.compile(
    r"\.(interp|note\..*|gnu\..*|dynsym|dynstr|dynamic|hash|rela?\..*|plt.*|got.*|iplt|glue_7t?"
    r"|vfp11_veneer|v4_bx|igot.*|eh_frame_hdr)"
)
_START: Final = re.compile(r"[gSM]?crt\w*\.o")
_LIBRARY: Final = re.compile(
    r"lib(c|g|m|gcc|gcc_\w+|stdc\+\+|supc\+\+|nosys|rdimon|gloss|semihost|picolibc|dummyhost"
    r"|c_nonshared|newlib|(atmega|attiny|at90)\w+|printf_\w+|scanf_\w+)(_nano|-\w+)?\.a"
)
# of our own libraries (firmware/lib), by the archives that PlatformIO makes of them
_OURS: Final = re.compile(r"libhil_(wire|session|engine)\.a")
_ENGINE: Final = re.compile(
    r"lib(hil_tflm|esp-tflite-micro|esp-nn|\w*tflite\w*|\w*cmsis.?nn\w*)\.a"
)
_CODE: Final = re.compile(r"\.(text|literal|iram\d*|init|fini)\b")
_SYMBOL: Final = re.compile(
    r"\.(?:rodata|srodata|data\.rel\.ro\.local|data\.rel\.ro|data|sdata|progmem\.data"
    r"|flash\.rodata|sbss|bss)\.(.+)"
)
_ARENA: Final = re.compile(r"(?:_ZN?L?(?:12_GLOBAL__N_1)?5arenaE?|arena)")


def owner(piece: Piece, models: Sequence[str]) -> str:
    """Who has the bytes of ``piece``; ``models`` are the names of the image's networks."""
    found = _SYMBOL.fullmatch(piece.name)
    symbol = found[1] if found else ""
    if not piece.file:  # a symbol, of a firmware without a link map
        if _ARENA.fullmatch(symbol):
            return ARENA
        return _model(symbol, models) or UNKNOWN
    if _LINKED.fullmatch(piece.name) or piece.file == "linker stubs":
        return STARTUP
    archive, _, member = piece.file.removesuffix(")").partition("(")
    path = PurePosixPath(archive.replace("\\", "/"))
    if path.name == "hil_image.o" or member == "hil_image.o":
        constant = "" if _CODE.match(piece.name) else _model(symbol, models)
        return constant or ENGINE
    if "bakenn" in path.parts and symbol:
        return _model(symbol.removeprefix("bknn_"), models) or ENGINE
    return _of_file(path, symbol)


def _of_file(path: PurePosixPath, symbol: str) -> str:
    folders = path.parts[:-1]
    if _START.fullmatch(path.name) or "bsp" in folders:
        return STARTUP
    if _LIBRARY.fullmatch(path.name):
        return LIBRARY
    if _ENGINE.fullmatch(path.name) or {"tflm", "hil_tflm", "bakenn"} & set(folders):
        return ENGINE
    if _OURS.fullmatch(path.name) or folders[-1:] in (("src",), ("port",)):
        return ARENA if _ARENA.fullmatch(symbol) else FIRMWARE
    core = path.name in ("libcore.a", "libFrameworkArduino.a", "libFrameworkArduinoVariant.a")
    if core or any(part.startswith(("framework-", "FrameworkArduino")) for part in folders):
        return FRAMEWORK
    return UNKNOWN


def _model(symbol: str, models: Sequence[str]) -> str:
    """The network whose constant this is, by its generated name; the longest that fits."""
    fitting = [name for name in models if symbol.startswith(f"{name}_")]
    return f"{MODEL} {max(fitting, key=len)}" if fitting else ""
