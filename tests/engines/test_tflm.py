# SPDX-License-Identifier: Apache-2.0
"""The files of engine `tflm`: the byte array is the file, the operators are those of the image."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hil.core.errors import ModelError, UsageError
from hil.engines import write_image
from hil.engines.tflm import scratch
from hil.engines.tflm_arena import measure
from hil.engines.tflm_operators import OPERATORS, Registrations, registrations
from hil.tflite import read_model
from tests.support.tflite import Net

ROOT = Path(__file__).parents[2]
LIBRARIES = ROOT / "firmware" / "lib"
INTERFACE = LIBRARIES / "TinymlHil" / "src" / "hil_engine"
MODELS = ROOT / "models" / "mnist"
DATA = Path(__file__).parent / "data"

pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")

PRINT = """
#include <stdio.h>
#include "net.h"
int main(void) {
  return fwrite(net_tflite, 1, sizeof net_tflite, stdout) == sizeof net_tflite ? 0 : 1;
}
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    write_image("tflm", [("net", MODELS / "student_int8.tflite")], folder)
    return folder


@pytest.mark.firmware
@pytest.mark.parametrize("compiler", [["gcc", "-std=c11"], ["g++", "-x", "c++", "-std=c++11"]])
def test_the_byte_array_is_the_file(compiler: list[str], image: Path, tmp_path: Path) -> None:
    (tmp_path / "print.c").write_text(PRINT)
    strict = ["-Wall", "-Wextra", "-Werror", "-Wpedantic", f"-I{image}"]
    subprocess.run([*compiler, *strict, "print.c", "-o", "print"], check=True, cwd=tmp_path)
    printed = subprocess.run([tmp_path / "print"], check=True, capture_output=True).stdout
    assert printed == (MODELS / "student_int8.tflite").read_bytes()


@pytest.mark.firmware
@pytest.mark.parametrize("compiler", [["gcc", "-std=c11"], ["g++", "-x", "c++", "-std=c++11"]])
def test_the_image_compiles(compiler: list[str], image: Path) -> None:
    strict = ["-Wall", "-Wextra", "-Werror", f"-I{image}", f"-I{INTERFACE}"]
    source = ["-fsyntax-only", f"-I{LIBRARIES / 'hil_tflm'}", str(image / "hil_image.c")]
    subprocess.run([*compiler, *strict, *source], check=True)


def calls(folder: Path) -> set[str]:
    text = (folder / "hil_tflm_ops.h").read_text()
    found = re.findall(r"\(resolver\)\.(Add\w+)\((?:tflite::Register_)?(\w*)", text)
    count = re.search(r"#define HIL_TFLM_OP_COUNT (\d+)", text)
    assert count
    assert int(count[1]) == len(found)
    return {f"{method} {registration}".strip() for method, registration in found}


def test_int8_registers_only_its_own_operators(image: Path) -> None:
    assert calls(image) == {
        "AddConv2D CONV_2D_INT8",
        "AddFullyConnected FULLY_CONNECTED_INT8",
        "AddMaxPool2D MAX_POOL_2D_INT8",
        "AddReshape",
    }
    kernels = (image / "hil_tflm_kernels.txt").read_text().split()
    assert kernels == ["conv", "fully_connected", "pooling", "reshape"]


def test_one_float32_network_widens_the_registrations_it_uses(tmp_path: Path) -> None:
    models = [(kind, MODELS / f"student_{kind}.tflite") for kind in ("int8", "float32")]
    write_image("tflm", [(f"m_{name}", path) for name, path in models], tmp_path)
    assert calls(tmp_path) == {"AddConv2D", "AddFullyConnected", "AddMaxPool2D", "AddReshape"}


def test_every_operator_has_a_method_and_a_kernel() -> None:
    for code, (method, stem) in OPERATORS.items():
        plain = code.removeprefix("CUSTOM:").replace("_", "").lower()
        assert plain.endswith(method.lower())
        assert re.fullmatch(r"(signal/)?[a-z0-9_]+", stem)


