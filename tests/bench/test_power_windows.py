# SPDX-License-Identifier: Apache-2.0
"""`hil bench --power`: windows of several inferences where one is too short for the instrument."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hil.bench import run
from hil.bench.events import Event, Note
from hil.bench.lab import Firmware
from hil.bench.power import Power
from hil.boards.config import load_board
from hil.boards.station import Station, only_station
from hil.energy import Simulated
from hil.energy.simulated import Board
from hil.runs.load import load_run
from hil.runs.schema_energy import EnergyMeasured
from hil.testing.board import FakeBoard
from hil.testing.lab import FakeLab
from hil.wire.messages import Kind
from tests.support.benches import planned

ACTIVE, IDLE, TAKES_S = 0.132, 0.0165, 1e-3  # an inference of the second network of `FakeLab`
PINNED = Board(windows=0, active=ACTIVE, idle=IDLE, seconds=0.02, pause=0.01)


@dataclass
class Watched(FakeLab):
    """Keeps the board that was opened last. ``repeats``: whether its firmware has REPEAT."""

    repeats: bool = True
    board: FakeBoard | None = None

    def _ours(self, station: Station, firmware: Firmware) -> FakeBoard:
        self.board = replace(super()._ours(station, firmware), repeats=self.repeats)
        return self.board


def measured(
    folder: Path, lab: Watched, rate: float
) -> tuple[EnergyMeasured, list[int], list[Event]]:
    """The energy, the counts of all REPEAT requests, and the events."""
    events: list[Event] = []
    plan = planned(12, boards=(only_station(load_board("esp32dev"), "/dev/fake"),))
    power = Power(Simulated(PINNED, rate=rate))
    run(plan, folder, events.append, lab, power=power)
    (found,) = load_run(folder).energy
    assert lab.board
    asked = [one for one in lab.board.received if getattr(one, "type", 0) == Kind.REPEAT]
    counts = [int.from_bytes(getattr(one, "payload", b"")[2:4], "little") for one in asked]
    return found, counts, events


def test_a_slow_instrument_gets_windows_of_many_inferences(tmp_path: Path) -> None:
    found, counts, _ = measured(tmp_path / "run", Watched(), rate=5000)
    # 500 samples are 100 ms: 100 inferences; the first request only asks whether it can
    assert counts == [1, *[100] * 12]
    assert (found.windows, found.inferences, found.why) == (12, 100, "")
    assert found.joules
    assert found.above_idle
    assert found.joules.point == pytest.approx(ACTIVE * TAKES_S, rel=0.005)
    assert found.above_idle.point == pytest.approx((ACTIVE - IDLE) * TAKES_S, rel=0.005)
    assert found.edge == pytest.approx(1 / 500, rel=0.01)


def test_a_fast_instrument_records_single_inferences(tmp_path: Path) -> None:
    found, counts, _ = measured(tmp_path / "run", Watched(), rate=1_000_000)
    assert counts == []
    assert (found.windows, found.inferences) == (12, 1)


def test_older_firmware_is_measured_one_inference_at_a_time(tmp_path: Path) -> None:
    found, counts, events = measured(tmp_path / "run", Watched(repeats=False), rate=50_000)
    assert counts == [1]
    assert (found.windows, found.inferences) == (12, 1)
    (said,) = [one.text for one in events if isinstance(one, Note) and "per window" in one.text]
    assert "one inference per window: the board cannot repeat an inference" in said
