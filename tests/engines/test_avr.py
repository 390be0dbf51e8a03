# SPDX-License-Identifier: Apache-2.0
"""Generated headers on an emulated ATmega2560, in C and in C++: the same outputs, no weight in RAM.

An AVR has constants in RAM unless they are stored and read in a special way, which differs between
C and C++. An Arduino sketch is C++.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from elftools.elf.elffile import ELFFile

from hil.engines.aot import generate
from hil.engines.aot.steps import CTYPES
from hil.firmware.toolchain import compilers
from hil.tflite import read_model
from tests.engines.test_networks import INEXACT
from tests.support.covering import RAM, Network, covering
from tests.support.native import inputs, library
from tests.support.needs import skip_without
from tests.support.oracles import reference_outputs

pytestmark = [pytest.mark.firmware, skip_without(compilers()["mega2560"].missing)]

MODELS = Path(__file__).parents[2] / "models" / "mnist"
ARDUINO = Path("/usr/share/arduino/hardware/arduino/avr")
WARNINGS = ("-Wall", "-Wextra", "-Werror")
LANGUAGES = {
    "gnu99": ("avr-gcc", "-xc", "-std=gnu99"),
    "c11": ("avr-gcc", "-xc", "-std=c11"),
    "gnu++11": (
        *("avr-g++", "-xc++", "-std=gnu++11", "-DARDUINO=10808", "-DF_CPU=16000000L"),
        # -isystem would declare them extern "C" on an AVR
        *(f"-I{ARDUINO / folder}" for folder in ("cores/arduino", "variants/mega")),
    ),
}
COUNT = 2  # inputs per network
AT_ONCE = 30_000  # bytes of constants per program
EXPONENTIAL = 1e-6  # float32 layers of these operators use the C library's

PROGRAM = """
#ifdef __cplusplus
#include <Arduino.h> /* as in a sketch: its macros must not matter */
#endif
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
#include <avr/sleep.h>
%s
static uint32_t arena[%d / 4 + 1], in[%d / 4 + 1], out[%d / 4 + 1];
static void say(uint16_t size) {
  for (uint16_t i = 0; i < size; ++i) GPIOR0 = ((const uint8_t *)out)[i];
}
int main(void) {
%s  cli();
  sleep_enable();
  sleep_cpu();
  return 0;
}
"""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("simavr") / "simavr-run"
    source = Path(__file__).with_name("simavr.c")
    words = ["gcc", "-std=c11", *WARNINGS, "-O2", str(source), "-lsimavr", "-lelf"]
    subprocess.run([*words, "-o", str(program)], check=True, timeout=60)
    return program


def memory(networks: Sequence[Network]) -> tuple[int, int, int]:
    """Bytes of the arena, input and output that serve all networks."""
    return (
        max(n.header.arena for n in networks),
        max(n.graph.input.nbytes for n in networks),
        max(n.graph.output.nbytes for n in networks),
    )


def compiled(networks: Sequence[Network], language: str, folder: Path) -> Path:
    """A program that prints all outputs of all networks."""
    includes, body = "", ""
    for network in networks:
        name, graph = network.name, network.graph
        (folder / f"{name}.h").write_text(network.header.text)
        includes += f'#include "{name}.h"\n'
        if network.header.stateful:
            body += f"  {name}_reset(arena);\n"
        for i, x in enumerate(inputs(graph, COUNT, 11)):
            data = ", ".join(map(str, x.tobytes()))
            includes += f"static const uint8_t {name}_x{i}[] PROGMEM = {{{data}}};\n"
            body += (
                f"  memcpy_P(in, {name}_x{i}, sizeof {name}_x{i});\n"
                f"  {name}_invoke((const {CTYPES[graph.input.dtype]} *)(void *)in, "
                f"({CTYPES[graph.output.dtype]} *)(void *)out, arena);\n"
                f"  say({graph.output.nbytes});\n"
            )
    sizes = memory(networks)
    (folder / "main.c").write_text(PROGRAM % (includes, *sizes, body))
    words = [*LANGUAGES[language], *WARNINGS, "-mmcu=atmega2560", "-Os", "-ffp-contract=off"]
    words += ["main.c", "-o", "main.elf", "-lm"]
    subprocess.run(words, check=True, timeout=110, cwd=folder)
    return folder / "main.elf"


def outputs(runner: Path, program: Path) -> bytes:
    words = [str(runner), "atmega2560", str(program)]
    return subprocess.run(words, check=True, timeout=110, stdout=subprocess.PIPE).stdout


def expected(network: Network, folder: Path) -> npt.NDArray[Any]:
    x = inputs(network.graph, COUNT, 11)
    try:
        (values,) = reference_outputs(network.graph, [x])
    except RuntimeError:  # GATHER of rows that do not exist: aot clamps their numbers
        assert "GATHER" in {operator.code for operator in network.graph.operators}
        values = library({network.name: network.graph}, folder)[network.name].run(x)
    return values.reshape(COUNT, -1)


def groups() -> list[list[Network]]:
    """Every kernel of a network with one input, in programs whose constants an AVR can reach."""
    made: list[list[Network]] = [[]]
    for network in covering()[0]:
        if len(network.graph.inputs) + len(network.graph.outputs) > 2:
            continue
        full = sum(n.header.flash for n in made[-1]) + network.header.flash > AT_ONCE
        if full or sum(memory([*made[-1], network])) > RAM:
            made.append([])
        made[-1].append(network)
    return made


def student() -> Network:
    path = MODELS / "student_int8.tflite"
    graph = read_model(path)
    header = generate(graph, "student", path.name)
    return Network("student", path.read_bytes(), graph, header, False)


def in_ram(program: Path) -> set[str]:
    """The objects that start with their values in RAM, which .data is."""
    with program.open("rb") as file:
        elf = ELFFile(file)
        data = elf.get_section_index(".data")
        symbols = elf.get_section_by_name(".symtab").iter_symbols()
        return {
            symbol.name
            for symbol in symbols
            if symbol["st_shndx"] == data and symbol["st_info"]["type"] == "STT_OBJECT"
        }


def data_bytes(program: Path) -> int:
    with program.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".data")
        return int(section["sh_size"]) if section else 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kernel_reads_its_constants_from_flash(
    language: str, runner: Path, tmp_path: Path
) -> None:
    for number, networks in enumerate(groups()):
        folder = tmp_path / str(number)
        folder.mkdir()
        program = compiled(networks, language, folder)
        # a pixel outside the input is read through the same pointer as pixels in RAM
        assert all("_pad" in name for name in in_ram(program))
        said = outputs(runner, program)
        for network in networks:
            right = expected(network, folder)
            values = np.frombuffer(said[: right.nbytes], right.dtype).reshape(right.shape)
            said = said[right.nbytes :]
            codes = {operator.code for operator in network.graph.operators}
            if INEXACT & codes and right.dtype == np.float32:
                np.testing.assert_allclose(values, right, atol=EXPONENTIAL)
            else:
                assert values.tobytes() == right.tobytes(), network.name
        assert said == b""


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_student_takes_only_its_arena_of_ram(
    language: str, runner: Path, tmp_path: Path
) -> None:
    network = student()
    program = compiled([network], language, tmp_path)
    assert (data_bytes(program), in_ram(program)) == (0, set())
    assert outputs(runner, program) == expected(network, tmp_path).tobytes()
