# SPDX-License-Identifier: Apache-2.0
"""The commands that hints suggest choose the networks that are, or should be, on the board."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.bench import Request, make_plan
from hil.bench.advice import bench_command, bench_whatever_runs, flash_command
from hil.bench.cases import Image
from hil.bench.lab import check_image
from hil.bench.plan import choose_image
from hil.boards.config import load_board
from hil.cli.main import COMMANDS, load_command
from hil.core.errors import WrongFirmware
from hil.core.records import DType, Hello, ModelInfo, TensorSpec
from tests.support.benches import PROJECT
from tests.support.device import HELLO

MODELS = PROJECT / "models" / "digits"
FOUR = TensorSpec(DType.FLOAT32, (4,))


def given(command: str, port: str | None) -> Request:
    """What the user requests who copies ``command``, with data where it asks for them."""
    words = shlex.split(command)
    assert words[0] == "hil"
    options: dict[str, Any] = (
        load_command(words[1], COMMANDS[words[1]]).make_context("hil", words[2:]).params
    )
    assert options["port"] == port
    board, precision = options["board"], options["precision"]
    return Request(
        project=PROJECT,
        boards=(board,) if isinstance(board, str) else tuple(board),
        models=tuple(options["model"]),
        precisions=(precision,) if isinstance(precision, str) else tuple(precision or ()),
        engines=(options["engine"],) if isinstance(options["engine"], str) else (options["engine"]),
        dataset=options["dataset"],
        data=options.get("data"),
        limit=1,
    )


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with data for the user's own networks, named as the command names them."""
    monkeypatch.chdir(tmp_path)
    x = np.zeros((2, 28, 28, 1), np.uint8)
    np.savez("DATA.npz", x=x, y=np.array([0, 1]))
    for name in ("student_int8", "teacher_int8"):
        shutil.copy(MODELS / f"{name}.tflite", f"my {name}.tflite")


def same(image: Image) -> tuple[object, ...]:
    return image.key, tuple(network.graph.sha256 for network in image.networks)


REQUESTS = [
    {"dataset": "digits"},
    {"dataset": "digits", "precisions": ("float32",), "engines": ("aot-fast",)},
    {"dataset": "digits", "models": ("teacher",)},
    {"dataset": "digits", "boards": ("mega2560",)},  # takes only the student
    {"models": ("my student_int8.tflite", "my teacher_int8.tflite")},
    {"models": ("my teacher_int8.tflite",), "boards": ("esp32dev",)},
]


@pytest.mark.parametrize("changes", REQUESTS)
def test_the_bench_after_flash_needs_no_other_image(changes: dict[str, Any]) -> None:
    image = choose_image(Request(**{"project": PROJECT, "boards": ("native",), **changes}))
    again = given(bench_command(image, "/dev/tty B"), "/dev/tty B")
    cases = make_plan(again).cases
    assert {same(case.image) for case in cases} == {same(image)}
    assert {case.network.name for case in cases} == {one.name for one in image.networks}


@pytest.mark.parametrize("changes", REQUESTS)
def test_the_hint_of_a_wrong_image_flashes_the_right_one(changes: dict[str, Any]) -> None:
    image = choose_image(Request(**{"project": PROJECT, "boards": ("native",), **changes}))
    port = None if image.board.emulator else "/dev/ttyUSB7"
    assert same(choose_image(given(flash_command(image, port), port))) == same(image)
    with pytest.raises(WrongFirmware) as caught:
        check_image(HELLO, image, "/dev/ttyUSB7")
    assert caught.value.hint == f"flash it: {flash_command(image, '/dev/ttyUSB7')}"


def hello_of(image: Image, engine: str) -> Hello:
    models = (
        ModelInfo(one.name, engine, one.graph.sha256, FOUR, FOUR, 0, 0) for one in image.networks
    )
    return replace(HELLO, models=tuple(models))


@pytest.mark.parametrize("changes", REQUESTS[:4])
def test_our_networks_are_known_by_their_hash(changes: dict[str, Any]) -> None:
    image = choose_image(Request(**{"project": PROJECT, "boards": ("native",), **changes}))
    command = bench_whatever_runs(hello_of(image, image.engine), image.board, "x", PROJECT)
    assert {same(case.image) for case in make_plan(given(command, "x")).cases} == {same(image)}


def test_what_is_not_known_is_left_to_the_user() -> None:
    board = load_board("mps2")
    unknown = replace(HELLO, models=(replace(HELLO.models[0], engine="tflm", sha256="0" * 64),))
    assert bench_whatever_runs(unknown, board, "x", PROJECT) == (
        "hil bench --board mps2 --port x --model student.tflite --engine tflm --data DATA.npz"
    )
    sketch = replace(HELLO, models=(replace(HELLO.models[0], engine="user"),))
    assert bench_whatever_runs(sketch, board, "x", PROJECT) == (
        "hil bench --board mps2 --port x --engine user --data DATA.npz"
    )
