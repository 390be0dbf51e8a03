# SPDX-License-Identifier: Apache-2.0
"""The kernel files: valid C and C++ on their own, and a header contains only those it needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hil.engines.aot import generate
from hil.engines.aot.source import KERNELS, kernel_texts
from hil.tflite import read_model
from tests.support.native import STRICT
from tests.support.tflite import Net, float_cnn, int8_cnn

FILES = sorted(KERNELS.glob("*.h"))
# `STRICT` without its standard
COMPILERS = {
    "c": ["gcc", "-x", "c", "-std=gnu99"],
    "c++": ["g++", "-x", "c++", "-std=gnu++11"],
    "cortex-m7": ["arm-none-eabi-gcc", "-x", "c", "-std=gnu99", "-mcpu=cortex-m7", "-mthumb"],
}


def guards(text: str) -> list[str]:
    """The kernel files in a header, in order."""
    return re.findall(r"^#define HIL_AOT_([A-Z0-9]+)_3$", text, re.MULTILINE)


@pytest.mark.firmware
@pytest.mark.parametrize("language", COMPILERS)
@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_kernel_file_compiles_on_its_own(file: Path, language: str, tmp_path: Path) -> None:
    words = [*COMPILERS[language], *STRICT[1:], "-c", str(file), "-o", str(tmp_path / "kernel.o")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_kernel_file_follows_what_it_includes_and_comes_once() -> None:
    text = "".join(kernel_texts(["pairs", "float32", "products", "base"]))
    assert guards(text) == [
        "BASE",
        "MAC16",
        "MVE",
        "THUMB1",
        "PRODUCTS",
        "RV32",
        "PAIRS",
        "FLOAT32",
    ]
    assert '#include "' not in text
    assert "SPDX" not in text


@pytest.mark.parametrize(
    ("net", "kernels"),
    [
        (float_cnn(), ["BASE", "FLOAT32"]),
        (int8_cnn(), ["BASE", "INT8", "MAC16", "MVE", "THUMB1", "PRODUCTS"]),
        (Net().input((1, 4), "int8", 0.1, 0).softmax(), ["BASE", "INT8"]),
        (Net().input((1, 4)).reshape((2, 2)), ["BASE"]),
    ],
    ids=["float32", "int8", "softmax", "reshape"],
)
def test_a_header_contains_only_the_kernels_of_its_steps(net: Net, kernels: list[str]) -> None:
    header = generate(read_model(net.finish()), "net", "net.tflite")
    assert guards(header.text) == kernels
