# SPDX-License-Identifier: Apache-2.0
"""The marker pin, as emulators show it: high during an inference, once for many repeated ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from hil import datasets
from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.errors import BuildFailed
from hil.core.records import Encoding
from hil.device import Device
from hil.firmware import BuiltFirmware, build
from hil.mlperf.dut import Dut
from tests.support.firmware import MODELS, PROJECT
from tests.support.needs import needs

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]
STUDENT = [("student", MODELS / "student_int8.tflite")]
REPEATS = 7
CALIBRATION = 4  # empty windows at boot


@dataclass(frozen=True)
class Pin:
    """``pin``: HIL_MARKER_PIN. ``name``: what the emulator calls it. ``traced``: an event of QEMU's
    log, and what its two numbers mean: the level, or None for another register."""

    pin: int
    name: str = ""
    traced: str = ""
    level: Callable[[int, int], bool | None] = lambda _offset, _value: None


def _nrf51(offset: int, value: int) -> bool | None:
    return {0x508: True, 0x50C: False}.get(offset) if value == 1 << 3 else None


def _fpgaio(offset: int, value: int) -> bool | None:
    return bool(value & 2) if offset == 0 else None


PINS = {
    "native": Pin(1),
    "mega2560": Pin(13, "B7"),
    "rp2040": Pin(5, "5"),
    "cortex-m0": Pin(3, traced="nrf51_gpio_write", level=_nrf51),
    "mps2": Pin(1, traced="mps2_fpgaio_write", level=_fpgaio),
}


@dataclass(frozen=True)
class Edge:
    at: float  # microseconds of the emulator's time; 0 in a log of QEMU
    high: bool


def levels_in(file: Path) -> list[Edge]:
    """What firmware `native` wrote."""
    words = [line.split() for line in file.read_text().splitlines()]
    return [Edge(float(at), level == "1") for at, level in words]


def edges_in(pin: Pin, file: Path) -> list[Edge]:
    found = []
    if pin.traced:
        for offset, value in re.findall(r"0x([0-9a-f]+)\D+?0x([0-9a-f]+)", file.read_text()):
            level = pin.level(int(offset, 16), int(value, 16))
            if level is not None:
                found.append(Edge(0.0, level))
    else:
        for line in file.read_text().splitlines():
            at, level_text, *name = line.split()
            if name == [pin.name] or not pin.name:
                found.append(Edge(float(at), level_text == "1"))
    return [edge for i, edge in enumerate(found) if edge.high != (i > 0 and found[i - 1].high)]


def windows_of(edges: list[Edge]) -> list[float]:
    """Microseconds of each window."""
    assert [edge.high for edge in edges] == [True, False] * (len(edges) // 2)
    return [b.at - a.at for a, b in zip(edges[::2], edges[1::2], strict=True)]


@contextmanager
def recorded(name: str, folder: Path) -> Iterator[tuple[Device, Callable[[], list[float]]]]:
    """A board with a marker pin, and the windows that the pin has shown so far."""
    pin, board, file = PINS[name], load_board(name), folder / "edges"
    file.touch()
    needs(missing_tools(board))
    patch = pytest.MonkeyPatch()
    patch.setenv("HIL_MARKER_PIN", str(pin.pin))
    patch.setenv("HIL_MARKER_FILE", str(file))
    try:
        if pin.traced:
            assert board.emulator
            words = (*board.emulator.command, "-trace", pin.traced, "-D", str(file))
            board = replace(board, emulator=replace(board.emulator, command=words))
        elf = build(board.pio_env, STUDENT, "aot", PROJECT).elf
        with open_board(board, elf) as link:
            yield Device(link), lambda: windows_of(edges_in(pin, file))
    finally:
        patch.undo()


def digits() -> list[bytes]:
    return [x.tobytes() for x in datasets.load("digits").x[:2]]


@pytest.mark.parametrize("name", PINS)
def test_each_inference_is_a_window_and_many_repeated_ones_are_one(
    name: str, tmp_path: Path
) -> None:
    with recorded(name, tmp_path) as (device, windows):
        assert f"marker pin {PINS[name].pin}" in device.hello().firmware
        one, other = (answer.result for answer in device.infer(0, Encoding.PIXELS, digits()))
        repeated = device.repeat(0, Encoding.PIXELS, digits()[1], REPEATS, seconds=30)
        device.clock_steps()  # without the network: no window
        assert device.retries == 0
        seen = windows()
    assert repeated.count == REPEATS
    assert repeated.output == other.output
    assert len(seen) == CALIBRATION + 3
    if name == "rp2040":  # a microsecond is an instruction
        taken = [one.ticks or 0, other.ticks or 0, repeated.ticks or 0]
        # the loop, and a reading of the stopwatch for each lap
        assert 0 <= taken[2] - REPEATS * taken[1] < 100 * REPEATS
        for window, ticks in zip(seen[-3:], taken, strict=True):
            # between two readings, the repeat asks how long it has been running
            assert 0 < window - ticks < 1000 * REPEATS
    if name == "mega2560":
        micros = (one.micros, other.micros, repeated.micros)
        assert seen[-3:] == pytest.approx(micros, rel=1e-3)
        assert repeated.micros == pytest.approx(REPEATS * other.micros, rel=1e-3)


def test_timestamps_of_energy_mode_are_falling_edges(tmp_path: Path) -> None:
    file = tmp_path / "edges"
    patch = pytest.MonkeyPatch()
    patch.setenv("HIL_MLPERF_ENERGY", "1")
    patch.setenv("HIL_MARKER_FILE", str(file))
    try:
        elf = built("native", "1", patch).elf
        with open_board(load_board("native"), elf) as link:
            dut = Dut(link)
            assert dut.identify().model == "student int8 aot"
            at_boot = len(levels_in(file))
            seen = dut.run(digits()[0], iterations=5, warmups=2)
            assert "MLPerf energy mode" in Device(link).hello().firmware
            list(Device(link).infer(0, Encoding.PIXELS, digits()))  # the pin stays as it is
    finally:
        patch.undo()
    assert seen.by_pin
    assert len(seen.values) == 10
    edges = levels_in(file)
    # a pulse at boot, one before the five inferences, one after them; the level between is high
    assert [edge.high for edge in edges] == [False, True] * 3
    assert at_boot == 2
    assert all(up.at - down.at >= 3000 for down, up in zip(edges[::2], edges[1::2], strict=True))


def built(name: str, pin: str, monkeypatch: pytest.MonkeyPatch) -> BuiltFirmware:
    board = load_board(name)
    needs(missing_tools(board))
    monkeypatch.setenv("HIL_MARKER_PIN", pin)
    return build(board.pio_env, STUDENT, "aot", PROJECT)


@pytest.mark.parametrize(
    ("name", "pin", "said"),
    [
        ("rv32", "5", "this board has no pins; unset it"),
        ("mps2", "2", "HIL_MARKER_PIN is the number of a user LED: 0 or 1"),
        ("rp2040", "1", "HIL_MARKER_PIN is 2 to 29"),
        ("cortex-m0", "24", "HIL_MARKER_PIN is 0 to 31, without the pins of the UART"),
    ],
)
def test_a_pin_that_the_board_does_not_have_is_refused(
    name: str, pin: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BuildFailed, match=re.escape(said)):
        built(name, pin, monkeypatch)


@pytest.mark.parametrize(
    ("env", "pin"), [("nucleo-h753zi-renode", "16"), ("nrf52840-renode", "13")]
)
def test_ports_for_renode_build_with_a_pin(
    env: str, pin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No emulator of theirs is here."""
    needs(missing_tools(load_board("cortex-m0")))
    monkeypatch.setenv("HIL_MARKER_PIN", pin)
    assert build(env, STUDENT, "aot", PROJECT).elf.exists()


def test_energy_mode_without_a_pin_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_MLPERF_ENERGY", "1")
    with pytest.raises(BuildFailed, match="set HIL_MARKER_PIN too"):
        built("native", "", monkeypatch)


def test_a_process_without_a_file_for_its_edges_runs_as_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "HIL_MARKER_FILE" not in os.environ
    elf = built("native", "1", monkeypatch).elf
    with open_board(load_board("native"), elf) as link:
        assert Device(link).hello().models
