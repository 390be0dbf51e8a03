# SPDX-License-Identifier: Apache-2.0
"""The memory figures of the report, compared with the toolchains' own tools and with firmware whose
use is known."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hil.bench import Request, make_plan, run
from hil.bench.events import Event
from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.core.records import Encoding, Hello, Status
from hil.device import Device
from hil.report import write
from hil.runs.agreement import unexpected
from hil.runs.load import load_run
from tests.support.firmware import MODELS, image, project_with

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]
TOOLS = {
    "mps2": "arm-none-eabi-",
    "rv32": "riscv64-unknown-elf-",
    "lx106": "xtensa-lx106-elf-",
    "mega2560": "avr-",
    "native": "",
}
RESERVED = {".stack"}  # memory that a linker script only reserves


def said_by(tool: str, board: str, *words: str) -> str:
    done = subprocess.run(
        [TOOLS[board] + tool, *words], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def on(name: str, elf: Path, inferences: int = 2) -> tuple[Hello, Status]:
    """HELLO and STATUS of the board after a few inferences of its last model."""
    board = load_board(name)
    with open_board(board, elf) as link:
        device = Device(link)
        hello = device.hello()
        device.status(reset=True)
        pixels = [bytes(784)] * inferences
        list(device.infer(len(hello.models) - 1, Encoding.PIXELS, pixels))
        return hello, device.status()


@pytest.mark.parametrize("name", TOOLS)
def test_every_byte_of_the_image_has_an_owner(name: str) -> None:
    """The sections sum up as in the toolchain's `size`, the constants as in its `nm`."""
    built = image(name)
    sections: dict[str, int] = {}
    for line in said_by("size", name, "-A", "-d", str(built.elf)).splitlines():
        words = line.split()
        if len(words) == 3 and words[0].startswith(".") and words[1].isdigit():
            sections[words[0]] = int(words[1])
    mine: dict[str, int] = {}
    for share in built.found.shares:
        bigger = max(share.flash, share.ram)
        mine[share.section] = mine.get(share.section, 0) + bigger
    assert mine
    for section, size in mine.items():
        assert sections[section] == size, section
    left = {s for s in sections if sections[s] and s not in mine}
    foreign = (".comment", ".debug", ".ARM.attr", ".riscv.attr", ".note.gnu.avr", ".xt")
    assert all(s in RESERVED or s.startswith(foreign) for s in left), left
    whose = {share.owner for share in built.found.shares}
    assert "unknown" not in whose
    assert {"engine", "firmware", "start-up", "arena"} <= whose
    padding = sum(s.flash + s.ram for s in built.found.shares if s.owner == "padding")
    assert padding < 1024
    symbols = [line.split() for line in said_by("nm", name, "-S", str(built.elf)).splitlines()]
    for model in built.models:
        constants = sum(
            int(words[1], 16)
            for words in symbols
            if len(words) == 4 and re.fullmatch(rf"{model}_\w+_[wqb]", words[3])
        )
        flash = sum(s.flash for s in built.found.shares if s.owner == f"model {model}")
        assert flash == constants > 20_000


@pytest.mark.parametrize("name", TOOLS)
def test_board_and_image_report_the_same(name: str) -> None:
    built = image(name)
    hello, status = on(name, built.elf)
    for model in hello.models:
        flash = sum(s.flash for s in built.found.shares if s.owner == f"model {model.name}")
        assert model.flash == flash
    assert built.found.arena == max(model.arena for model in hello.models)
    if name == "native":
        assert (status.ram_static, status.stack_size) == (0, 0)  # a process does not report them
        assert built.found.allocator is None
    else:
        assert status.ram_static == built.found.ram
        assert 0 < status.stack_used < status.stack_size
        assert status.heap_used == 0
        assert built.found.allocator is False


# On AVR with interrupts off: one at the deepest moment would change the mark.
DEEP = """
#ifdef __AVR__
#define UNDISTURBED(call) __builtin_avr_cli(), call, __builtin_avr_sei()
#else
#define UNDISTURBED(call) call
#endif
static void __attribute__((noinline)) deeper(void) {
  volatile unsigned char *const block = (volatile unsigned char *)__builtin_alloca(DEPTH);
  unsigned i;
  for (i = 0; i < DEPTH; i++) {
    block[i] = 1;
  }
}
static void __attribute__((noinline)) go_deep(void) { UNDISTURBED(deeper()); }
"""


@pytest.mark.parametrize("name", ["mps2", "rv32", "lx106", "mega2560"])
def test_a_known_stack_depth_is_measured_to_the_byte(name: str, tmp_path: Path) -> None:
    """If two firmwares differ in a block on the stack, their marks differ by its size."""
    marks = {}
    for depth in (1024, 1536):
        code = DEEP.replace("DEPTH", str(depth))
        project = project_with(tmp_path / str(depth), "  go_deep();\n", code)
        _, status = on(name, image(name, project).elf)
        marks[depth] = status.stack_used
    assert marks[1536] - marks[1024] == 512
    assert 1024 < marks[1024] < 1024 + 512


def ignore(_: Event) -> None:
    """Events do not matter here."""


def test_a_firmware_that_allocates_is_not_as_expected(tmp_path: Path) -> None:
    before = "#include <stdlib.h>\nstatic void *volatile kept;\n"
    project = project_with(tmp_path, "  kept = malloc(100);\n", before)
    request = Request(
        project=project,
        boards=("native",),
        models=(str(MODELS / "student_int8.tflite"),),
        dataset="digits",
        limit=10,
    )
    folder = tmp_path / "run"
    run(make_plan(request), folder, ignore)
    written = write(folder)
    (problem,) = unexpected(written.manifest, written.summary)
    # 13 inferences, three of them warm-ups; glibc rounds 100 bytes up to 112
    assert problem.endswith("the heap grew by 1456 bytes while it answered (expected: 0)")
    (end,) = load_run(folder).manifest.ends
    assert end.marks is not None
    assert (end.marks.heap_start or 0) > 0  # the buffer of standard output
    assert "the heap grew by 1456 bytes while it answered" in written.markdown.read_text()
