# SPDX-License-Identifier: Apache-2.0
"""hil/bench/power_layers.py: the recording of profiled inferences, divided at the layers' times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hil.bench import run
from hil.bench.power import Power
from hil.bench.power_layers import divided
from hil.bench.session import Patience
from hil.boards.config import load_board
from hil.boards.station import Station, only_station
from hil.core.errors import DataError
from hil.energy import Board, Simulated, Trace
from hil.engines import Layer
from hil.report import write
from hil.runs.load import load_run
from hil.runs.schema_energy import EnergyMeasured
from hil.testing.lab import FakeLab
from tests.support.benches import ignore, planned

RATE, VOLTS, IDLE = 100_000.0, 3.3, 0.0165
SECONDS = (0.004, 0.010, 0.00003)  # the last has 3 samples
WATTS = (0.05, 0.2, 0.1)
ROUNDS = 6


def layers() -> list[Layer]:
    return [Layer(name, "CONV_2D", 1000) for name in ("a", "b", "c")]


def recording(glitches: bool = True) -> Trace:
    """A plain inference and a profiled one in each round, low for a sample between layers."""
    pause = np.full(5_000, IDLE)
    power, gate = [pause], [np.zeros(pause.size, np.bool_)]
    for _ in range(ROUNDS):
        parts = [np.full(round(s * RATE), w) for s, w in zip(SECONDS, WATTS, strict=True)]
        plain = np.full(1_400, 0.15)
        whole = np.concatenate([plain, *parts, pause])
        high = np.r_[np.ones(whole.size - pause.size, np.bool_), np.zeros(pause.size, np.bool_)]
        if glitches:
            high[plain.size] = high[plain.size + parts[0].size] = False
        power.append(whole)
        gate.append(high)
    watts = np.concatenate(power)
    return Trace("made", RATE, watts / VOLTS, np.full(watts.size, VOLTS), np.concatenate(gate))


@pytest.mark.parametrize("glitches", [True, False])
def test_each_layer_gets_the_power_of_its_own_time(glitches: bool) -> None:
    found = divided(recording(glitches), [SECONDS] * ROUNDS, layers())
    for one, seconds, watts in zip(found[:2], SECONDS, WATTS, strict=False):
        assert one.joules is not None
        assert one.above_idle is not None
        assert one.joules.point == pytest.approx(seconds * watts, rel=1e-6)
        assert one.above_idle.point == pytest.approx(seconds * (watts - IDLE), rel=1e-6)


def test_a_layer_with_too_few_samples_gets_no_number() -> None:
    *_, last = divided(recording(), [SECONDS] * ROUNDS, layers())
    assert last.joules is None
    assert last.above_idle is None
    assert last.seconds == pytest.approx(SECONDS[2])


def test_lost_samples_leave_out_the_layer_that_they_are_in() -> None:
    trace = recording(glitches=False)
    current = trace.current.copy()
    current[5_000 + 1_400 + 100] = np.nan  # in the first layer of the first round
    first, second, _ = divided(replace(trace, current=current), [SECONDS] * ROUNDS, layers())
    assert first.joules is not None
    assert second.joules is not None
    assert first.joules.point == pytest.approx(SECONDS[0] * WATTS[0], rel=1e-6)


def test_a_recording_with_other_inferences_is_refused() -> None:
    with pytest.raises(DataError, match="6 profiled inferences in the recording, expected 5"):
        divided(recording(), [SECONDS] * (ROUNDS - 1), layers())


def benched(folder: Path, board: str | Station) -> EnergyMeasured:
    quiet = Simulated(Board(0, active=0.132, idle=IDLE, seconds=0.01, pause=0.05))
    run(
        planned(5, boards=(board,)),
        folder,
        ignore,
        FakeLab(),
        patience=Patience(sleep=lambda _: None),
        power=Power(quiet),
        profiles=True,
    )
    (found,) = load_run(folder).energy
    return found


def test_a_bench_shows_the_energy_of_each_layer(tmp_path: Path) -> None:
    """The fake board's layers take 100, 200, ... microseconds."""
    found = benched(tmp_path, only_station(load_board("esp32dev"), "/dev/ttyUSB7"))
    assert (found.why, found.layers_why) == ("", "")
    assert len(found.layers) == 3
    for i, one in enumerate(found.layers, 1):
        assert one.seconds == pytest.approx(i * 1e-4)
        assert one.joules is not None
        assert one.joules.point == pytest.approx(0.132 * i * 1e-4, rel=0.1)
    assert "Energy by layer" in write(tmp_path).html.read_text()


def test_a_board_without_a_clock_says_why(tmp_path: Path) -> None:
    found = benched(tmp_path, "native")
    assert (found.why, found.layers) == ("", ())
    assert found.layers_why == "board native has no clock to time its layers"
    assert "the energy of its layers is not known" in "\n".join(write(tmp_path).unmeasured)
