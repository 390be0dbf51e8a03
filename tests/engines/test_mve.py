# SPDX-License-Identifier: Apache-2.0
"""The kernels for the M-profile vector extension (Cortex-M55) give the same bytes, in few
instructions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.engines.aot.weighted import choosing
from tests.support.bare_metal import Core, random_models, verdict
from tests.support.needs import skip_without
from tests.support.tflite import RELU, Net

MODELS = Path(__file__).parents[2] / "models"

# SysTick counts 32 MHz of virtual time; with -icount shift=5 an instruction takes 32 ns.
CORTEX_M55 = Core(
    "mps3_an547",
    (
        *("arm-none-eabi-gcc", "-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"),
        "--specs=nosys.specs",
    ),
    ("qemu-system-arm", "-M", "mps3-an547", "-icount", "shift=5"),
    """
#define SYSTICK ((volatile uint32_t *)0xE000E010)
static void start(void) {
  SYSTICK[0] = 0;
  SYSTICK[1] = 0xffffff;
  SYSTICK[2] = 0;
  SYSTICK[0] = 5;
}
static uint32_t stop(void) { return (0xffffff - SYSTICK[2]) * 125 / 128; }
""",
)

pytestmark = [
    pytest.mark.firmware,
    skip_without(tool for tool in CORTEX_M55.tools if not shutil.which(tool)),
]


@pytest.mark.parametrize("kind", ["int8", "mixed"])
def test_random_networks(kind: str, tmp_path: Path) -> None:
    assert verdict(CORTEX_M55, random_models(kind, tmp_path), 1 << 31, tmp_path) == 0


def test_random_networks_that_widen_their_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "WORTH", 0)
    assert verdict(CORTEX_M55, random_models("in fours", tmp_path), 1 << 31, tmp_path) == 0


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("mnist/student_int8", 50_000),
        ("mnist/teacher_int8", 700_000),
        ("digits/teacher_int8", 700_000),  # all channels of its first layer have one shift
    ],
)
def test_the_models_take_few_instructions(model: str, limit: int, tmp_path: Path) -> None:
    models = {"net": MODELS / f"{model}.tflite"}
    assert verdict(CORTEX_M55, models, limit, tmp_path) == 0
    without = replace(CORTEX_M55, compiler=(*CORTEX_M55.compiler, "-DHIL_NO_MVE"))
    assert verdict(without, models, limit, tmp_path) == 2, "MVE was not used"


@pytest.mark.parametrize(("name", "limit"), [("dense", 20_000), ("pointwise", 160_000)])
def test_finishing_by_vectors_takes_few_instructions(name: str, limit: int, tmp_path: Path) -> None:
    """A Cortex-M33 takes 42,919 for the dense layer and 229,820 for the convolution."""
    random = np.random.default_rng(0)
    scaled: dict[str, Any] = {"act": RELU, "scale": 0.05, "zero": -128}
    if name == "dense":
        net = Net().input((1, 644), "int8", 0.02, -128)
        weights = random.integers(-60, 61, (64, 644)).astype(np.int8)
        net.dense(weights, scales=[0.001], **scaled)
    else:
        net = Net().input((1, 8, 8, 68), "int8", 0.02, -128)
        weights = random.integers(-60, 61, (64, 1, 1, 68)).astype(np.int8)
        net.conv(weights, scales=[0.001] * 64, **scaled)
    (tmp_path / "net.tflite").write_bytes(net.finish())
    models = {"net": tmp_path / "net.tflite"}
    assert verdict(CORTEX_M55, models, limit, tmp_path) == 0
    without = replace(CORTEX_M55, compiler=(*CORTEX_M55.compiler, "-DHIL_NO_MVE"))
    assert verdict(without, models, limit, tmp_path) == 2, "MVE was not used"
