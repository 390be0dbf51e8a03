# SPDX-License-Identifier: Apache-2.0
"""The portable kernels on a RISC-V core, float32 in software: the same bytes as on the host."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hil.engines.aot.weighted import choosing
from tests.support.bare_metal import Core, random_models, verdict
from tests.support.forced import force_planes
from tests.support.needs import needs

MODELS = Path(__file__).parents[2] / "models" / "mnist"

RV32IMC = Core(
    "virt_rv32imc",
    (
        *("riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "-mcmodel=medany"),
        "--specs=picolibc.specs",
    ),
    (
        *("qemu-system-riscv32", "-M", "virt", "-bios", "none", "-m", "16M"),
        *("-cpu", "rv32,a=off,f=off,d=off,zba=off,zbb=off,zbc=off,zbs=off,mmu=off,pmp=off"),
        *("-icount", "shift=0"),
    ),
    """
static uint32_t minstret(void) {
  uint32_t n;
  __asm__ volatile(".option push\\n.option arch, +zicsr\\n"
                   "csrr %0, minstret\\n.option pop" : "=r"(n));
  return n;
}
static uint32_t before;
static void start(void) { before = minstret(); }
static uint32_t stop(void) { return minstret() - before; }
""",
)

pytestmark = pytest.mark.firmware


@pytest.mark.parametrize("kind", ["int8", "float32", "mixed"])
def test_random_networks(kind: str, tmp_path: Path) -> None:
    needs([tool for tool in RV32IMC.tools if not shutil.which(tool)])
    assert verdict(RV32IMC, random_models(kind, tmp_path), 1 << 31, tmp_path) == 0


def test_the_teacher_takes_few_instructions(tmp_path: Path) -> None:
    needs([tool for tool in RV32IMC.tools if not shutil.which(tool)])
    models = {"net": MODELS / "teacher_int8.tflite"}
    assert verdict(RV32IMC, models, 6_000_000, tmp_path) == 0


def test_random_networks_that_widen_their_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs([tool for tool in RV32IMC.tools if not shutil.which(tool)])
    monkeypatch.setattr(choosing, "WORTH", 0)
    models = random_models("in fours", tmp_path)
    assert verdict(RV32IMC, models, 1 << 31, tmp_path) == 0


@pytest.mark.parametrize("bands", ["whole", "rows"])
def test_random_networks_that_copy_channels_apart(
    bands: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs([tool for tool in RV32IMC.tools if not shutil.which(tool)])
    force_planes(monkeypatch, bands)
    models = random_models("apart", tmp_path)
    assert verdict(RV32IMC, models, 1 << 31, tmp_path) == 0
