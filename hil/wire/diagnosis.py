# SPDX-License-Identifier: Apache-2.0
"""Known texts of boards, uploaders and compilers -> one clear error each.

Each table is searched from the top: the first pattern that occurs is the diagnosis. To recognise
another message, add a `Symptom` with its pattern, error class, message and hint. Both are format
strings over the pattern's named groups, ``{where}`` (the port or the env) and ``{said}`` (what
matched). Everything quoted is untrusted: it is shortened, and `HilError` hides control characters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hil.core.errors import (
    BoardCrashed,
    FlashTooSmall,
    HilError,
    LinkError,
    NoAnswer,
    NotAttached,
    NotRunning,
    UsageError,
    WrongChip,
    WrongCompiler,
)
from hil.core.text import shorten, strip_ansi
from hil.wire.panics import HEADS, panics, text_of

HEARD: Final = 8192  # latest bytes to search: a panic and a boot of an ESP32 are 2 KB
_QUOTED: Final = 200  # characters


@dataclass(frozen=True, slots=True)
class Symptom:
    """One known message. ``times``: how often it must occur."""

    pattern: re.Pattern[str]
    error: type[HilError]
    what: str
    hint: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A symptom that was found; ``said`` is the matching text."""

    symptom: Symptom
    said: str
    groups: dict[str, str]

    def error(self, where: str) -> HilError:
        """The error to raise. ``where`` is the port, or the env that was built."""
        words = {**self.groups, "where": where, "said": self.said}
        return self.symptom.error(
            self.symptom.what.format(**words), self.symptom.hint.format(**words)
        )


def diagnose(text: str, table: Sequence[Symptom]) -> Diagnosis | None:
    """The first symptom of ``table`` that occurs in ``text``, with its last occurrence."""
    text = strip_ansi(text)
    for symptom in table:
        found = list(symptom.pattern.finditer(text))
        if len(found) >= symptom.times:
            groups = {name: _quote(value or "") for name, value in found[-1].groupdict().items()}
            groups["count"] = str(len(found))
            groups["often"] = f" ({often} times)" if (often := panics(text)) > 1 else ""
            groups.setdefault("needs", _GCC.get(groups.get("standard", ""), "a newer one"))
            return Diagnosis(symptom, _quote(found[-1][0]), groups)
    return None


def board_says(heard: bytes) -> Diagnosis | None:
    """What is wrong with a board, by the bytes that it sent; frames among them are ignored."""
    return diagnose(text_of(heard), BOARD)


def _quote(text: str) -> str:
    return shorten(" ".join(text.split()).replace('"', "'"), _QUOTED)


def _of(pattern: str, error: type[HilError], what: str, hint: str, times: int = 1) -> Symptom:
    return Symptom(re.compile(pattern, re.MULTILINE), error, what, hint, times)


# which networks it should run is not known here
FLASH_IT: Final = (
    "flash it: run the bench with --flash, or `hil flash --board NAME --model FILE.tflite`"
)
_PANIC: Final = (
    "the fault is in its firmware, not on the line: `pio device monitor` shows the full message; "
    "report it with the board, the core's version and the engine"
)
_SMALLER: Final = (
    "set the real size (board_upload.flash_size) and a partition table that fits "
    "(board_build.partitions) in its env in platformio.ini and the same memory.flash in its board "
    "file, or use a board with more flash"
)
_LOADER: Final = f"release its BOOT button (GPIO0) and press reset; or {FLASH_IT}"

