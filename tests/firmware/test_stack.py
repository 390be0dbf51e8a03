"""No recursion, and a stack that cannot be deeper than what its machine code says.

The bound is held against GCC's own figures, against the painted stack of the running firmware,
and against the room there is.
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
from tests.firmware.conftest import FIRMWARE, INCLUDES, needs
from tests.firmware.test_memory import broken, image
from tests.support.call_graph import ARM, AVR, RISCV, XTENSA, Bound, Machine

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]

# Whom a function may call through a pointer: of hil_board_t, hil_model_t, hil_write_t, Print.
BOARD = (
    r"stopwatch_(start|stop)|memory|uptime_ms|now_us|paint_stack|alive|hil_chip_alive\(\)"
    r"|hil_port_(set_baud|write)"
)
ENGINE = r"(?!hil_)\w+_(run|prepare)|empty_invoke"
# Every function that the session's sources define.
SESSION = "|".join(
    name
    for file in FIRMWARE.glob("lib/hil_session/*.c")
    for name in re.findall(r"^(?:\w[\w ()]* \**)?(\w+)\([^;]*?\{$", file.read_text(), re.MULTILINE)
)
POINTERS = {
    r"encode|flush|hil_encoder_\w+": "hil_port_write",
    SESSION: f"{BOARD}|{ENGINE}",
    r"Print::write\(.*": r"HardwareSerial::write\(.*",
    r"__libc_init_array|reset": r"_init|frame_dummy|register_tm_clones|_GLOBAL__.*",
    r"__divsf3|__riscv_save_\w+": "(?!)",  # a switch; a return
}
BOARDS: dict[str, tuple[Machine, str, str]] = {  # start of the stack, and what interrupts
    "mps2": (ARM, "Reset_Handler", "NMI_Handler"),
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
    """What the painted stack says after all that a host may ask, and the stack's size."""
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
    assert most < 2 * used, path  # else it says nothing
    assert 2 * most < size, path  # as much again is left


@pytest.mark.parametrize("name", ["mps2", "rv32", "lx106"])
def test_frames_are_as_gcc_has_them(name: str, tmp_path: Path) -> None:
    """-fstack-usage of the same sources: equal, but where a path pushes what another does not."""
    needs(missing_tools(load_board(name)))
    machine, _, _ = BOARDS[name]
    flags = {
        "mps2": ["-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"],
        "rv32": ["-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"],
        "lx106": ["--specs=/usr/lib/xtensa-lx106-elf/picolibc.specs"],
    }[name]
    equal = total = 0
    for source in sorted(FIRMWARE.glob("lib/hil_[ws]*/*.c")):
        obj = tmp_path / f"{source.stem}.o"
        words = [f"{machine.tool}gcc", *flags, "-O2", "-fstack-usage", *INCLUDES, "-c"]
        subprocess.run([*words, str(source), "-o", str(obj)], check=True, timeout=60)
        graph = Bound(machine, obj, POINTERS)
        mine = {one.name: one for one in graph.functions}
        for line in obj.with_suffix(".su").read_text().splitlines():
            where, size, _ = line.split("\t")
            one = mine.get(where.rpartition(":")[2])
            if one is None:
                continue  # GCC named it otherwise
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
    """In one function; and a function that takes as much stack as it is told."""
    guarded = f"#ifndef RECURSES\n#define RECURSES\n{RECURSES}#endif\n"
    project = broken(tmp_path / "again", "  often = factorial(often);\n", guarded)
    with pytest.raises(ValueError, match="recursion: factorial -> factorial"):
        bound("mps2", image("mps2", project).elf)
    grows = "  volatile char *at = __builtin_alloca((unsigned)*(const char *)input);\n  *at = 1;\n"
    with pytest.raises(ValueError, match="moves the stack by nobody knows how much"):
        bound("mps2", image("mps2", broken(tmp_path / "grows", grows)).elf)
