# SPDX-License-Identifier: Apache-2.0
"""The Arduino port links on every kind of core, and fills USB packets.

The cores are stubs (tests/firmware/cores) with only those functions that the real ones have, so
linking shows that the port needs nothing else. docs/boards reports on the real cores.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from hil.engines.registry import write_image
from hil.wire.frames import Decoder, Frame, encode_request
from hil.wire.messages import hello_request, parse_reply, status_request
from tests.support.firmware import (
    ARDUINO_PORT,
    FAKE_IMAGE,
    FIRMWARE,
    INCLUDES,
    LIBRARY,
    MODELS,
    STRICT,
    run,
)
from tests.support.needs import needs

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]

STUBS = Path(__file__).parent / "cores"
PORT = ARDUINO_PORT
CHIPS = sorted(PORT.glob("chip_*.cpp"))
C = [*LIBRARY, FAKE_IMAGE]
LINKER = [
    "__data_start__",
    "__data_end__",
    "__bss_start__",
    "__bss_end__",
]  # of Mbed's linker
USB_PACKET = 64


@dataclass(frozen=True)
class Kind:
    """A board's processor and core."""

    stub: str
    flags: tuple[str, ...]
    chip: str  # the chip_*.cpp that must define its functions
    watchdog: bool = False
    symbols: tuple[str, ...] = ()
    compiler: str = "arm-none-eabi-"


M0, M33 = ("-mcpu=cortex-m0plus", "-mthumb"), ("-mcpu=cortex-m33", "-mthumb")
M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=softfp")
M7 = ("-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=softfp")
TEENSY = ("-DCORE_TEENSY", "-D__IMXRT1062__", "-DF_CPU=600000000")
KINDS = {
    "portenta": Kind("mbed", (*M7, "-DARDUINO_PORTENTA_H7_M7"), "chip_mbed", True),
    "giga": Kind("mbed", (*M7, "-DARDUINO_GIGA"), "chip_mbed", True),
    "nano33ble": Kind("mbed", (*M4, "-DARDUINO_ARDUINO_NANO33BLE"), "chip_mbed", True),
    "pico": Kind("mbed", (*M0, "-DARDUINO_RASPBERRY_PI_PICO"), "chip_mbed", True),
    "nanorp2040": Kind("mbed", (*M0, "-DARDUINO_NANO_RP2040_CONNECT"), "chip_mbed", True),
    "unwatched": Kind("mbed", (*M0, "-DHIL_WATCHDOG_MS=0"), "chip_mbed"),
    "teensy41": Kind("teensy", (*M7, *TEENSY, "-DARDUINO_TEENSY41"), "chip_teensy"),
    "teensy36": Kind("other", (*M4, "-DCORE_TEENSY", "-DF_CPU=180000000"), "chip_other"),
    "samd21": Kind("other", (*M0, "-DF_CPU=48000000L"), "chip_other"),
    "stm32": Kind("other", (*M4, "-DSTUB_SYSTEM_CORE_CLOCK"), "chip_other"),
    "rp2350": Kind("other", (*M33, "-DF_CPU=150000000L"), "chip_other"),
    "m23": Kind("other", ("-mcpu=cortex-m23", "-mthumb"), "chip_other"),
}


