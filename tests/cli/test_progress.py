# SPDX-License-Identifier: Apache-2.0
"""What a terminal shows while something takes long: a spinner that says what is going on."""

from __future__ import annotations

import io
import pickle
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from hil.bench.events import Building, BuildStep, Note, Referencing, Streaming
from hil.bench.lab import RealLab
from hil.cli import console, running
from hil.cli.running import Bars
from hil.firmware.build import _logged, step_of


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    made = Console(file=io.StringIO(), force_terminal=True, width=100)
    for module in (console, running):
        monkeypatch.setattr(module, "err", made)
    return made


def shown(bars: Bars, terminal: Console) -> str:
    """The rows below the lines that stay."""
    with terminal.capture() as captured:
        terminal.print(bars._bars.get_renderable())
    return captured.get()


def test_a_build_shows_each_step_until_it_is_done(terminal: Console) -> None:
    bars = Bars()
    with bars:
        bars(Building("mps2", "int8", "aot"))
        assert "building int8 firmware for mps2, engine aot (0 s)" in shown(bars, terminal)
        bars(BuildStep("compiling hil_image.c"))
        assert "compiling hil_image.c (0 s)" in shown(bars, terminal)
        assert "building" not in shown(bars, terminal)
        bars(Streaming("mps2/aot/student/int8", 1, 4, 0))
        assert " s)" not in shown(bars, terminal)
        assert "mps2/aot/student/int8" in shown(bars, terminal)
        bars(BuildStep("linking firmware.elf"))
    assert "linking" not in shown(bars, terminal)


def test_what_is_printed_above_stays(terminal: Console) -> None:
    with Bars() as bars:
        bars(Building("mps2", "int8", "aot"))
        bars(Note("take care"))
        assert " s)" not in shown(bars, terminal)
    assert isinstance(terminal.file, io.StringIO)
    said = terminal.file.getvalue()
    assert "building int8 firmware for mps2, engine aot\n" in said
    assert "note: take care\n" in said


def test_only_the_bars_of_boards_stay_when_they_are_full(terminal: Console) -> None:
    bars = Bars()
    bars(Referencing("mps2/aot/student/int8", "litert", 3, 4))
    bars(Streaming("mps2/aot/student/int8", 4, 4, 0))
    assert "on the host (litert)" in shown(bars, terminal)
    bars(Referencing("mps2/aot/student/int8", "litert", 4, 4))
    assert "on the host (litert)" not in shown(bars, terminal)
    assert "4/4" in shown(bars, terminal)


def test_a_bar_that_was_full_at_once_has_no_rate(terminal: Console) -> None:
    bars = Bars()
    bars(Streaming("mps2/aot/student/int8", 1, 100, 0))
    bars(Streaming("mps2/aot/student/int8", 100, 100, 0))
    assert "100/100" in shown(bars, terminal)
    assert not re.search(r"\d/s", shown(bars, terminal))


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("Compiling .pio/images/x/mps2/src/hil_image.c.o\n", "compiling hil_image.c"),
        ("Archiving .pio/images/x/mps2/lib1/libTinymlHil.a\n", "archiving libTinymlHil.a"),
        ("Linking .pio/images/x/mps2/firmware.elf\n", "linking firmware.elf"),
        ("Checking size .pio/images/x/mps2/firmware.elf\n", "checking size"),
        ("Processing mps2 (platform: mps2)\n", ""),
        ("main.c:3: warning: Compiling is slow\n", ""),
        ("", ""),
    ],
)
def test_steps_of_platformio(line: str, step: str) -> None:
    assert step_of(line) == step


def test_the_log_has_every_line_and_the_status_is_the_commands(tmp_path: Path) -> None:
    code = "import os, sys; print('Compiling a/b.c.o'); os.write(2, b'\\xff\\n'); sys.exit(3)"
    told: list[str] = []
    with (tmp_path / "log").open("wb") as log:
        status = _logged([sys.executable, "-c", code], {}, log, told.append)
    assert (status, told) == (3, ["compiling b.c"])
    assert sorted((tmp_path / "log").read_bytes().splitlines()) == [b"Compiling a/b.c.o", b"\xff"]


def test_a_lab_with_a_listener_can_be_sent_to_a_lane() -> None:
    sent = pickle.dumps(RealLab(Path(), tell=lambda _: None))
    assert pickle.loads(sent) == RealLab(Path())  # noqa: S301 - this test wrote it
