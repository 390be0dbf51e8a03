# SPDX-License-Identifier: Apache-2.0
"""The kernels for the M-profile vector extension (Cortex-M55) give the same bytes, in few
instructions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hil.engines.aot.weighted import choosing
from tests.support.bare_metal import Core, random_models, verdict
from tests.support.needs import skip_without

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