def built(kind: Kind, folder: Path) -> tuple[Path, dict[str, list[str]]]:
    """The linked program, and per function of chip.h the files that define it."""
    gcc, gxx, nm = (f"{kind.compiler}{tool}" for tool in ("gcc", "g++", "nm"))
    needs([tool for tool in (gcc, gxx) if not shutil.which(tool)])
    flags = [*kind.flags, "-Os", "-ffunction-sections", "-fdata-sections", "-DARDUINO=10810"]
    flags += ["-DARDUINO_ARCH_MBED"] if kind.stub == "mbed" else []
    flags += [*INCLUDES, f"-I{STUBS / kind.stub}", f"-I{PORT}"]
    flags += ["-Wall", "-Wextra", "-Werror", "-c"]
    run([gcc, "-std=gnu11", *flags, *map(str, C)], cwd=folder)
    cpp = [PORT / "port.cpp", *CHIPS, FIRMWARE / "src/main.cpp", STUBS / "core.cpp"]
    run([gxx, "-std=gnu++14", "-fno-exceptions", "-fno-rtti", *flags, *map(str, cpp)], cwd=folder)
    linking = [gxx, *kind.flags, "--specs=nano.specs", "--specs=nosys.specs", "-Wl,--gc-sections"]
    linking += [f"-Wl,--defsym={name}=0x20000000" for name in LINKER if kind.stub == "mbed"]
    linking += [
        f"-Wl,--defsym={name}=0x20000000"
        for name in ("_sdata", "_ebss", "_estack")
        if kind.stub == "teensy"
    ]
    objects = sorted(str(one) for one in folder.glob("*.o"))
    run([*linking, "-o", "firmware.elf", *objects], cwd=folder)
    defined: dict[str, list[str]] = {}
    for chip in CHIPS:
        for name in re.findall(
            r" [A-TVWX] (?:_Z\d+)?(hil_chip_[a-z_]+?)v?$",
            run([nm, "--defined-only", f"{chip.stem}.o"], cwd=folder),
            re.MULTILINE,
        ):
            defined.setdefault(name, []).append(chip.stem)
    return folder / "firmware.elf", defined