# what a board prints instead of answering: ROM, second-stage loader, core, Mbed OS, FreeRTOS
BOARD: Final = (
    _of(
        r"Detected size\((?P<has>\d+)k\) smaller than the size in the binary image header"
        r"\((?P<wanted>\d+)k\)",
        FlashTooSmall,
        "the board on {where} has {has} KB of flash, but its firmware was built for {wanted} KB",
        _SMALLER,
    ),
    _of(
        r"partition \d+ invalid - offset 0x[0-9a-f]+ size 0x[0-9a-f]+ exceeds flash chip size "
        r"(?P<has>0x[0-9a-f]+)",
        FlashTooSmall,
        "the partition table of the board on {where} does not fit its flash: {said}",
        _SMALLER,
    ),
    _of(
        r"Image length (?P<needs>\d+) doesn't fit in partition length (?P<has>\d+)",
        NotRunning,
        "the firmware of the board on {where} takes {needs} bytes, but its app partition has {has}",
        "flash a smaller image, or set a larger app partition in its env "
        "(board_build.partitions = huge_app.csv)",
    ),
    _of(
        HEADS,
        BoardCrashed,
        'the board on {where} crashed: it printed "{said}"{often}',
        _PANIC,
    ),
    _of(
        r"Brownout detector was triggered",
        BoardCrashed,
        'the board on {where} has too little power: it printed "{said}"',
        "use another USB port or cable, or an external power supply",
    ),
    _of(
        r"(?:rst:0x[0-9a-f]+ \([^)\r\n]*\),\s*)?boot:0x[0-9a-f]+ \((?:DOWNLOAD|UART_BOOT)[^\r\n]*"
        r"(?:[\s\S]{0,200}?waiting for download)?|waiting for download",
        NotRunning,
        'the board on {where} is in its ROM loader and runs no firmware: it printed "{said}"',
        _LOADER,
    ),
    _of(
        r"invalid header: 0x[0-9a-f]+"
        r"|No bootable app partitions[^\r\n]*"
        r"|(?:Failed to verify|load) partition table[^\r\n]*"
        r"|flash read err, \d+"
        r"|csum err:[^\r\n]*",
        NotRunning,
        'the board on {where} has no firmware that starts: it printed "{said}"',
        FLASH_IT,
    ),
    _of(  # a reset by the second-stage loader, which prints nothing in Arduino's core 2
        r"rst:0x3 \((?:SW_RESET|RTC_SW_SYS_RST)\)",
        NotRunning,
        "the loader of the board on {where} finds no firmware that starts and resets the board "
        'again and again: {count} times "{said}"',
        FLASH_IT,
        times=2,
    ),
    _of(
        r"rst:0x[0-9a-f]+ \([^)\r\n]*\)",
        BoardCrashed,
        'the board on {where} restarts in a loop: {count} times, the last one with "{said}"',
        "check its power supply and its watchdog; `pio device monitor` shows what it prints",
        times=2,
    ),
)

# what esptool (4 and 5), dfu-util and PlatformIO print when an upload fails
UPLOAD: Final = (
    _of(
        r"This chip is (?P<chip>[\w-]+),? not (?P<wanted>[\w-]+?)\. Wrong (?:--)?chip argument",
        WrongChip,
        "the chip on {where} is {chip}, but the firmware was built for {wanted}",
        "choose the board that is on this port with --board; `hil boards` lists them",
    ),
    _of(
        r" is not an? (?P<chip>[\w-]+) image",
        WrongChip,
        "the firmware was not built for {chip}, which is the chip on {where}",
        "choose the board that is on this port with --board; `hil boards` lists them",
    ),
    _of(
        r"[Ss]et (?:--)?flash[-_]size (?P<wanted>\S+) is larger than the available flash size of "
        r"(?P<has>\w+)",
        FlashTooSmall,
        "the board on {where} has {has} of flash, but its firmware was built for {wanted}",
        _SMALLER,
    ),
    _of(
        r"at offset \w+ will not fit in (?P<has>\d+) bytes of flash",
        FlashTooSmall,
        "the firmware does not fit the flash of the board on {where}, which has {has} bytes",
        _SMALLER,
    ),
    _of(
        r"MD5 of file does not match data in flash[^\r\n]*"
        r"|Serial data stream stopped[^\r\n]*"
        r"|The chip stopped responding[^\r\n]*"
        r"|Packet content transfer stopped[^\r\n]*"
        r"|Failed to write (?:compressed data to|to (?:target )?)flash[^\r\n]*",
        LinkError,
        'flashing the board on {where} was interrupted: esptool printed "{said}"',
        "check the cable and the board's power, or lower upload_speed in its env",
    ),
    _of(
        r"Wrong boot mode detected \(0x[0-9a-f]+\)"
        r"|The serial TX path seems to be down"
        r"|Failed to connect to [^\r\n]*"
        r"|Failed to start stub[^\r\n]*"
        r"|Timed out waiting for packet[^\r\n]*",
        NoAnswer,
        'no ROM loader answers on port {where}: esptool printed "{said}"',
        "check the port (`hil boards` lists them), hold the board's BOOT button while esptool "
        "connects, and close other programs that use the port",
    ),
    _of(
        r"Cannot open DFU device[^\r\n]*LIBUSB_ERROR_ACCESS|LIBUSB_ERROR_ACCESS",
        LinkError,
        "this user has no permission to open the board's bootloader",
        "install PlatformIO's udev rules, then plug the board in again",
    ),
    _of(
        r"No DFU capable USB device available"
        r"|No accessible RP2040 devices? in BOOTSEL mode[^\r\n]*",
        NotAttached,
        'no board is in its bootloader: "{said}"',
        "start the board's bootloader (Portenta: press reset twice; Pico: plug it in with BOOTSEL "
        "held), then run the same command",
    ),
    _of(
        r"Please specify `upload_port`",
        UsageError,
        "PlatformIO finds no port to upload to",
        "pass --port; `hil boards` lists the ports",
    ),
)

