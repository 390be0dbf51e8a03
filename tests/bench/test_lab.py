# SPDX-License-Identifier: Apache-2.0
"""Labs: lost ports are found again or reopened; sketches are taken as they are, or flashed."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from serial.tools import list_ports

from hil.bench.cases import Image, Sketch
from hil.bench.lab import Firmware, HeldLab, RealLab
from hil.boards.config import load_board
from hil.boards.station import Station, only_station
from hil.core.errors import BuildFailed, LinkError, WrongFirmware
from hil.core.records import DType, Precision, TensorSpec
from hil.testing.lab import FakeSketch
from tests.support.benches import PROJECT
from tests.support.ports import FakePort
from tests.support.ptys import served_pty

FIRMWARE = Firmware(Path("none.elf"), "00" * 32, "none", 0, 0)
IMAGE = Image(load_board("esp32dev"), "aot", Precision.INT8, ())


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The ports that were opened; nothing is behind them."""
    found: list[str | None] = []

    def open_board(_board: object, _elf: object, port: str | None) -> ExitStack:
        found.append(port)
        return ExitStack()

    monkeypatch.setattr("hil.bench.lab.open_board", open_board)
    return found


@pytest.mark.parametrize(("number", "then"), [("0042", "/dev/ttyACM1"), (None, "/dev/ttyACM0")])
def test_a_board_that_returns_on_another_port_is_found_by_its_serial_number(
    monkeypatch: pytest.MonkeyPatch, opened: list[str | None], number: str | None, then: str
) -> None:
    station = Station(load_board("esp32dev"), "esp32dev", "/dev/ttyACM0")
    lab = RealLab(PROJECT)
    ports = [FakePort("/dev/ttyACM0", serial_number=number), FakePort("/dev/ttyS0")]
    monkeypatch.setattr(list_ports, "comports", lambda: ports)
    lab.open(station, IMAGE, FIRMWARE)
    ports[:] = [FakePort("/dev/ttyS0"), FakePort("/dev/ttyACM1", serial_number=number)]
    lab.open(station, IMAGE, FIRMWARE)
    assert opened == ["/dev/ttyACM0", then]


def test_an_open_board_is_reopened_only_after_its_link_was_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Held:
        """Its link shows whether it was reopened."""

        link = "first"

        def __init__(self, *_: object) -> None:
            pass

        def reopen(self) -> None:
            self.link = "second"

    monkeypatch.setattr("hil.bench.lab.HeldBoard", Held)
    lab, station = HeldLab(RealLab(PROJECT)), only_station(load_board("native"), "socket://x:1")
    for _ in range(2):
        with lab.open(station, IMAGE, FIRMWARE) as link:
            assert str(link) == "first"
    with (
        pytest.raises(LinkError),
        lab.open(station, IMAGE, FIRMWARE),
    ):
        raise LinkError("gone")
    for _ in range(2):
        with lab.open(station, IMAGE, FIRMWARE) as link:
            assert str(link) == "second"


FOUR = TensorSpec(DType.FLOAT32, (4,))
DESK = msgspec.structs.replace(load_board("native"), emulator=None, name="desk")


def test_a_sketch_that_runs_already_needs_no_file(tmp_path: Path) -> None:
    unknown = RealLab(PROJECT).build(Sketch(DESK), PROJECT)
    assert unknown == Firmware(None, "", "", None, None)
    elf = tmp_path / "my.elf"
    elf.write_bytes(Path("/proc/self/exe").read_bytes())
    known = RealLab(PROJECT).build(Sketch(DESK, elf=elf), PROJECT)
    assert (known.file, known.sha256) == (elf, hashlib.sha256(elf.read_bytes()).hexdigest())
    assert known.footprint
    assert known.flash == known.footprint.flash > 0
    (tmp_path / "text.elf").write_text("not an image")
    with pytest.raises(BuildFailed, match=r"text\.elf is not an ELF file"):
        RealLab(PROJECT).build(Sketch(DESK, elf=tmp_path / "text.elf"), PROJECT)


def test_a_sketch_is_flashed_and_then_must_answer_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads: list[tuple[tuple[object, ...], object]] = []

    def upload(*words: object, sketch: Path, needs: int, tell: object) -> None:
        assert (needs, tell) == (0, None)
        uploads.append((words, sketch))

    monkeypatch.setattr("hil.bench.lab.upload", upload)
    monkeypatch.setattr(list_ports, "comports", list)
    sketch, source = FakeSketch(lambda x: x, FOUR, FOUR), Path("my_sketch")
    with served_pty(sketch.board("desk").answer) as pty:
        lab, station = RealLab(PROJECT, flash=True), only_station(DESK, pty.name)
        for _ in range(2):  # flashed once
            with lab.open(station, Sketch(DESK, source), FIRMWARE) as link:
                assert link.name == pty.name
        assert uploads == [((DESK.pio_env, [], "user", PROJECT, pty.name), source)]
    with served_pty(replace(sketch, engine="aot").board("desk").answer) as pty:
        station = only_station(DESK, pty.name)
        with pytest.raises(WrongFirmware, match="not a sketch of your own"):
            RealLab(PROJECT, flash=True).open(station, Sketch(DESK, source), FIRMWARE)