@pytest.mark.parametrize("name", KINDS)
def test_the_port_links(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    _, defined = built(kind, tmp_path)
    watchdog = {"hil_chip_watch", "hil_chip_alive"} if kind.watchdog else set()
    assert set(defined) == watchdog | {
        *("hil_chip_name", "hil_chip_init", "hil_chip_stack", "hil_chip_ram_static"),
        *("hil_chip_heap_used", "hil_chip_cycles", "hil_chip_idle"),
    }
    assert set(map(tuple, defined.values())) == {(kind.chip,)}


@pytest.fixture(scope="module")
def host_port(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two programs of this machine with the port and a Serial that prints its input."""
    needs([tool for tool in ("gcc", "g++") if not shutil.which(tool)])
    folder = tmp_path_factory.mktemp("usb")
    flags = [*STRICT, *INCLUDES, f"-I{STUBS / 'other'}", f"-I{PORT}", "-O1", "-DARDUINO=10810"]
    run(["gcc", "-std=c11", *flags, "-c", *map(str, C)], cwd=folder)
    objects = [str(one) for one in folder.glob("*.o")]
    port = [PORT / "port.cpp", *CHIPS, STUBS / "usb.cpp"]
    programs = {"session": FIRMWARE / "src/main.cpp", "frames": STUBS / "frames.cpp"}
    for name, source in programs.items():
        sources = [str(one) for one in (*port, source)]
        run(["g++", "-std=c++11", *flags, "-o", name, *sources, *objects], cwd=folder)
    return {name: folder / name for name in programs}


def packets(writes: list[bytes]) -> list[int]:
    """The size of each USB packet: a write fills packets, and its last one is sent as it is."""
    return [len(w[i : i + USB_PACKET]) for w in writes for i in range(0, len(w), USB_PACKET)]


def test_a_frame_fills_its_packets_and_ends_in_a_short_one(host_port: dict[str, Path]) -> None:
    """After a full packet a host may wait for more. Checks frames of every length from 8 bytes."""
    writes: dict[str, list[bytes]] = {}
    for line in run([str(host_port["frames"])]).splitlines():
        if line.startswith(("payload", "text", "end")):
            current = writes.setdefault(line, [])
        else:
            current.append(bytes.fromhex(line))
    assert writes.pop("end") == []
    assert writes.pop("text") == [b"m-ready\r\n"]
    assert len(writes) == 701
    exact = 0
    for said, parts in writes.items():
        n = int(said.split()[1])
        (frame,) = Decoder().feed(b"".join(parts))
        assert isinstance(frame, Frame)
        assert len(frame.payload) == n
        length = len(b"".join(parts))
        sent = packets(parts)
        assert len(sent) == -(-length // USB_PACKET) + (length % USB_PACKET == 0)
        assert sent[-1] < USB_PACKET
        exact += length % USB_PACKET == 0
    assert exact > 5


def test_a_session_answers_over_usb_in_few_packets(host_port: dict[str, Path]) -> None:
    """HELLO and STATUS as the firmware sends them: only the last packet of a frame is not full."""
    requests = [hello_request(1), status_request(2)]
    done = subprocess.run(
        [host_port["session"]],
        input=b"".join(map(encode_request, requests)),
        capture_output=True,
        timeout=60,
        check=True,
    )
    writes = [bytes.fromhex(line) for line in done.stdout.decode().split()]
    replies = list(Decoder().feed(b"".join(writes)))
    assert len([parse_reply(r) for r in replies if isinstance(r, Frame)]) == 2
    assert Counter(n == USB_PACKET for n in packets(writes))[False] == 2


@pytest.mark.parametrize("language", ["c", "c++"])
def test_constants_stay_in_flash_on_a_teensy(language: str, tmp_path: Path) -> None:
    """Its linker script keeps .progmem in flash, but copies .rodata to RAM."""
    needs([tool for tool in ("arm-none-eabi-gcc",) if not shutil.which(tool)])
    write_image("aot", [("student", MODELS / "student_int8.tflite")], tmp_path)
    words = ["arm-none-eabi-gcc", *M7, "-x", language, "-O2", "-fdata-sections", *INCLUDES]
    words += [f"-I{tmp_path}", "-c", "hil_image.c", "-o"]
    constants = {}
    for name, flags in {"teensy": ["-D__IMXRT1062__"], "other": []}.items():
        run([*words, f"{name}.o", *flags, "-fno-exceptions"], cwd=tmp_path)
        listed = run(["arm-none-eabi-objdump", "-t", f"{name}.o"], cwd=tmp_path)
        for line in listed.splitlines():
            if match := re.search(r" O (\S+)\t([0-9a-f]+) (?:_ZL\d+)?(student_\w+_[wq])$", line):
                constants[name, match[3]] = (match[1], int(match[2], 16))
    teensy = {symbol: where for (name, symbol), where in constants.items() if name == "teensy"}
    assert {section for section, _ in teensy.values()} == {".progmem"}
    assert sum(size for _, size in teensy.values()) > 5000
    other = {symbol: where for (name, symbol), where in constants.items() if name == "other"}
    assert {symbol: size for symbol, (_, size) in other.items()} == {
        symbol: size for symbol, (_, size) in teensy.items()
    }
    assert not any(section == ".progmem" for section, _ in other.values())


@pytest.mark.parametrize(
    ("flags", "said", "real"),
    [
        (["-DTARGET_RP2040"], 8_388_607, 8_388),  # as in Mbed's own code
        ([], 32_760, 32_760),  # STM32H7
        ([], 131_071_999, 131_071_999),  # nRF52840
    ],
)
def test_a_watchdog_of_any_range_waits_longer_than_the_host(
    flags: list[str], said: int, real: int, tmp_path: Path
) -> None:
    """Longer than the 20 s of the host, and no longer than HIL_WATCHDOG_MS."""
    needs([tool for tool in ("g++",) if not shutil.which(tool)])
    words = ["g++", "-std=gnu++14", *STRICT, "-Wno-deprecated-declarations", "-O1", *INCLUDES]
    words += [f"-I{STUBS / 'mbed'}", f"-I{PORT}", "-DARDUINO=10810", "-DARDUINO_ARCH_MBED"]
    words += flags
    words += [f"-DSAID_MS={said}u", f"-DREAL_MS={real}u", "-o", "watchdog"]
    run([*words, str(PORT / "chip_mbed.cpp"), str(STUBS / "watchdog.cpp")], cwd=tmp_path)
    lines = run([str(tmp_path / "watchdog")]).splitlines()
    at_once, later, stopped = (int(line.split()[-1]) for line in lines)
    assert 59_000 <= at_once <= 61_000
    assert 59_000 <= later <= 61_000
    assert stopped <= min(60_000, real)
