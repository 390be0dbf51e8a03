# SPDX-License-Identifier: Apache-2.0
"""Cycles that simavr counts, instruction by instruction, against the data sheet's table."""

from __future__ import annotations

import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from hil.firmware import build
from hil.firmware.toolchain import compilers
from tests.support.firmware import ARDUINO_PORT, FIRMWARE, MODELS, PROJECT, SOURCES
from tests.support.needs import skip_without

pytestmark = [pytest.mark.firmware, skip_without(compilers()["mega2560"].missing)]

HERE = Path(__file__).parent / "avr"
RUNNER = FIRMWARE / "platforms" / "simavr" / "runner"
FLAGS = "CZNVSHTI"  # SREG from bit 0
SIMAVR = Path(__file__).parents[1] / "engines" / "simavr.c"
ARDUINO = Path("/usr/share/arduino/hardware/arduino/avr")
SLOT = 16  # bytes of code for each row
# Other names of the same opcodes, and what an inference never runs: only the idle loop sleeps.
SAME = {"brlo": "brcs", "brsh": "brcc", "lsl": "add", "rol": "adc", "clr": "eor", "tst": "and"}
NOT_TIMED = {"sleep"}


@dataclass(frozen=True, slots=True)
class Row:
    cycles: int
    sreg: int
    instruction: str
    after: str


def table() -> list[Row]:
    rows = []
    for line in (HERE / "cycles.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            cycles, flags, code, *after = (cell.strip() for cell in line.split("|"))
            sreg = sum(1 << FLAGS.index(flag) for flag in flags if flag != "-")
            rows.append(Row(int(cycles), sreg, code, after[0] if after else "nop"))
    return rows


def form(instruction: str) -> str:
    """An instruction without the values of its operands: `ld r, X+`, `brne`, `mul`."""
    name, _, operands = instruction.strip().partition(" ")
    if name not in {"ld", "ldd", "st", "std", "lpm", "elpm"}:
        return SAME.get(name, name)
    pointer = re.search(r"-?[XYZ]\+?\d*", operands)
    if not pointer:
        return name  # lpm without operands
    displaced = re.fullmatch(r"([YZ])\+\d+", pointer[0])
    return f"{name} {displaced[1]}+q" if displaced else f"{name} {pointer[0]}"


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("cycles") / "cycles"
    words = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", f"-I{RUNNER}"]
    words += [str(HERE / "cycles.c"), str(RUNNER / "response.c"), "-lsimavr", "-lelf"]
    subprocess.run([*words, "-o", str(program)], check=True, timeout=60)
    return program


def assembled(rows: list[Row], folder: Path) -> list[bytes]:
    """The code of each row, in its slot."""
    lines = [
        f".org {SLOT * i}\n{row.instruction}\n{row.after}\nnop\nnop" for i, row in enumerate(rows)
    ]
    (folder / "rows.S").write_text("\n".join(lines) + f"\n.org {SLOT * len(rows)}\n")
    words = ["avr-gcc", "-mmcu=atmega2560", "-nostdlib", "-c", "rows.S", "-o", "rows.o"]
    subprocess.run(words, cwd=folder, check=True, timeout=60)
    words = ["avr-ld", "-mavr6", "--no-relax", "-Ttext=0", "-e0", "rows.o", "-o", "rows.elf"]
    subprocess.run(words, cwd=folder, check=True, timeout=60)
    words = ["avr-objcopy", "-O", "binary", "-j", ".text", "rows.elf", "rows.bin"]
    subprocess.run(words, cwd=folder, check=True, timeout=60)
    code = (folder / "rows.bin").read_bytes()
    return [code[SLOT * i : SLOT * (i + 1)] for i in range(len(rows))]


def test_every_instruction_takes_the_cycles_of_the_data_sheet(
    counter: Path, tmp_path: Path
) -> None:
    rows = table()
    code = assembled(rows, tmp_path)
    told = "".join(f"{row.sreg:x} {one.hex()}\n" for row, one in zip(rows, code, strict=True))
    done = subprocess.run(
        [counter], input=told, check=True, capture_output=True, text=True, timeout=60
    )
    counted = [int(line) for line in done.stdout.split()]
    assert len(counted) == len(rows)
    wrong = [(row, n) for row, n in zip(rows, counted, strict=True) if n != row.cycles]
    assert wrong == []


def test_an_interrupt_takes_five_cycles_and_reti_five(counter: Path) -> None:
    """Data sheet, "Interrupt Response Time": 5 with a 22-bit program counter, and 5 to return."""
    done = subprocess.run(
        [counter, "interrupt"], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["5", "5"]


def test_the_table_has_every_instruction_of_the_firmware() -> None:
    built = build("mega2560", [("student", MODELS / "student_int8.tflite")], "aot", PROJECT)
    words = ["avr-objdump", "-d", str(built.elf)]
    text = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
    code = re.findall(r"^ +[0-9a-f]+:\t(?:[0-9a-f]{2} )+ *\t([a-z]\w*)\t?([^;\n]*)", text, re.M)
    used = {form(f"{name} {operands}") for name, operands in code}
    assert len(used) > 60
    assert used - {form(row.instruction) for row in table()} - NOT_TIMED == set()


def test_the_cycle_counter_measures_delays_of_known_length(tmp_path: Path) -> None:
    """To the cycle without interrupts. With them, 40 million cycles (more than 65,536 times 256)
    contain one interrupt of millis() in each 16,384."""
    core, variant = ARDUINO / "cores" / "arduino", ARDUINO / "variants" / "mega"
    sources = [one for one in core.glob("*.c*") if one.stem != "main"]
    sources += [HERE / "delays.cpp", ARDUINO_PORT / "chip_avr.cpp"]
    options = ["-mmcu=atmega2560", "-O2", "-w", "-ffunction-sections", "-DDECIMAL_DIG=1"]
    options += ["-DF_CPU=16000000L", "-DARDUINO=10808", "-DARDUINO_ARCH_AVR", "-DHIL_TIMER1_CYCLES"]
    options += [f"-I{folder}" for folder in (core, variant, SOURCES)]
    for suffix, compiler in ((".c", ["avr-gcc"]), (".cpp", ["avr-g++", "-std=gnu++11"])):
        files = [str(one) for one in sources if one.suffix == suffix]
        words = [*compiler, *options, "-c", *files]
        subprocess.run(words, cwd=tmp_path, check=True, timeout=300)
    objects = sorted(tmp_path.glob("*.o"))
    words = ["avr-g++", "-mmcu=atmega2560", "-Wl,--gc-sections", *map(str, objects)]
    subprocess.run([*words, "-o", "delays.elf"], cwd=tmp_path, check=True, timeout=60)
    runner = tmp_path / "run"
    words = ["gcc", "-std=c11", f"-I{RUNNER}", str(SIMAVR), "-lsimavr", "-lelf", "-o", str(runner)]
    subprocess.run(words, check=True, timeout=60)
    words = [str(runner), "atmega2560", str(tmp_path / "delays.elf")]
    said = subprocess.run(words, check=True, timeout=60, stdout=subprocess.PIPE).stdout
    *quiet, long = struct.unpack("<5I", said)
    assert quiet == [1, 2, 100, 9999]
    interrupts = 40_000_000 / 16_384
    assert 40 < (long - 40_000_000) / interrupts < 130  # cycles each
