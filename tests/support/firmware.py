# SPDX-License-Identifier: Apache-2.0
"""The firmware's sources, and builds of them: C on the host, images, PlatformIO projects."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.records import Encoding, Hello
from hil.device import Device
from hil.firmware import Footprint, build, footprint
from hil.reference import oracle
from tests.support.needs import needs

PROJECT = Path(__file__).parents[2]
FIRMWARE = PROJECT / "firmware"
MODELS = PROJECT / "models" / "digits"
SOURCES = FIRMWARE / "lib" / "TinymlHil" / "src"
ARDUINO_PORT = SOURCES / "hil_arduino"
# what a program needs to run a session on the host, besides the fake board's headers
LIBRARY = sorted([*SOURCES.glob("hil_wire/*.c"), *SOURCES.glob("hil_session/*.c")])
DEVICE = sorted(SOURCES.glob("hil_device*.c"))
BSP = FIRMWARE / "platforms" / "bare_metal" / "bsp"
FAKE_IMAGE = FIRMWARE / "test" / "fake_image" / "hil_image.c"
# as firmware/scripts/image.py does for an image of networks
INCLUDES = [
    "-DHIL_WITH_IMAGE",
    *(f"-I{SOURCES / name}" for name in ("", "hil_engine", "hil_wire", "hil_session")),
    f"-I{FIRMWARE / 'port'}",
    f"-I{FIRMWARE / 'test'}",
    f"-I{FAKE_IMAGE.parent}",
]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]


def board_json(board: str) -> dict[str, Any]:
    """A file of firmware/platforms/bare_metal/boards."""
    text = (BSP.parent / "boards" / f"{board}.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def defines(board: str) -> list[str]:
    """The macros that the builder defines for a bare-metal board."""
    build = board_json(board)["build"]
    macros = {**build["defines"], "HIL_BOARD_NAME": f'"{build["board"]}"'}
    macros |= {"HIL_BOOT": "1"} if "boot" in build and "chip" not in build else {}
    return [f"-D{name}={value}" for name, value in macros.items()]


def run(words: list[str], timeout: float = 200, cwd: Path | None = None) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(
        words,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{words[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return done.stdout


def shared_library(source: Path, folder: Path) -> ctypes.CDLL:
    """A C file of the firmware, compiled for this machine and loaded."""
    place = folder / f"{source.stem}.so"
    flags = ["-std=c11", *STRICT, "-O1", "-g", "-shared", "-fPIC", *INCLUDES]
    run(["gcc", *flags, str(source), "-o", str(place)])
    return ctypes.CDLL(str(place))


def write_golden_header(folder: Path) -> None:
    """Write the unit tests' golden.h into ``folder``."""
    script = FIRMWARE / "scripts" / "golden_header.py"
    run([sys.executable, str(script), str(folder), str(FIRMWARE / "golden" / "wire.json")])


def pio(
    words: list[str],
    environment: dict[str, str],
    project: Path = PROJECT,
    limit_s: float = 110,
) -> subprocess.CompletedProcess[str]:
    """Run PlatformIO on ``project``; stdout has stderr too."""
    return subprocess.run(
        [sys.executable, "-m", "platformio", *words, "-d", str(project)],
        env=environment,
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit_s,
        check=False,
    )


def copied_project(folder: Path) -> Path:
    """A copy of the checkout that a test may change."""
    project = folder / "project"
    shutil.copytree(FIRMWARE, project / "firmware")
    shutil.copytree(PROJECT / "hil", project / "hil")
    shutil.copytree(PROJECT / "models", project / "models")
    shutil.copy(PROJECT / "platformio.ini", project)
    return project


def project_with(folder: Path, body: str, before: str = "") -> Path:
    """A copy of the checkout in which the timed part of each inference starts with the C code
    ``body``, which can read ``input``; ``before`` is C code in front of the function."""
    project = copied_project(folder)
    source = project / SOURCES.relative_to(PROJECT) / "hil_session" / "hil_infer.c"
    text = source.read_text()
    include, call = '#include "hil_replies.h"\n', "  status = model->invoke("
    assert (text.count(include), text.count(call)) == (1, 1)
    text = text.replace(include, include + before).replace(call, body + call)
    source.write_text(text)
    return project


@dataclass(frozen=True)
class Image:
    """A linked firmware, its footprint, and the names of its models."""

    elf: Path
    found: Footprint
    models: tuple[str, ...]


def image(name: str, project: Path = PROJECT) -> Image:
    """The int8 models of the digits that fit board ``name``, built by engine aot."""
    board = load_board(name)
    needs(missing_tools(board))
    models = board.models or ("teacher", "student")
    files = [(model, MODELS / f"{model}_int8.tflite") for model in models]
    elf = build(board.pio_env, files, "aot", project).elf
    return Image(elf, footprint(elf, models), tuple(models))


# grey values, so that no two implementations agree by chance
DIGITS = np.random.default_rng(11).integers(0, 256, (20, 1, 28, 28, 1), dtype=np.uint8)


def answers_of(name: str, engine: str, models: Sequence[str]) -> tuple[Hello, list[list[bytes]]]:
    """HELLO, and the outputs for DIGITS of each of ``models``, files of MODELS, from a board."""
    board = load_board(name)
    needs(missing_tools(board))
    files = [(model, MODELS / f"{model}.tflite") for model in models]
    firmware = build(board.pio_env, files, engine, PROJECT)
    with open_board(board, firmware.elf) as link:
        device = Device(link)
        hello = device.hello()
        outputs = []
        for index in range(len(files)):
            answers = device.infer(index, Encoding.PIXELS, (d.tobytes() for d in DIGITS), window=2)
            outputs.append([answer.result.output for answer in answers])
            assert device.hello() == hello  # a HELLO in between changes nothing
    return hello, outputs


def oracle_outputs(model: str) -> list[bytes]:
    """The outputs that TFLM on the host computes for DIGITS."""
    reference = oracle(MODELS / f"{model}.tflite")
    x = DIGITS.astype(np.float32) / np.float32(255)
    if model.endswith("int8"):
        x = (DIGITS.astype(np.int16) - 128).astype(np.int8)
    return [y.tobytes() for y in reference.predict(x.reshape(len(x), *reference.graph.input.shape))]


def check_promises(name: str, engine: str, models: Sequence[str], folder: Path) -> None:
    """Run firmware/test/test_engine, which tries every arena size from what a model needs to 0."""
    board = load_board(name)
    needs(missing_tools(board))
    image = [f"{model}={MODELS / f'{model}.tflite'}" for model in models]
    variables = {**os.environ, "HIL_ENGINE": engine, "HIL_IMAGE": os.pathsep.join(image)}
    variables |= {"PLATFORMIO_BUILD_DIR": str(folder)}
    done = pio(["test", "-e", board.pio_env, "-f", "test_engine"], variables, limit_s=800)
    assert done.returncode == 0, done.stdout[-3000:]
