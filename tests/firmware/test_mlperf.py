# SPDX-License-Identifier: Apache-2.0
"""MLPerf Tiny's commands with real firmware: the host's answers, and frames in between."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import softmax

from hil import datasets
from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.records import Encoding
from hil.device import Device
from hil.firmware import build
from hil.link import Deadline, Link
from hil.link.serial_port import SerialLink
from hil.reference import encode_inputs, oracle
from hil.stats.metrics import dequantised
from tests.support.firmware import FIRMWARE, MODELS, PROJECT, pio
from tests.support.needs import needs
from tests.support.tflite import Net

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]
READY = "m-ready"
RUNNER = re.compile(r"^m-(name-dut|model|profile)-\[([^]]+)]$")  # as MLCommons' runner parses them
A_LINE = 37  # bytes that fit 80 characters

Reals = npt.NDArray[np.floating[Any]]


@dataclass
class Talk:
    """A port, and one command at a time."""

    link: Link

    def ask(self, command: str | bytes) -> list[str]:
        """The lines of the reply before m-ready, which must follow."""
        sent = command.encode() if isinstance(command, str) else command
        self.link.write(sent + b"%")
        deadline, got = Deadline.after(60), b""
        while not got.endswith(b"\r\n") or got.splitlines()[-1] != READY.encode():
            data = self.link.read(deadline)
            assert data, f"{command!r} was answered {got!r}"
            got += data
        assert got.decode("ascii").count(READY) == 1
        return got.decode("ascii").split("\r\n")[:-2]

    def load(self, data: bytes) -> None:
        assert self.ask(f"db load {len(data)}") == [f"m-[Expecting {len(data)} bytes]"]
        for start in range(0, len(data), A_LINE):
            last = start + A_LINE >= len(data)
            said = self.ask("db " + data[start : start + A_LINE].hex())
            assert said == (["m-load-done"] if last else [])

    def infer(self, iterations: int = 1, warmups: int = 0) -> tuple[list[float], int]:
        """The results, and the microseconds between the two laps."""
        *head, one, two, done, results = self.ask(f"infer {iterations} {warmups}")
        assert head == [
            f"m-warmup-start-{warmups}",
            "m-warmup-done",
            f"m-infer-start-{iterations}",
        ]
        assert done == "m-infer-done"
        laps = [int(lap.removeprefix("m-lap-us-")) for lap in (one, two)]
        found = re.fullmatch(r"m-results-\[([0-9.,]+)]", results)
        assert found
        return [float(value) for value in found[1].split(",")], (laps[1] - laps[0]) % 2**32


@contextmanager
def talking(name: str, precision: str = "int8") -> Iterator[Talk]:
    board = load_board(name)
    needs(missing_tools(board))
    models = board.models or ("teacher", "student")
    files = [(model, MODELS / f"{model}_{precision}.tflite") for model in models]
    elf = build(board.pio_env, files, "aot", PROJECT).elf
    with open_board(board, elf) as link:
        assert Device(link).hello().models  # bytes sent before it has booted are lost
        yield Talk(link)


def host(model: str, precision: str, x: npt.NDArray[np.generic]) -> Reals:
    """The probabilities that the outputs of TFLM on the host give."""
    reference = oracle(MODELS / f"{model}_{precision}.tflite")
    spec = reference.graph.output
    outputs = reference.predict(encode_inputs(x, reference.graph.input))
    found: Reals = softmax(dequantised(outputs, spec.scale, spec.zero_point), axis=1)
    return found.reshape(len(x), -1)


CASES = [
    ("native", "student", "int8", 100),
    ("native", "teacher", "int8", 20),
    ("native", "student", "float32", 20),
    ("mps2", "student", "int8", 5),
    ("rv32", "student", "int8", 2),
    ("lx106", "student", "int8", 2),
    ("mega2560", "student", "int8", 2),
]


@pytest.mark.parametrize(("name", "model", "precision", "count"), CASES)
def test_digits_in_text_give_the_hosts_results(
    name: str, model: str, precision: str, count: int
) -> None:
    data = datasets.load("digits")
    x, y = data.x[:count], data.y[:count]
    expected = host(model, precision, x)
    with talking(name, precision) as talk:
        assert talk.ask("model " + model) == [f"m-model-[{model} {precision} aot]"]
        results = []
        for digit in x:
            talk.load(digit.tobytes())
            results.append(talk.infer()[0])
    found = np.array(results)
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-7)
    assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    assert (found.argmax(axis=1) == y).mean() == (expected.argmax(axis=1) == y).mean() > 0.7


def test_float32_is_taken_too() -> None:
    x = datasets.load("digits").x[:2]
    real = x.astype(np.float32) / np.float32(255)
    for precision in ("int8", "float32"):
        with talking("native", precision) as talk:
            for digit, as_float in zip(x, real, strict=True):
                talk.load(digit.tobytes())
                expected = talk.infer()[0]
                talk.load(as_float.tobytes())
                assert talk.infer()[0] == expected
                assert talk.infer(3, 2)[0] == expected  # again, without a load
                assert _printed(talk) == as_float.tobytes()


def _printed(talk: Talk) -> bytes:
    lines = talk.ask("db print")
    assert all(line.count("-") == 9 for line in lines[:-1])
    return bytes.fromhex("".join(line.removeprefix("m-buffer-") for line in lines).replace("-", ""))


@pytest.mark.parametrize("name", ["native", "mps2", "mega2560"])
def test_the_runner_can_parse_name_and_profile(name: str) -> None:
    with talking(name) as talk:
        (who,) = talk.ask("name")
        profile, model = talk.ask("profile")
    assert all(RUNNER.match(line) for line in (who, profile, model))
    assert who.startswith("m-name-dut-[tinyml-hil ")
    # simavr's ATmega reports its clock as real, like the real chip
    assert ("is no time" in who) == (name != "mega2560")  # words: ignore
    assert profile == "m-profile-[ULPMark for tinyML Firmware V0.0.1]"
    assert model.endswith("student int8 aot]" if name == "mega2560" else "teacher int8 aot]")


@pytest.mark.parametrize("name", ["native", "mps2", "rv32", "lx106", "mega2560"])
def test_the_clock_counts_microseconds(name: str) -> None:
    """Ten times the inferences take ten times as long, except in a process on a loaded host."""
    with talking(name) as talk:
        first = int(talk.ask("timestamp")[0].removeprefix("m-lap-us-"))
        talk.load(bytes(784))
        one, ten = (talk.infer(n)[1] for n in (2, 20))
        last = int(talk.ask("timestamp")[0].removeprefix("m-lap-us-"))
    assert first < last
    if name == "native":
        assert min(one, ten) > 0
    else:
        assert ten == pytest.approx(10 * one, rel=0.2)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("name", ["native", "mps2"])
def test_frames_and_text_alternate(name: str) -> None:
    digit = datasets.load("digits").x[0].tobytes()
    with talking(name) as talk:
        talk.load(digit)
        in_text, _ = talk.infer()
        device = Device(talk.link)
        hello = device.hello()
        (answer,) = device.infer(0, Encoding.PIXELS, [digit])
        spec = hello.models[0].output
        logits = dequantised(np.frombuffer(answer.result.output, "i1"), spec.scale, spec.zero_point)
        np.testing.assert_allclose(in_text, softmax(logits), rtol=0, atol=3e-7)
        assert talk.ask("infer 1 0") == ["e-[Input is not loaded: 0 of 0 bytes]"]
        talk.load(digit)
        assert talk.infer()[0] == in_text
        (again,) = device.infer(0, Encoding.PIXELS, [digit])
        assert again.result.output == answer.result.output
        assert device.status().frames_bad == 0
        assert device.retries == 0


def test_odd_commands_do_not_block_the_board() -> None:
    """Lines that are too long, empty or noise: each is answered, and so is the next one."""
    noise = np.random.default_rng(3).integers(1, 256, 3000, dtype=np.uint8).tobytes()
    with talking("native") as talk:
        for odd in ("", "  ", "x" * 81, "db " + "0" * 4000, "\r\n", "infer 1 2 3 4"):
            talk.ask(odd)
        assert talk.ask("x" * 81) == ["e-[Command of more than 80 characters]"]
        for piece in noise.replace(b"%", b"").split(b"\n")[:10]:
            talk.ask(b"n" + piece[:300])
        assert talk.ask("unheard \x1b[2J") == ["e-[Unknown command: unheard]"]
        assert talk.ask("a\x1b]") == ["e-[Unknown command: a?)]"]
        assert talk.ask("timestamp")[0].startswith("m-lap-us-")


def test_a_network_with_softmax_prints_its_outputs_unchanged(tmp_path: Path) -> None:
    files = []
    for name, kind in (("real", "float32"), ("quantised", "int8")):
        files.append((name, tmp_path / f"{name}.tflite"))
        files[-1][1].write_bytes(Net().input((1, 5), kind, 1 / 32, -7).softmax().finish())
    needs(missing_tools(load_board("native")))
    elf = build("native", files, "aot", PROJECT).elf
    pixels = np.array([[0, 200, 255, 3, 90]], np.uint8)
    with open_board(load_board("native"), elf) as link:
        talk = Talk(link)
        for name, path in files:
            reference = oracle(path)
            spec = reference.graph.output
            outputs = reference.predict(encode_inputs(pixels, reference.graph.input))
            expected = dequantised(outputs, spec.scale, spec.zero_point).ravel()
            talk.ask("model " + name)
            talk.load(pixels.tobytes())
            np.testing.assert_allclose(talk.infer()[0], expected, rtol=0, atol=3e-7)


def built_with(flag: str, environment: dict[str, str]) -> Path:
    needs(missing_tools(load_board("native")))
    done = pio(["run", "-e", "native"], environment | {"PLATFORMIO_BUILD_FLAGS": flag})
    assert done.returncode == 0, done.stdout[-4000:]
    return Path(environment["PLATFORMIO_BUILD_DIR"]) / "native" / "program"


def test_without_mlperf_every_block_is_a_frame(environment: dict[str, str]) -> None:
    with open_board(load_board("native"), built_with("-DHIL_MLPERF=0", environment)) as link:
        device = Device(link)
        assert device.hello().models
        link.write(b"name%\0")
        assert device.status().frames_bad == 1


def test_the_boot_message_does_not_disturb_a_host(environment: dict[str, str]) -> None:
    program = built_with("-DHIL_MLPERF_BOOT=1", environment)
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        name = process.stdout.readline().split()[1]
        descriptor = os.open(name, os.O_RDWR | os.O_NOCTTY)  # a SerialLink would flush it
        try:
            said = b""
            while not said.endswith(b"m-ready\r\n"):
                assert select.select([descriptor], [], [], 10)[0], said
                said += os.read(descriptor, 4096)
            assert re.fullmatch(
                rb"m-timestamp-mode-performance\r\nm-lap-us-\d+\r\nm-init-done\r\nm-ready\r\n", said
            )
            with contextlib.closing(SerialLink(name)) as link:
                assert Device(link).hello().models
        finally:
            os.close(descriptor)
            process.kill()


GOLDEN = json.loads((FIRMWARE / "golden" / "mlperf.json").read_text("utf-8"))["steps"]


def test_the_golden_results_equal_scipys() -> None:
    """Computed from the definition of the fake image's networks."""
    wanted = {
        # the first, the last, the exclusive or of all four, of pixels minus 128; 0.5 * (q - 3)
        "one inference": softmax(0.5 * (np.array([10, 10, -128]) - 3)),
        "float32 unchanged": softmax(np.array(struct.unpack("<4f", _loaded("1, 1, -200"))[::-1])),
        "pixels as float32": softmax(np.zeros(4)),
    }
    steps = {step["name"]: step for step in GOLDEN}
    for name, expected in wanted.items():
        line = steps[name]["reply"][-2]
        found = [float(v) for v in line.removeprefix("m-results-[").removesuffix("]").split(",")]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def _loaded(name: str) -> bytes:
    (step,) = (step for step in GOLDEN if step["name"].startswith(name))
    return bytes.fromhex(step["send"].removeprefix("db ").removesuffix("%"))


def test_the_runner_can_parse_every_line_of_the_golden_dialogue() -> None:
    for step in GOLDEN:
        *_, last = step["reply"]
        assert last == READY
        assert all(line.isascii() and line.isprintable() for line in step["reply"])
        assert sum(READY in line for line in step["reply"]) == 1
        assert step["send"].count("%") == 1


def test_dialogue_and_documentation_have_the_same_errors() -> None:
    text = (PROJECT / "docs" / "mlperf-tiny.md").read_text()
    table = text.partition("**Errors**")[2].partition("\n\n**")[0]
    documented = re.findall(r"`(e-\[[^`]*\])`", table)
    # placeholders: x is any text, G and N are numbers, zz are two characters
    placeholders = {"x": ".+", "G": r"\d+", "N": r"\d+", "zz": ".."}
    patterns = [
        re.sub(r"\b(x|G|N|zz)\b", lambda found: placeholders[found[1]], re.escape(error))
        for error in documented
    ]
    said = {line for step in GOLDEN for line in step["reply"] if line.startswith("e-[")}
    assert len(documented) > 15
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line) for line in said), pattern
    for line in said:
        assert any(re.fullmatch(pattern, line) for pattern in patterns), line
