# SPDX-License-Identifier: Apache-2.0
"""A header is self-contained: any C or C++11 sketch can include it, and it names its model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hil.engines.aot import generate
from hil.engines.aot.source import Array, real_literal
from hil.firmware.toolchain import compilers
from hil.tflite import read_model
from tests.support.covering import covering
from tests.support.native import STRICT, library
from tests.support.needs import skip_without
from tests.support.tflite import Net, float_cnn, int8_cnn

LANGUAGES = [["gcc", "-std=c99"], ["gcc", "-std=c11"], ["g++", "-x", "c++", "-std=c++11"]]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-O2", "-ffp-contract=off"]


def write(folder: Path) -> None:
    for name, net in (("alpha", float_cnn()), ("beta", int8_cnn())):
        graph = read_model(net.finish())
        (folder / f"{name}.h").write_text(generate(graph, name, f"{name}.tflite").text)


@pytest.mark.parametrize("language", LANGUAGES, ids=["C99", "C11", "C++11"])
def test_two_headers_share_a_sketch_without_a_warning(language: list[str], tmp_path: Path) -> None:
    write(tmp_path)
    sketch = tmp_path / "sketch.c"
    sketch.write_text(
        '#include "alpha.h"\n#include "beta.h"\n#include "alpha.h"\n'
        "static uint32_t arena[ALPHA_ARENA_BYTES / 4 + BETA_ARENA_BYTES / 4 + 1];\n"
        "int main(void) {\n"
        "  static float x[ALPHA_INPUT_ELEMENTS], y[ALPHA_OUTPUT_ELEMENTS];\n"
        "  static int8_t p[BETA_INPUT_ELEMENTS], q[BETA_OUTPUT_ELEMENTS];\n"
        "  alpha_invoke(x, y, arena);\n  beta_invoke(p, q, arena);\n  return 0;\n}\n"
    )
    program = tmp_path / "sketch"
    subprocess.run([*language, *WARNINGS, sketch, "-o", program, "-lm"], check=True, timeout=60)
    subprocess.run([program], check=True, timeout=60)


def test_an_unused_header_causes_no_warning(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "sketch.c").write_text('#include "alpha.h"\nint main(void) { return 0; }\n')
    command = ["gcc", *STRICT, "-O2", "sketch.c", "-o", "sketch"]
    subprocess.run(command, check=True, timeout=60, cwd=tmp_path)


def test_no_heap_and_only_standard_headers() -> None:
    text = generate(read_model(int8_cnn().finish()), "net", "net.tflite").text
    included = [line for line in text.splitlines() if line.startswith("#include")]
    standard = ["#include <math.h>", "#include <stdint.h>", "#include <string.h>"]
    cores = ["avr/pgmspace.h", "xtensa/config/core-isa.h", "arm_mve.h"]  # only for those
    assert included == [*standard, *(f"#include <{name}>" for name in cores)]
    assert "malloc" not in text


def test_the_first_comment_says_what_it_is() -> None:
    graph = read_model(int8_cnn().finish())
    header = generate(graph, "net", "my */ odd\nname.tflite")
    comment = header.text[: header.text.index("*/")]
    for fact in (
        graph.sha256,
        "int8_t[64], shape 1x8x8x1, real = 0.00392156886 * (q - (-128))",
        "int8_t[3], shape 1x3",
        f"arena    {header.arena} bytes",
        f"flash    {header.flash} bytes",
        "net_invoke(input, output, arena);",
        "my *? odd?name.tflite",
    ):
        assert fact in comment


def test_flash_counts_every_constant() -> None:
    graph = read_model(float_cnn().finish())
    header = generate(graph, "net", "net.tflite")
    assert header.flash == 4 * graph.parameters


def test_every_process_generates_the_same_text(tmp_path: Path) -> None:
    """Also with another order of sets and another locale."""
    path = tmp_path / "net.tflite"
    path.write_bytes(int8_cnn().finish())
    code = (
        "import sys; from hil.engines.aot import generate; from hil.tflite import read_model; "
        "sys.stdout.write(generate(read_model(sys.argv[1]), 'net', 'net.tflite').text)"
    )
    texts = set()
    for seed, locale in (("1", "C"), ("2", "C.UTF-8")):
        variables = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale}
        words = [sys.executable, "-c", code, str(path)]
        done = subprocess.run(words, env=variables, check=True, capture_output=True, text=True)
        texts.add(done.stdout)
    assert texts == {generate(read_model(path), "net", "net.tflite").text}


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.0, -1.5, 1e-45, 3.4028234663852886e38, 1 / 3, 16777216.0, 1e10]
)
def test_literals_read_back_as_the_same_bits(value: float) -> None:
    literal = real_literal(value)
    assert literal.endswith("f")
    assert np.float32(literal[:-1]).tobytes() == np.float32(value).tobytes()


def test_arrays_wrap_their_lines() -> None:
    text = str(Array("name", np.arange(200, dtype="<i1"), "note"))
    assert max(map(len, text.splitlines())) <= 100
    assert "static HIL_FLASH int8_t name[200] HIL_ALIGNED HIL_PROGMEM = {" in text


def test_few_networks_reach_every_line_that_writes_a_kernel() -> None:
    """The networks that test_avr.py and tests/firmware/test_compilers.py compile."""
    networks, left = covering()
    assert left == set(), "add a network to tests/support/covering.py that has this kernel"
    assert len(networks) <= 40


@pytest.mark.parametrize(("inputs", "outputs"), [(1000, 40), (100, 700)])
def test_a_network_too_large_for_an_avr_is_an_error(inputs: int, outputs: int) -> None:
    net = Net().input((1, inputs), "int8", 0.1, 0)
    net.dense(np.ones((outputs, inputs), np.int8), scales=[0.1], scale=1.0, zero=0)
    header = generate(read_model(net.finish()), "net", "net.tflite")
    error = f"{header.flash} bytes of constants, {inputs * outputs} of them in one array"
    assert f'#ifdef __AVR__\n#error "{error}: an AVR reads 65280 from' in header.text
    small = generate(read_model(int8_cnn().finish()), "net", "net.tflite")
    assert "an AVR reads" not in small.text


@pytest.mark.parametrize("guard", ["HIL_AOT_HELPERS_1", "HIL_AOT_HELPERS_2"])
def test_headers_of_an_older_version_are_rejected(guard: str, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "alpha.h").write_text(f"#define {guard}\n")
    (tmp_path / "sketch.c").write_text('#include "alpha.h"\n#include "beta.h"\n')
    words = ["gcc", "-fsyntax-only", "sketch.c"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "export both of them again" in done.stderr


def test_a_model_without_steps_copies(tmp_path: Path) -> None:
    graph = read_model(Net().input((1, 4)).reshape((2, 2)).finish())
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 4)
    out = library({"net": graph}, tmp_path)["net"].run(x)
    assert out.tolist() == [[0.0, 1.0, 2.0, 3.0]]


@pytest.mark.firmware
@skip_without(compilers()["mps2"].missing)
def test_kernels_need_little_stack(tmp_path: Path) -> None:
    """No large local variables: an inference has only registers on the stack, not tensors."""
    write(tmp_path)
    (tmp_path / "all.c").write_text(
        '#include "alpha.h"\n#include "beta.h"\n'
        "void one(const float *x, float *y, void *a) { alpha_invoke(x, y, a); }\n"
        "void two(const int8_t *x, int8_t *y, void *a) { beta_invoke(x, y, a); }\n"
    )
    core = ["-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=hard"]
    command = ["arm-none-eabi-gcc", *core, *STRICT, "-O2", "-fstack-usage", "-c", "all.c"]
    subprocess.run(command, check=True, timeout=60, cwd=tmp_path)
    usage = [line.split("\t") for line in (tmp_path / "all.su").read_text().splitlines()]
    assert max(int(row[1]) for row in usage) <= 400
