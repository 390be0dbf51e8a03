# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions of the int8 networks of digits on emulated cores. Prints Markdown.

    python benchmarks/cores.py

Each network alone in a bare program, whose outputs are compared with TensorFlow Lite Micro's; three
random inputs, of which the longest inference counts. `without` is the same header without the
kernels for that core. Counts of an emulator are exact. The cores and their flags are those of the
tests of these kernels.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from tests.engines.test_cortex_m0plus import CORTEX_M0PLUS
from tests.engines.test_cortex_m7 import CORTEX_M7
from tests.engines.test_lx106 import LX106
from tests.engines.test_mac16 import DE212
from tests.engines.test_mve import CORTEX_M55
from tests.engines.test_rv32imc import RV32IMC
from tests.support.bare_metal import instructions

MODELS = Path(__file__).parents[1] / "models" / "mnist"
CORES = {  # and the option that leaves out the kernels for it
    "Cortex-M7": (CORTEX_M7, "-DHIL_NO_DSP"),
    "Cortex-M55": (CORTEX_M55, "-DHIL_NO_MVE"),
    "Cortex-M0+": (CORTEX_M0PLUS, "-DHIL_NO_THUMB1"),
    "RV32IMC": (RV32IMC, "-DHIL_NO_RV32"),
    "LX106": (LX106, ""),
    "DE212, which has MAC16": (DE212, "-DHIL_NO_MAC16"),
}


def main() -> None:
    print("| core | teacher | without | student | without |\n|---|---|---|---|---|")
    for name, (core, option) in CORES.items():
        cells = [name]
        for model in ("teacher", "student"):
            for compiler in (core.compiler, (*core.compiler, option)):
                if compiler[-1] == "":
                    cells.append("-")
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    chosen = replace(core, compiler=compiler)
                    path = MODELS / f"{model}_int8.tflite"
                    cells.append(f"{instructions(chosen, path, Path(folder)):,}")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