_GCC: Final = {  # the oldest version that accepts this name of a standard
    **dict.fromkeys(("c++11", "gnu++11", "c11", "gnu11", "c++0x", "gnu++0x"), "GCC 4.7 or newer"),
    **dict.fromkeys(("c++14", "gnu++14"), "GCC 5 or newer"),
    **dict.fromkeys(("c++17", "gnu++17", "c17", "gnu17", "c++2a", "gnu++2a"), "GCC 8 or newer"),
    **dict.fromkeys(("c2x", "gnu2x"), "GCC 9 or newer"),
    **dict.fromkeys(("c++20", "gnu++20"), "GCC 10 or newer"),
    **dict.fromkeys(("c++2b", "gnu++2b", "c++23", "gnu++23"), "GCC 11 or newer"),
    **dict.fromkeys(("c++2c", "gnu++2c", "c++26", "gnu++26", "c23", "gnu23"), "GCC 14 or newer"),
}
_TOOL: Final = r"^(?P<tool>\S{0,300}?(?:gcc|g\+\+|cc1|cc1plus|lto1))(?:\.exe)?"
_PACKAGES: Final = (
    "the core needs the compiler version that its platform pins: remove others from "
    "platform_packages and run `pio pkg update -e {where}`"
)

# what compilers print when they are too old or too new for the core
BUILD: Final = (
    _of(
        _TOOL + r": (?:fatal )?error: unrecognized command[- ]line option "
        r"[‘'`\"](?P<flag>-std=(?P<standard>[\w+]+))[’'\"]",
        WrongCompiler,
        "the compiler of {where} is too old for its core: {tool} does not know {flag}, "
        "which takes {needs}",
        _PACKAGES,
    ),
    _of(
        _TOOL + r": (?:fatal )?error: (?:unrecognized command[- ]line option [^\r\n]*"
        r"|[‘'`\"]?-m(?:arch|cpu)=\S+ [^\r\n]*"
        r"|unrecognized argument in option [^\r\n]*"
        r"|unrecognized -m(?:arch|cpu)[^\r\n]*)",
        WrongCompiler,
        "the compiler of {where} is not the one that its core needs: {said}",
        _PACKAGES,
    ),
    _of(
        r"bytecode stream(?: in file [‘'`\"][^’'\"]*[’'\"])? generated with LTO version "
        r"(?P<by>[\d.]+) instead of the expected (?P<ours>[\d.]+)",
        WrongCompiler,
        "the compiler of {where} (LTO version {ours}) cannot read the core's libraries, which "
        "another compiler built (LTO version {by})",
        _PACKAGES,
    ),
    _of(
        r"error: #error [\"']?(?P<why>[^\r\n]{0,200}?(?:[Rr]equire|[Cc]ompiler|C\+\+ ?\d|GCC)"
        r"[^\r\n\"']*)",
        WrongCompiler,
        'the compiler of {where} is not the one that its core needs: "{why}"',
        _PACKAGES,
    ),
)
