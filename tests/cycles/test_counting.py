# SPDX-License-Identifier: Apache-2.0
"""hil/cycles/counting.py: the windows that QEMU's plugin writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.boards.config import load_board
from hil.core.errors import UsageError
from hil.cycles.counting import Window, counted, windows

EMPTY = "i 100 2 5\ni 102 2 5\nj 102 100 4\nend\n"
FULL = "i 100 2 5\ni 102 2 5\ni 200 4 30\nj 102 100 4\nj 200 200 29\nend\n"


def test_windows_are_read_in_order_without_one_that_was_cut_off() -> None:
    found = list(windows(EMPTY + FULL + "i 100 2 5\n"))
    assert found == [
        Window({100: 5, 102: 5}, {(102, 100): 4}),
        Window({100: 5, 102: 5, 200: 30}, {(102, 100): 4, (200, 200): 29}),
    ]
    assert [one.instructions for one in found] == [10, 40]


def test_the_stopwatch_itself_is_subtracted() -> None:
    empty, full = windows(EMPTY + FULL)
    assert full.less(empty) == Window({200: 30}, {(200, 200): 29})


@pytest.mark.parametrize("name", ["native", "mega2560", "esp32dev"])
def test_only_qemu_counts_instructions_one_by_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{name} does not run in QEMU"):
        counted(load_board(name), tmp_path / "a.elf", tmp_path / "a.so", tmp_path / "out")
