# SPDX-License-Identifier: Apache-2.0
"""The kernels for a Cortex-M0+ (few registers, 32-bit products only), run by a Cortex-M7."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hil.engines.aot.weighted import choosing
from tests.engines.test_cortex_m7 import CORTEX_M7
from tests.support.bare_metal import random_models, verdict
from tests.support.needs import skip_without

MODELS = Path(__file__).parents[2] / "models" / "mnist"
CORTEX_M0PLUS = replace(
    CORTEX_M7,
    compiler=("arm-none-eabi-gcc", "-mcpu=cortex-m0plus", "-mthumb", "--specs=nosys.specs"),
)

pytestmark = [
    pytest.mark.firmware,
    skip_without(tool for tool in CORTEX_M0PLUS.tools if not shutil.which(tool)),
]


@pytest.mark.parametrize("kind", ["int8", "mixed"])
def test_random_networks(kind: str, tmp_path: Path) -> None:
    assert verdict(CORTEX_M0PLUS, random_models(kind, tmp_path), 1 << 31, tmp_path) == 0


def test_random_networks_that_widen_their_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "WORTH", 0)
    assert verdict(CORTEX_M0PLUS, random_models("in fours", tmp_path), 1 << 31, tmp_path) == 0


@pytest.mark.parametrize(
    ("model", "limit"), [("student_int8", 400_000), ("teacher_int8", 10_000_000)]
)
def test_the_models_take_few_instructions(model: str, limit: int, tmp_path: Path) -> None:
    models = {"net": MODELS / f"{model}.tflite"}
    assert verdict(CORTEX_M0PLUS, models, limit, tmp_path) == 0
