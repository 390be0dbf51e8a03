# SPDX-License-Identifier: Apache-2.0
"""The tutorial's sketch, which prints lines and cannot be changed: listened to, and benched.

It runs as a process with a small Arduino core, on a clock that is played, and on an emulated
ATmega2560 with the real core. `HIL_SEEDS_DIR` may have the tutorial itself: its sketch is taken
from there, unchanged except for the sample that it leaves out. Otherwise it is ours, with the same
prints.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from hil import datasets
from hil.boards.config import Board, load_board
from hil.boards.emulator import start
from hil.boards.station import missing_tools
from hil.core.records import Dataset, DType
from hil.engines import ENGINES, Special
from hil.firmware import build
from hil.link import Deadline
from hil.reference import convert_outputs, encode_inputs, litert
from hil.runs.load import load_run, read_manifest
from hil.runs.schema import Manifest, Sample
from hil.tflite import Graph, read_model
from tests.support.benches import PROJECT
from tests.support.command_line import hil
from tests.support.needs import needs

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(900)]

SKETCHES = Path(__file__).parent / "sketches"
MODELS = PROJECT / "models" / "digits"
PORTS = PROJECT / "firmware" / "port" / "native"
SAMPLE = 7  # of the digits, built into the sketch

FLOAT = """
#include "net.h"
const unsigned char model[] = {{1}};
void run_network(const float *input, float *output) {{
  static uint32_t arena[NET_ARENA_BYTES / 4 + 1];
  net_invoke(input, output, arena);
  pass(52000);
}}
"""
INT8 = """
#include "net.h"
const unsigned char model[] = {{1}};
void run_network(const float *input, float *output) {{
  static uint32_t arena[NET_ARENA_BYTES / 4 + 1];
  static int8_t in[784], out[10];
  for (int i = 0; i < 784; i++) {{
    const float q = roundf(input[i] / {input.scale!r}f) + {input.zero_point};
    in[i] = (int8_t)(q < -128 ? -128 : q > 127 ? 127 : q);
  }}
  net_invoke(in, out, arena);
  for (int i = 0; i < 10; i++) output[i] = (out[i] - {output.zero_point}) * {output.scale!r}f;
}}
"""


@pytest.fixture(scope="module")
def data() -> Dataset:
    return datasets.load("digits")


def tutorial() -> str:
    """The sketch: from the tutorial itself if it is there, else ours."""
    seeds = os.environ.get("HIL_SEEDS_DIR")
    for path in sorted(Path(seeds).glob("*.txt")) if seeds else ():
        if found := re.search(
            r"```cpp\n(#include <EloquentTinyML\.h>.*?)```", path.read_text(errors="replace"), re.S
        ):
            return found[1]
    return (SKETCHES / "tutorial" / "tutorial.ino").read_text()


def sketch(folder: Path, text: str, graph: Graph, data: Dataset) -> Path:
    """A folder with the sketch, the library's headers and the model's."""
    pixels = data.x[SAMPLE].reshape(-1).astype(np.float32) / np.float32(255)
    values = ",".join(f"{value:.9g}" for value in pixels)
    assert ("{...}" in text) == ("#define N_INPUTS" in text)
    folder.mkdir()
    (folder / f"{folder.name}.ino").write_text(text.replace("{...}", f"{{{values}}}"))
    for name in ("EloquentTinyML.h", "eloquent_tinyml/tensorflow.h"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text((SKETCHES / "eloquent" / name).read_text())
    (folder / "net.h").write_text(
        ENGINES["aot"].compile(graph, "net", "net.tflite", Special()).header
    )
    shape = FLOAT if graph.input.dtype is DType.FLOAT32 else INT8
    header = shape.format(input=graph.input, output=graph.output)
    (folder / "teacher_model_quant_float32.h").write_text(header)
    return folder


def compiled(folder: Path) -> Path:
    """The sketch as a program of this machine, on the small core."""
    program = folder / "program"
    words = ["g++", "-std=gnu++17", "-O1", "-ffp-contract=off", "-Wall", "-Werror"]
    places = [f"-I{one}" for one in (SKETCHES / "arduino", folder, PORTS)]
    core = SKETCHES / "arduino" / "arduino.cpp"
    source = folder / f"{folder.name}.ino"
    subprocess.run(
        [*words, *places, core, "-include", "Arduino.h", "-x", "c++", source, "-o", program],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return program


@contextmanager
def running(board: Board, program: Path, folder: Path) -> Iterator[str]:
    """The port of the program on an emulated board."""
    assert board.emulator
    found = start(board.emulator, program, folder / "board.log", Deadline.after(60))
    try:
        yield found.port
    finally:
        found.stop()


def stored(folder: Path) -> tuple[Manifest, tuple[Sample, ...]]:
    (samples,) = load_run(folder).samples.values()
    return read_manifest(folder), samples


def outputs(file: Path, data: Dataset, samples: slice) -> np.ndarray:
    """The host's outputs as float32, one row per sample."""
    reference = litert(file)
    graph = reference.graph
    found = reference.predict(encode_inputs(data.x[samples], graph.input))
    real = read_model(MODELS / "student_float32.tflite").output
    return np.asarray(convert_outputs(found, graph.output, real))


