# SPDX-License-Identifier: Apache-2.0
"""The firmware does not recurse, and its machine code bounds the depth of its stack.

The bound is compared with GCC's own figures, with the painted stack of the running firmware, and
with the stack that is reserved.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.records import Encoding
from hil.device import Device
from tests.support.call_graph import ARM, AVR, RISCV, XTENSA, Bound, Machine
from tests.support.firmware import INCLUDES, SOURCES, image, project_with
from tests.support.needs import needs

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]

# What may be called through a pointer: members of hil_board_t, hil_model_t and Print, hil_write_t.
BOARD = (
    r"stopwatch_(start|stop)|memory|uptime_ms|now_us|paint_stack|alive|hil_chip_alive\(\)"
    r"|hil_port_(set_baud|write)"
)
ENGINE = r"(?!hil_)\w+_(run|prepare)|empty_invoke"
# All functions that the session's sources define.
SESSION = "|".join(
    name
    for file in SOURCES.glob("hil_session/*.c")
    for name in re.findall(r"^(?:\w[\w ()]* \**)?(\w+)\([^;]*?\{$", file.read_text(), re.MULTILINE)
)
POINTERS = {
    r"encode|flush|hil_encoder_\w+": "hil_port_write",
    SESSION: f"{BOARD}|{ENGINE}",
    r"Print::write\(.*": r"HardwareSerial::write\(.*",
    r"__libc_init_array|reset": r"_init|frame_dummy|register_tm_clones|_GLOBAL__.*",
    r"__divsf3|__aeabi_fdiv|__riscv_save_\w+": "(?!)",  # the pointer is of a switch, or of a return
}
BOARDS: dict[str, tuple[Machine, str, str]] = {  # the outermost function, and interrupt handlers
    "mps2": (ARM, "_start", "NMI_Handler"),
    "cortex-m0": (ARM, "_start", ""),
    "cortex-m55": (ARM, "_start", "NMI_Handler"),
    "rv32": (RISCV, "reset", ""),
    "lx106": (XTENSA, "reset", ""),
    "mega2560": (AVR, "main", r"__vector_\d+"),
}


def bound(name: str, elf: Path) -> tuple[Bound, int]:
    machine, start, interrupts = BOARDS[name]
    graph = Bound(machine, elf, POINTERS)
    above = machine.interrupted + graph.of(interrupts) if interrupts else 0
    return graph, machine.returns + graph.of(start) + above


def deepest(name: str, elf: Path) -> tuple[int, int]:
    """The mark of the painted stack after all requests of a host, and the size of the stack."""
    with open_board(load_board(name), elf) as link:
        device = Device(link)
        hello = device.hello()
        for model in range(len(hello.models)):
            list(device.infer(model, Encoding.PIXELS, [bytes(784), b"\xff" * 784]))
        device.hello()
        status = device.status()
        return status.stack_used, status.stack_size


@pytest.mark.parametrize("name", BOARDS)
def test_no_recursion_and_a_stack_within_its_bound(name: str) -> None:
    built = image(name)
    graph, most = bound(name, built.elf)
    used, size = deepest(name, built.elf)
    path = graph.path(BOARDS[name][1])
    assert used <= most, path
    assert most < 2 * used, path  # else the bound is useless
    assert 2 * most < size, path  # at least half of the stack is free


@pytest.mark.parametrize("name", ["mps2", "rv32", "lx106"])
def test_frames_equal_gccs(name: str, tmp_path: Path) -> None:
    """As -fstack-usage of the same sources reports them, except where paths push differently."""
    needs(missing_tools(load_board(name)))
    machine, _, _ = BOARDS[name]
    flags = {
        "mps2": ["-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"],
        "rv32": ["-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"],
        "lx106": ["--specs=/usr/lib/xtensa-lx106-elf/picolibc.specs"],
    }[name]
    equal = total = 0
    for source in sorted(SOURCES.glob("hil_[ws]*/*.c")):
        obj = tmp_path / f"{source.stem}.o"
        words = [f"{machine.tool}gcc", *flags, "-O2", "-fstack-usage", *INCLUDES, "-c"]
        subprocess.run([*words, str(source), "-o", str(obj)], check=True, timeout=60)
        graph = Bound(machine, obj, POINTERS)
        mine = {one.name: one for one in graph.functions}
        for line in obj.with_suffix(".su").read_text().splitlines():
            where, size, _ = line.split("\t")
            one = mine.get(where.rpartition(":")[2])
            if one is None:
                continue  # GCC gave it another name
            frame = sum(step.pushes for step in one.steps)
            assert frame >= int(size), one.name
            total += 1
            equal += frame == int(size)
    assert total > 20
    assert equal > 0.9 * total


RECURSES = """
static unsigned __attribute__((noinline, optimize("no-optimize-sibling-calls")))
factorial(unsigned n) { return n < 2u ? 1u : n * factorial(n - 1u); }
static volatile unsigned often;
"""


def test_recursion_is_found(tmp_path: Path) -> None:
    """In one function. Also a function that takes an unknown amount of stack."""
    project = project_with(tmp_path / "again", "  often = factorial(often);\n", RECURSES)
    with pytest.raises(ValueError, match="recursion: factorial -> factorial"):
        bound("mps2", image("mps2", project).elf)
    grows = "  volatile char *at = __builtin_alloca((unsigned)*(const char *)input);\n  *at = 1;\n"
    with pytest.raises(ValueError, match="moves the stack by an unknown amount"):
        bound("mps2", image("mps2", project_with(tmp_path / "grows", grows)).elf)
