# SPDX-License-Identifier: Apache-2.0
"""The portable kernels on an Xtensa core, float32 in software: the same bytes as on the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.boards.config import load_board
from hil.boards.station import missing_tools
from tests.support.bare_metal import Core, random_models, verdict
from tests.support.needs import needs

LX106 = Core(
    "sim_lx106",
    ("xtensa-lx106-elf-gcc", "--specs=/usr/lib/xtensa-lx106-elf/picolibc.specs"),
    (
        *("qemu-system-xtensa", "-M", "sim", "-cpu", "lx106", "-m", "16M"),
        *("-icount", "shift=6,sleep=off"),
    ),
    """
static uint32_t ccount(void) {
  uint32_t n;
  __asm__ volatile("rsr.ccount %0" : "=r"(n));
  return n;
}
static uint32_t before;
static void start(void) { before = ccount(); }
static uint32_t stop(void) { return (uint32_t)((uint64_t)(ccount() - before) * 25u / 64u); }
""",
)

pytestmark = pytest.mark.firmware


@pytest.mark.parametrize("kind", ["int8", "float32", "mixed"])
def test_random_networks(kind: str, tmp_path: Path) -> None:
    needs(missing_tools(load_board("lx106")))
    assert verdict(LX106, random_models(kind, tmp_path), 1 << 31, tmp_path) == 0