def check(samples: tuple[Sample, ...], expected: np.ndarray) -> None:
    """Each answer is the host's as far as two decimals show it."""
    for one, right in zip(samples, expected, strict=True):
        assert not one.failed
        assert np.abs(np.frombuffer(one.device, "<f4") - right).max() <= 0.00501


@pytest.mark.parametrize("network", ["teacher", "student"])
def test_the_tutorials_sketch_is_listened_to_unchanged(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    file = MODELS / f"{network}_float32.tflite"
    program = compiled(sketch(tmp_path / "tutorial", tutorial(), read_model(file), data))
    out = tmp_path / "run"
    with running(load_board("native"), program, tmp_path) as port:
        words = ("--pattern", "tutorial", "--dataset", "digits", "--sample", str(SAMPLE))
        more = ("--model", file, "--count", "5", "--out", out, "--no-open")
        assert hil(monkeypatch, "listen", "--port", port, *words, *more) == 0
    manifest, samples = stored(out)
    check(samples, np.repeat(outputs(file, data, slice(SAMPLE, SAMPLE + 1)), 5, axis=0))
    assert {one.time for one in samples} == {52_000}
    (plan,), (end,) = manifest.runs, manifest.ends
    assert (manifest.state, plan.protocol, plan.emulated) == ("complete", "text", True)
    assert end.clock_step == 1000.0
    report = (out / "report.md").read_text()
    assert "no check sum" in report


def test_the_tutorials_network_is_benched_by_lines(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = MODELS / "teacher_float32.tflite"
    text = (SKETCHES / "csv" / "csv.ino").read_text()
    program = compiled(sketch(tmp_path / "csv", text, read_model(file), data))
    out = tmp_path / "run"
    with running(load_board("native"), program, tmp_path) as port:
        words = ("--protocol", "text", "--pattern", "tutorial", "--dataset", "digits")
        more = ("--limit", "40", "--model", file, "--repeat", "2", "--out", out, "--no-open")
        assert hil(monkeypatch, "bench", "--port", port, *words, *more) == 0
    manifest, samples = stored(out)
    some = datasets.subset(data, 40)
    check(samples, outputs(file, some, slice(None)))
    assert manifest.ends[0].retries == 0
    assert {one.time for one in samples} == {52_000}


# --- an ATmega2560 with the real Arduino core ---


@pytest.fixture(scope="module")
def mega() -> Board:
    board = load_board("mega2560")
    needs(missing_tools(board))
    return board


def test_an_arduino_prints_the_tutorials_lines(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch, mega: Board
) -> None:
    """Unchanged except for the arena, which an int of 16 bits does not hold."""
    file = MODELS / "student_int8.tflite"
    text = tutorial().replace("90 * 1024", "2 * 1024")
    folder = sketch(tmp_path / "tutorial", text, read_model(file), data)
    built = build(mega.pio_env, [], "user", PROJECT, sketch=folder)
    out = tmp_path / "run"
    with running(mega, built.elf, tmp_path) as port:
        words = ("--pattern", "tutorial", "--dataset", "digits", "--sample", str(SAMPLE))
        more = ("--model", file, "--count", "3", "--board", "mega2560", "--out", out, "--no-open")
        assert hil(monkeypatch, "listen", "--port", port, "--baud", "9600", *words, *more) == 0
    manifest, samples = stored(out)
    check(samples, np.repeat(outputs(file, data, slice(SAMPLE, SAMPLE + 1)), 3, axis=0))
    assert manifest.ends[0].clock_step == 1000.0
    assert all(one.time and one.time > 50_000 for one in samples)  # of simulated time


def test_an_arduino_is_benched_by_lines(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch, mega: Board
) -> None:
    file = MODELS / "student_int8.tflite"
    text = (SKETCHES / "csv" / "csv.ino").read_text()
    folder = sketch(tmp_path / "csv", text, read_model(file), data)
    built = build(mega.pio_env, [], "user", PROJECT, sketch=folder)
    out = tmp_path / "run"
    with running(mega, built.elf, tmp_path) as port:
        words = ("--protocol", "text", "--pattern", "tutorial", "--dataset", "digits")
        more = ("--limit", "10", "--model", file, "--board", "mega2560", "--timeout", "60")
        last = ("--out", out, "--no-open")
        assert hil(monkeypatch, "bench", "--port", port, *words, *more, *last) == 0
    some = datasets.subset(data, 10)
    check(stored(out)[1], outputs(file, some, slice(None)))
