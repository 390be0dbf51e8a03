# SPDX-License-Identifier: Apache-2.0
"""What a bench records of a network's memory: planned, and found in the linked image."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hil.bench.account import predicted
from hil.bench.plan import Case, Image, Network
from hil.boards.config import load_board
from hil.boards.station import missing_tools, plain
from hil.core.records import Precision
from hil.firmware import build, footprint
from hil.tflite import read_model
from tests.firmware.conftest import PROJECT

MODELS = PROJECT / "models" / "mnist"


def case(name: str, path: Path, board: str = "mps2", engine: str = "aot") -> Case:
    found = load_board(board, PROJECT)
    network = Network(name, path, read_model(path))
    image = Image(found, engine, Precision.FLOAT32, (network,))
    return Case(image, network, plain(found))


@pytest.mark.firmware
@pytest.mark.parametrize("model", ["student_float32", "student_int8"])
def test_folded_is_what_nm_does_not_find_in_the_firmware(model: str) -> None:
    """The bytes of the generated arrays, less the sizes of those that the linked image holds."""
    one = case("net", MODELS / f"{model}.tflite")
    if missing := missing_tools(one.image.board):
        pytest.skip(f"not installed: {', '.join(missing)}")
    firmware = build("mps2", [("net", one.network.graph)], "aot", PROJECT)
    words = ["arm-none-eabi-nm", "-S", str(firmware.elf)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    held = {row[3]: int(row[1], 16) for row in rows if len(row) == 4}
    names = [array.name for array in firmware.compiled[0].arrays]
    linked = sum(size for name, size in held.items() if name in names)
    said = predicted(one, firmware.compiled, footprint(firmware.elf, ["net"]))
    assert said is not None
    assert said.flash_model == firmware.compiled[0].info.flash
    assert said.folded == said.flash_model - linked
    assert linked > 0.9 * said.flash_model  # weights are never folded into code


def test_the_engine_says_what_it_takes_before_anything_is_built() -> None:
    one = case("net", MODELS / "student_int8.tflite")
    said = predicted(one)
    assert said is not None
    graph = one.network.graph
    assert said.peak == said.arena + graph.input.nbytes + graph.output.nbytes
    assert said.arena_reserved == said.arena
    assert said.folded == 0


def test_a_network_that_the_engine_refuses_has_no_figures() -> None:
    assert predicted(case("net", MODELS / "student_float32.tflite", engine="bakenn")) is None
