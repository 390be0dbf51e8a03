# SPDX-License-Identifier: Apache-2.0
"""Panics and boots in the text of a board: whether there are any, how many, and their addresses.

`hil.wire.diagnosis` says what a panic means. Here is what a machine needs of it: the places in the
program, for addr2line, and a pattern that is fast enough to look for while a request waits. The
texts are those of ESP-IDF and its ROMs, the ESP8266 core, Mbed OS, Zephyr, the Pico SDK, Teensy's
CrashReport, newlib, and of the emulated boards' own fault handlers.
"""

from __future__ import annotations

import re
from typing import Final

from hil.core.text import shorten, strip_ansi
from hil.wire.frames import Frame, decode

MOST: Final = 16  # addresses of one panic
_QUOTED: Final = 120  # characters of a line
_LAST: Final = 6000  # characters of the text that are searched: the last panic, with its stack

# The head of a panic, each with the rest of what is worth quoting.
HEADS: Final = (
    r"Guru Meditation Error:[^\r\n]*(?:\s+Debug exception reason:[^\r\n]*)?"
    r"|assert failed:[^\r\n]*"
    r"|assertion [\"“][^\r\n]*[\"”] failed[^\r\n]*"  # newlib, picolibc
    r"|\b[\w./-]+:\d+: [^\r\n]{0,200}Assertion `[^\r\n]*' failed[^\r\n]*"  # glibc
    r"|ASSERTION FAIL \[[^\r\n]*"  # Zephyr
    r"|abort\(\) was called[^\r\n]*"
    r"|terminate called (?:after|without)[^\r\n]*"  # libstdc++
    r"|Stack smashing protect failure[^\r\n]*"
    r"|\*\*\* stack smashing detected \*\*\*[^\r\n]*"
    r"|CORRUPT HEAP:[^\r\n]*"
    r"|\*\*\*ERROR\*\*\* A stack overflow in task[^\r\n]*"
    r"|Task watchdog got triggered[^\r\n]*"
    r"|(?:Fatal e|E)xception \(\d+\):?[^\r\n]*(?:\s+epc1=0x[0-9a-f]+[^\r\n]*)?"  # ESP8266
    r"|Panic [\w.]+:\d+ [^\r\n]*"  # ESP8266
    r"|Soft WDT reset"
    r"|\+\+ MbedOS (?:Fault Handler|Error Info) \+\+"
    r"(?:\s+(?:FaultType|Error (?:Status|Message)):[^\r\n]*)*"
    r"|\*{3,5} (?:[A-Z]+ )*FAULT \*{3,5}[^\r\n]*"  # Zephyr, STM32 and the emulated boards
    r"|>>> ZEPHYR FATAL ERROR[^\r\n]*"
    r"|\*\*\* PANIC \*\*\*[^\r\n]*(?:\s+[^\r\n]+)?"  # RP2040
    r"|CrashReport:\s+A problem occurred[^\r\n]*"  # Teensy
)
HEAD: Final = re.compile(HEADS, re.MULTILINE)
# what only a board prints that has just booted
_BOOTS: Final = (
    r"rst:0x[0-9a-f]+ \(|rst cause:\d|ESP-ROM:esp32|ets [A-Z][a-z]{2} +\d+ 20\d\d"
    r"|\*\*\* Booting (?:Zephyr|nRF Connect|Mbed) "
)
BOOTED: Final = re.compile(_BOOTS)
# and one that crashed
STOPPED: Final = re.compile(
    rf"{HEADS}|{_BOOTS}|Brownout detector was triggered|Rebooting\.\.\.", re.MULTILINE
)
_HEX: Final = r"(?:0x)?([0-9a-fA-F]{3,8})\b"
_PLACES: Final = re.compile(
    r"(?:\b(?:PC|MEPC|EPC)\s*:\s*|\bepc1=|\bmepc[:=]?\s*|\(r15/pc\):\s*|\bLocation: |at PC "
    r"|executing from address |\bpc[ =])"
    + _HEX
    + r"|(?:\bRA\s*:\s*|\bLR\s*:\s*|r14/lr:\s*|\blr[ =])"
    + _HEX
)
_BACKTRACE: Final = re.compile(r"Backtrace:((?:\s*0x[0-9a-f]+:0x[0-9a-f]+)+)")
_STACK_8266: Final = re.compile(r">>>stack>>>(.*?)(?:<<<stack<<<|\Z)", re.DOTALL)
_CODE_8266: Final = re.compile(r"\b(40[0-2][0-9a-f]{5})\b")
_BUILT: Final = re.compile(r"ELF file SHA256:\s*([0-9a-f]{8,64})")


_APART: Final = 1500  # characters from a panic's last head to the next panic's first one
_AGAIN: Final = re.compile(r"rst:0x|rst cause:|Rebooting\.\.\.|ESP-ROM:|\*\*\* Booting ")


def text_of(heard: bytes) -> str:
    """What a board printed, by the bytes that it sent: without the frames among them."""
    blocks = (block for block in heard.split(b"\0") if block)
    foreign = [block for block in blocks if not isinstance(decode(block), Frame)]
    return strip_ansi(b"\n".join(foreign).decode("ascii", "replace"))


def stopped(text: str) -> bool:
    """Whether ``text`` shows that the board crashed or booted: it answers nothing from before."""
    return STOPPED.search(text) is not None


def boot_line(text: str) -> str:
    """The last line by which a board shows that it booted; empty if there is none."""
    found = list(BOOTED.finditer(text))
    if not found:
        return ""
    start = max(text.rfind(end, 0, found[-1].start()) for end in "\r\n") + 1
    line = re.split(r"[\r\n]", text[start:], maxsplit=1)[0]
    return shorten(line.strip().replace('"', "'"), _QUOTED)


def panics(text: str) -> int:
    """How many panics ``text`` has."""
    return len(_starts(text))


def addresses(text: str) -> tuple[int, ...]:
    """Addresses in the program from the last panic of ``text``, the innermost first, each once."""
    starts = _starts(text)
    if not starts:
        return ()
    last = text[starts[-1] :][:_LAST]
    found = [place[1] or place[2] for place in _PLACES.finditer(last)]
    if trace := _BACKTRACE.search(last):
        found += [pair.partition(":")[0] for pair in trace[1].split()]
    if stack := _STACK_8266.search(last):
        found += _CODE_8266.findall(stack[1])
    numbers = dict.fromkeys(int(one, 16) for one in found)
    return tuple(number for number in numbers if number)[:MOST]


def _starts(text: str) -> list[int]:
    """Where each panic begins. Zephyr, Mbed OS and the ESP32 print several heads for one."""
    starts: list[int] = []
    end = 0
    for head in HEAD.finditer(text):
        between = text[end : head.start()]
        if not starts or len(between) > _APART or _AGAIN.search(between):
            starts.append(head.start())
        end = head.end()
    return starts


def reboots(text: str) -> bool:
    """Whether the board booted after the last panic of ``text``."""
    heads = list(HEAD.finditer(text))
    return bool(heads) and _AGAIN.search(text, heads[-1].end()) is not None


def built_from(text: str) -> str:
    """The beginning of the SHA-256 of the ELF file that a panic of an ESP32 names; empty if none
    does."""
    found = _BUILT.findall(text)
    return found[-1] if found else ""
