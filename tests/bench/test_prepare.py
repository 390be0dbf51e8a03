# SPDX-License-Identifier: Apache-2.0
"""The memory of a network that a bench predicts before it runs, compared with the image."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hil.bench.cases import Case, Image, Network
from hil.bench.lab import Firmware, RealLab
from hil.bench.plan import Request, make_plan
from hil.bench.prepare import predicted_memory, prepare
from hil.boards.config import load_board
from hil.boards.station import missing_tools, only_station
from hil.core.records import Precision
from hil.engines.aot import engine
from hil.firmware import build, footprint
from hil.testing.lab import FakeLab
from hil.tflite import read_model, reader
from tests.support.firmware import PROJECT

MODELS = PROJECT / "models" / "mnist"


def case(name: str, path: Path, board: str = "mps2", engine: str = "aot") -> Case:
    found = load_board(board, PROJECT)
    network = Network(name, path, read_model(path))
    image = Image(found, engine, Precision.FLOAT32, (network,))
    return Case(image, network, only_station(found))


@pytest.mark.firmware
@pytest.mark.parametrize("model", ["student_float32", "student_int8"])
def test_folded_counts_the_constants_that_nm_does_not_find(model: str) -> None:
    """The bytes of the generated arrays minus the sizes of those in the linked image."""
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
    found = footprint(firmware.elf, ["net"])
    held_by_it = Firmware(firmware.elf, "", "", found.flash, found.ram, found, firmware.compiled)
    said = predicted_memory(one, held_by_it)
    assert said is not None
    assert said.flash_model == firmware.compiled[0].info.flash
    assert said.folded == said.flash_model - linked
    assert linked > 0.9 * said.flash_model  # weights are never folded into code


def test_the_engine_predicts_memory_before_a_build() -> None:
    one = case("net", MODELS / "student_int8.tflite")
    said = predicted_memory(one, FakeLab().build(one.image, PROJECT))
    assert said is not None
    graph = one.network.graph
    assert said.peak == said.arena + graph.input.nbytes + graph.output.nbytes
    assert said.arena_reserved == said.arena
    assert said.folded == 0


def test_the_arena_is_for_the_largest_network_of_the_image() -> None:
    small = case("net", MODELS / "student_int8.tflite")
    large = Network(
        "large", MODELS / "teacher_int8.tflite", read_model(MODELS / "teacher_int8.tflite")
    )
    both = replace(small, image=replace(small.image, networks=(small.network, large)))
    firmware = FakeLab().build(both.image, PROJECT)
    said = predicted_memory(both, firmware)
    other = predicted_memory(replace(both, network=large), firmware)
    assert said is not None
    assert other is not None
    assert said.arena < other.arena == said.arena_reserved == other.arena_reserved


def test_firmware_without_compiled_models_has_no_prediction() -> None:
    one = case("net", MODELS / "student_float32.tflite")
    assert predicted_memory(one, Firmware(Path("a.elf"), "", "", 0, 0)) is None


@pytest.mark.firmware
def test_a_model_is_read_once_and_generated_once_per_image(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From the plan to the firmware's memory, in this process and without starting others."""
    if missing := missing_tools(load_board("native", PROJECT)):
        pytest.skip(f"not installed: {', '.join(missing)}")
    files = [tmp_path / f"{name}.tflite" for name in ("one", "two")]
    for file in files:
        file.write_bytes((MODELS / "student_int8.tflite").read_bytes())
    done: Counter[str] = Counter()

    def counted(module: ModuleType, function: str) -> None:
        real = getattr(module, function)

        def count(*words: Any, **options: Any) -> Any:
            done[function] += 1
            return real(*words, **options)

        monkeypatch.setattr(module, function, count)

    counted(reader, "_load")
    counted(engine, "generate")
    names = tuple(map(str, files))
    request = Request(PROJECT, ("native",), names, dataset="digits", limit=1)
    prepared, _ = prepare(make_plan(request), RealLab(PROJECT), lambda _: None)
    assert [one.plan.model for one in prepared] == ["one", "two"]
    assert all(one.plan.predicted for one in prepared)
    assert done == {"_load": 2, "generate": 2}
    elf = prepared[0].firmware.file
    assert elf
    assert not (elf.parent / "gen").exists(), "`hil headers` generated the image again"