@pytest.mark.parametrize("code", ["UNIQUE", "TILE", "FLOOR_MOD", "SVDF"])
def test_the_package_has_the_operators_of_the_table(code: str) -> None:
    said = refusal(Net().input((1, 4)).op(code, (1, 4)).finish())  # one input: all refuse that
    assert (f"Didn't find op for builtin opcode '{code}'" in said) == (code not in OPERATORS)


def refusal(model: bytes) -> str:
    with pytest.raises(ModelError) as refused:
        measure(model)
    return refused.value.what


def test_all_operators_that_tflm_does_not_have_are_named(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    net = Net().input((1, 4)).op("GELU", (1, 4)).op("RELU", (1, 4)).op("TILE", (1, 4))
    path.write_bytes(net.op("GELU", (1, 4)).finish())
    with pytest.raises(ModelError, match="Micro does not have GELU, TILE;"):
        write_image("tflm", [("net", path)], tmp_path / "image")
    assert not (tmp_path / "image").exists()


@pytest.mark.parametrize("name", ["student_int8", "teacher_float32"])
def test_the_measured_arena_is_the_smallest_that_allocates(name: str) -> None:
    from tflite_micro import runtime

    path = MODELS / f"{name}.tflite"
    size = measure(path.read_bytes())
    assert size % 16 == 0
    runtime.Interpreter.from_file(str(path), arena_size=size)
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_file(str(path), arena_size=size - 16)


def test_a_crash_of_tflm_means_that_the_arena_is_too_small() -> None:
    model = (DATA / "autoenc_int8.tflite").read_bytes()
    code = """
import sys
from tflite_micro import runtime
runtime.Interpreter.from_bytes(sys.stdin.buffer.read(), arena_size=int(sys.argv[1]))
"""
    size = measure(model)
    ends = [
        subprocess.run(
            [sys.executable, "-c", code, str(bytes_)], input=model, capture_output=True, check=False
        ).returncode
        for bytes_ in (size, size - 16)
    ]
    assert ends == [0, -signal.SIGSEGV]


def test_a_damaged_model_is_refused() -> None:
    assert refusal(b"\0\0\0\0TFL3").startswith("TensorFlow Lite Micro refuses the model: TypeError")


def test_a_refusal_has_the_words_of_tflm(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(Net().input((1, 4)).op("ADD", (1, 4)).finish())  # one operand
    with pytest.raises(
        ModelError,
        match=r"net\.tflite: TensorFlow Lite Micro refuses the model: .*Node ADD .* failed to prep",
    ):
        write_image("tflm", [("net", path)], tmp_path / "image")


def test_scratch_is_the_buffer_that_cmsis_nn_needs() -> None:
    # conv 3x3 of one channel: 9 -> 16 columns; dense to 16: as many sums of int32
    assert scratch(read_model(MODELS / "student_int8.tflite")) == 4 * 16
    teacher = read_model(MODELS / "teacher_int8.tflite")
    (_, second) = (o for o in teacher.operators if o.code == "CONV_2D")
    _, height, width, channels = teacher.tensors[second.inputs[1]].shape
    assert scratch(teacher) == 4 * height * width * channels == 4 * 288  # 288 = 18 * 16
    assert scratch(read_model(MODELS / "student_float32.tflite")) == 0


def test_the_arena_can_be_chosen(tmp_path: Path) -> None:
    models = [("net", MODELS / "student_int8.tflite")]
    for engine in ("aot", "tflm"):
        write_image(engine, models, tmp_path, arena=1000)
        assert "#define HIL_ARENA_BYTES 1000\n" in (tmp_path / "hil_image.h").read_text()
    with pytest.raises(UsageError, match="invalid arena of 0 bytes"):
        write_image("aot", models, tmp_path, arena=0)


def test_an_image_without_networks_registers_nothing() -> None:
    assert registrations([]) == Registrations((), ())
