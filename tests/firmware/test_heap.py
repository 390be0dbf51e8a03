# SPDX-License-Identifier: Apache-2.0
"""`mps2` has a heap for sketches whose libraries call malloc: all that is free below the stack.
What they print goes nowhere."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.engines.test_cortex_m7 import CORTEX_M7
from tests.support.bare_metal import start_up
from tests.support.needs import skip_without

pytestmark = [
    pytest.mark.firmware,
    skip_without(tool for tool in CORTEX_M7.tools if not shutil.which(tool)),
]

# Exit code 0: two blocks do not overlap, freed memory is used again, and one byte more than RAM
# (4 MiB, of which 64 KiB are the stack) is refused without touching what is there.
MAIN = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
  char *volatile a = malloc(1000), *volatile b = malloc(3 << 20);
  if (!a || !b) return 1;
  memset(a, 1, 1000);
  memset(b, 2, 3 << 20);
  for (int i = 0; i < 1000; i++) if (a[i] != 1) return 2;
  if (malloc(1 << 20)) return 3;
  for (int i = 0; i < 3 << 20; i++) if (b[i] != 2) return 4;
  free(b);
  b = malloc(3 << 20);
  if (!b) return 5;
  return printf("nobody reads this %d\\n", 1) == 20 ? 0 : 6;
}
"""


def test_sketches_get_the_memory_below_the_stack(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(MAIN)
    command = [*CORTEX_M7.compiler, "-O2", "main.c", *start_up(CORTEX_M7.board)]
    subprocess.run([*command, "-o", "main.elf"], check=True, timeout=110, cwd=tmp_path)
    emulator = [*CORTEX_M7.emulator, "-display", "none", "-monitor", "none", "-serial", "none"]
    emulator += ["-semihosting-config", "enable=on,target=native", "-kernel", "main.elf"]
    done = subprocess.run(
        emulator, cwd=tmp_path, timeout=110, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0
