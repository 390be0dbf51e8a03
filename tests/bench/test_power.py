# SPDX-License-Identifier: Apache-2.0
"""hil/bench/power.py: a bench with a simulated instrument, from the windows to the report."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hil.bench import run
from hil.bench.energy import energy_record
from hil.bench.power import Power
from hil.bench.session import Patience
from hil.boards.config import load_board
from hil.boards.station import Station, only_station
from hil.core.errors import DataError, LinkError
from hil.energy import Board, Capabilities, Faults, Simulated, Trace
from hil.energy.windows import FAULTS
from hil.report import write
from hil.runs.load import load_run
from hil.runs.schema_energy import EnergyMeasured
from hil.testing.lab import FakeLab
from tests.support.benches import ignore, planned

BOARD = Board(windows=0, active=0.132, idle=0.0165, seconds=0.01, pause=0.01)
AT_ONCE = Patience(sleep=lambda _: None)
N = 12


def esp32() -> Station:
    """A board with a clock of its own."""
    return only_station(load_board("esp32dev"), "/dev/ttyUSB7")


def measured(
    folder: Path, instrument: Simulated, board: str | Station | None = None
) -> EnergyMeasured:
    run(
        planned(N, boards=(board or esp32(),)),
        folder,
        ignore,
        FakeLab(),
        patience=AT_ONCE,
        power=Power(instrument),
    )
    (found,) = load_run(folder).energy
    return found


@pytest.mark.parametrize("clock", [True, False])
def test_each_answered_sample_is_a_window(tmp_path: Path, clock: bool) -> None:
    found = measured(tmp_path, Simulated(BOARD), None if clock else "native")
    assert (found.why, found.windows, found.not_counted) == ("", N, {})
    assert found.simulated
    assert (found.ratio is not None) == clock
    assert found.shown is not None
    inside = [x for x in found.shown.current if x is not None and x > 0.02]
    assert np.median(inside) == pytest.approx(0.132 / 3.3, rel=1e-3)


def test_the_injected_energy_comes_back(tmp_path: Path) -> None:
    instrument = Simulated(replace(BOARD, spread=0.02, jitter=0.02), noise=2e-4)
    found = measured(tmp_path, instrument)
    assert instrument.injected is not None
    assert found.above_idle is not None
    mean = float(np.mean(instrument.injected.above_idle)) / found.inferences
    assert found.above_idle.point == pytest.approx(mean, rel=2e-3)
    assert found.above_idle.low < mean < found.above_idle.high


def test_the_report_says_that_it_is_simulated(tmp_path: Path) -> None:
    measured(tmp_path, Simulated(BOARD))
    written = write(tmp_path)
    assert written.energy is not None
    assert written.energy.note.startswith("Simulated: no instrument measured a board.")
    assert "One window as it was recorded" in written.html.read_text()
    assert "| Energy per inference |" in written.markdown.read_text()
    (row,) = written.summary.runs
    assert "energy.above_idle" in row.intervals


def test_a_clock_that_is_wrong_is_not_as_expected(tmp_path: Path) -> None:
    """One in three windows of the gate is 5 % too long, and does not count."""

    class Slow(Simulated):
        def inferred(self, seconds: float) -> None:
            self.told.append(seconds * (1.05 if len(self.told) % 3 == 0 else 1.0))

    found = measured(tmp_path, Slow(BOARD))
    assert found.not_counted == {FAULTS["clock"]: N // 3}
    (fault,) = write(tmp_path).energy_faults
    assert "differ by more than 1 %" in fault


def test_windows_with_faults_are_counted_apart(tmp_path: Path) -> None:
    found = measured(tmp_path, Simulated(BOARD, faults=Faults(bounce=(3, 5))))
    assert found.not_counted == {FAULTS["bounce"]: 2}
    assert found.windows == N - 2
    assert "2 windows did not count" in "\n".join(write(tmp_path).unmeasured)


def test_what_cannot_be_measured_leaves_the_answers(tmp_path: Path) -> None:
    found = measured(tmp_path, Simulated(BOARD, faults=Faults(clip=0.01)))
    assert "no window can be measured" in found.why
    stored = load_run(tmp_path)
    assert all(len(samples) == N for samples in stored.samples.values())
    assert "its energy is not known" in "\n".join(write(tmp_path).unmeasured)


class Real:
    """An instrument that measures a board on a port."""

    name = "instrument"
    capabilities = Capabilities(rate=1e5, voltage=True, gate=True, supply=True)

    def __init__(self) -> None:
        self.log: list[str] = []

    def supply(self, volts: float) -> None:
        self.log.append(f"supply {volts:g}")

    def start(self) -> None:
        self.log.append("start")

    def stop(self) -> Trace:
        raise DataError("unplugged")

    def close(self) -> None:
        self.log.append("close")


def test_a_real_instrument_cannot_measure_an_emulated_board(tmp_path: Path) -> None:
    instrument = Real()
    plan = planned(2, boards=("mps2",))
    run(plan, tmp_path, ignore, FakeLab(), patience=AT_ONCE, power=Power(instrument))
    (found,) = load_run(tmp_path).energy
    assert found.why == "board mps2 is emulated"
    assert instrument.log == []


def test_an_instrument_that_is_unplugged_keeps_what_it_recorded(tmp_path: Path) -> None:
    class Unplugged(Simulated):
        def stop(self) -> Trace:
            whole = Simulated.stop(self)
            half = whole.n // 2
            assert whole.gate is not None
            return replace(
                whole,
                current=whole.current[:half],
                voltage=whole.voltage[:half],
                gate=whole.gate[:half],
                clipped=None,
                ended="unplugged",
            )

    found = measured(tmp_path, Unplugged(BOARD))
    assert found.why == ""
    assert N // 2 - 1 <= found.windows <= N // 2
    assert "the recording ended early: unplugged" in "\n".join(write(tmp_path).unmeasured)


def test_an_instrument_that_fails_leaves_the_answers(tmp_path: Path) -> None:
    class Broken(Simulated):
        def start(self) -> None:
            raise LinkError("the instrument does not answer", "check its cable")

    found = measured(tmp_path, Broken(BOARD))
    assert "does not answer" in found.why
    assert load_run(tmp_path).manifest.state == "complete"


def test_a_recording_of_other_windows_is_refused() -> None:
    instrument = Simulated(replace(BOARD, windows=10))
    with pytest.raises(DataError, match="the device measured 30 ms"):
        energy_record("a/b/c/int8", instrument.stop(), [0.03] * 10)


def test_an_interrupted_bench_keeps_the_energies_that_it_has_measured(tmp_path: Path) -> None:
    class Interrupted(Simulated):
        def start(self) -> None:
            if "stop" in self.log:
                raise KeyboardInterrupt
            Simulated.start(self)

    plan = planned(N, boards=(esp32(),), models=())
    for instrument, wanted in ((Interrupted(BOARD), 1), (Simulated(BOARD, volts=5.0), plan.runs)):
        with suppress(KeyboardInterrupt):
            power = Power(instrument)
            run(plan, tmp_path, ignore, FakeLab(), patience=AT_ONCE, power=power)
        assert len(load_run(tmp_path).energy) == wanted
    first, second = load_run(tmp_path).energy
    assert (round(first.volts, 3), round(second.volts, 3)) == (3.3, 5.0)
    note = write(tmp_path).energy
    assert note is not None
    assert "at 3.3 V" in note.note
    assert "at 5 V" in note.note
