# SPDX-License-Identifier: Apache-2.0
"""What the library TinymlHil adds to an image: at most 6 KB of flash and 1.2 KB of RAM."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.support.needs import needs
from tests.support.scripts import load_script

FLASH, RAM = 6 * 1024, 1228
ARM = ("Cortex-M0+", "Cortex-M4F", "Cortex-M7")


@pytest.fixture(scope="module")
def library() -> ModuleType:
    return load_script("library")


@pytest.mark.parametrize("processor", [*ARM, "ESP32", "RISC-V, rv32imc", "ATmega2560"])
def test_what_the_library_adds(library: ModuleType, processor: str) -> None:
    target = library.TARGETS[processor]
    if processor == "ESP32" and target.missing:
        pytest.skip("Debian has no compiler for the ESP32")
    needs(target.missing)
    flash, ram = zip(*(library.added(target, kind) for kind in library.KINDS.values()), strict=True)
    assert target.bound == (processor in (*ARM, "ESP32"))
    if target.bound:
        assert max(flash) <= FLASH
    assert max(ram) <= RAM
    # raw bytes need no floating point, which a core without FPU takes from libgcc
    assert min(flash) == flash[0] > 2000
    assert min(ram) > 300  # the session alone


def test_sections_are_counted_once(library: ModuleType) -> None:
    """`.data` is in flash and in RAM; debug information is in neither."""
    needs(library.TARGETS["Cortex-M7"].missing)
    target, kind = library.TARGETS["Cortex-M7"], library.KINDS["uint8"]
    source = "static volatile char d[100] = {1}, b[200]; int main(void) { return d[0] + b[0]; }"
    empty = "int main(void) { return 0; }"
    with library.tempfile.TemporaryDirectory() as name:
        folder = library.Path(name)
        found = [
            library.sizes(library._linked(folder, target, kind, text, []), target.prefix)
            for text in (empty, source)
        ]
    flash, ram = (found[1][i] - found[0][i] for i in (0, 1))
    assert 100 <= flash < 180  # and some code
    assert 300 <= ram < 310
