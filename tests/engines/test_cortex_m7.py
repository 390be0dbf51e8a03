# SPDX-License-Identifier: Apache-2.0
"""The kernels for the Cortex-M7 (16-bit SIMD) give the same bytes, in few instructions."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hil.engines.aot import generate
from hil.engines.aot.weighted import choosing
from hil.runs.agreement import NEAR_TOLERANCE
from hil.tflite import read_model
from tests.support import recurrent, reductions
from tests.support.bare_metal import Core, random_models, verdict, weighted_models
from tests.support.forced import force_planes, force_quads
from tests.support.needs import skip_without
from tests.support.states import stream
from tests.support.tflite import RELU, Net

MODELS = Path(__file__).parents[2] / "models" / "mnist"

# CMSDK timer 0 counts 25 MHz of virtual time; with -icount shift=10 an instruction takes 1,024 ns.
CORTEX_M7 = Core(
    "mps2_an500",
    (
        *("arm-none-eabi-gcc", "-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=hard"),
        "--specs=nosys.specs",
    ),
    ("qemu-system-arm", "-M", "mps2-an500", "-icount", "shift=10"),
    """
#define TIMER ((volatile uint32_t *)0x40000000)
static void start(void) {
  TIMER[0] = 0;
  TIMER[1] = 0xffffffff;
  TIMER[2] = 0xffffffff;
  TIMER[0] = 1;
}
static uint32_t stop(void) { return (uint32_t)((uint64_t)(0xffffffff - TIMER[1]) * 10 / 256); }
""",
)

pytestmark = [
    pytest.mark.firmware,
    skip_without(tool for tool in CORTEX_M7.tools if not shutil.which(tool)),
]


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_random_networks(kind: str, tmp_path: Path) -> None:
    assert verdict(CORTEX_M7, random_models(kind, tmp_path), 1 << 31, tmp_path) == 0


@pytest.mark.parametrize("kind", ["int8", "float32", "int16"])
def test_weighted_layers(kind: str, tmp_path: Path) -> None:
    assert verdict(CORTEX_M7, weighted_models(kind, tmp_path), 1 << 31, tmp_path) == 0


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("student_int8", 140_000),
        ("student_float32", 235_000),
        ("teacher_int8", 2_200_000),
        ("teacher_float32", 6_800_000),
    ],
)
def test_the_models_take_few_instructions(model: str, limit: int, tmp_path: Path) -> None:
    assert verdict(CORTEX_M7, {"net": MODELS / f"{model}.tflite"}, limit, tmp_path) == 0


@pytest.mark.parametrize(
    ("model", "limit"), [("student_float32", 160_000), ("teacher_float32", 4_200_000)]
)
def test_fused_code_takes_fewer_and_is_close(model: str, limit: int, tmp_path: Path) -> None:
    models = {"net": MODELS / f"{model}.tflite"}
    assert verdict(CORTEX_M7, models, limit, tmp_path, near=NEAR_TOLERANCE) == 0
    assert verdict(CORTEX_M7, models, limit, tmp_path, near=1e-9) == 1, "nothing was fused"


def test_random_networks_that_widen_their_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "WORTH", 0)
    models = random_models("in fours", tmp_path)
    assert verdict(CORTEX_M7, models, 1 << 31, tmp_path) == 0


def test_reductions(tmp_path: Path) -> None:
    models = {}
    for seed in range(12):
        path = tmp_path / f"net{seed}.tflite"
        path.write_bytes(reductions.drawn(seed, "int8"))
        models[path.stem] = path
    assert verdict(CORTEX_M7, models, 1 << 31, tmp_path) == 0


@pytest.mark.parametrize("bands", ["whole", "rows"])
def test_random_networks_that_copy_channels_apart(
    bands: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    force_planes(monkeypatch, bands)
    models = random_models("apart", tmp_path)
    assert verdict(CORTEX_M7, models, 1 << 31, tmp_path) == 0


@pytest.mark.parametrize("cin", [4, 8, 12, 28, 36, 60])
def test_points_that_share_words(cin: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    force_quads(monkeypatch)
    random, models = np.random.default_rng(cin), {}
    for points, cout in ((4, 4), (5, 8), (6, 12), (7, 4), (9, cin)):
        net = Net().input((1, 1, points, cin), "int8", 0.01, 3)
        # the largest sums that fit, in every direction
        weights = random.choice([-127, 127], (cout, 1, 1, cin)).astype(np.int8)
        weights[0], weights[1] = 127, -127
        bias = random.integers(-9_000, 9_000, cout).astype(np.int32)
        net.conv(weights, bias, act=RELU, scales=[0.01] * cout, scale=cin * 0.003, zero=-128)
        path = tmp_path / f"net{points}.tflite"
        path.write_bytes(net.finish())
        assert "hil_rows4(s," in generate(read_model(path), "net", "net").text
        models[path.stem] = path
    assert verdict(CORTEX_M7, models, 1 << 31, tmp_path) == 0


def test_states(tmp_path: Path) -> None:
    files = {f"stream{n}": stream("int8", channels=n).finish() for n in (3, 8, 9, 24)}
    files |= {f"lstm{seed}": recurrent.drawn_lstm(seed, "int8") for seed in range(12)}
    models = {}
    for name, data in files.items():
        models[name] = tmp_path / f"{name}.tflite"
        models[name].write_bytes(data)
    assert verdict(CORTEX_M7, models, 1 << 31, tmp_path) == 0
