# SPDX-License-Identifier: Apache-2.0
"""What `--json` prints of MLPerf Tiny's commands; see `hil.api.records`."""

from __future__ import annotations

from hil.api.records import Output, Part
from hil.league.entries import Entry

# --- hil mlperf, hil mlperf-data ---


class MlperfAccuracy(Part, frozen=True, kw_only=True):
    """``top1`` in percent; ``correct`` of ``n`` files, null for a network with one output.
    ``improper`` files had a result that is not a list of probabilities."""

    n: int
    correct: int | None
    top1: float
    auc: float
    improper: int


class MlperfWindow(Part, frozen=True, kw_only=True):
    """``iterations`` inferences in ``us`` of the device's clock; ``rate``: inferences/s."""

    iterations: int
    us: int
    rate: float


class MlperfEnergyWindow(Part, frozen=True, kw_only=True):
    """``iterations`` inferences took ``joules`` in ``seconds`` of the instrument's clock."""

    iterations: int
    seconds: float
    joules: float


class MlperfEnergy(Part, frozen=True, kw_only=True):
    """``median``: joules per inference. ``volts``: of the supply. ``simulated``: no real instrument
    recorded it."""

    instrument: str
    volts: float
    simulated: bool
    median: float
    windows: tuple[MlperfEnergyWindow, ...]


class MlperfOutput(Output, frozen=True, kw_only=True):
    """A session. ``accuracy``, ``windows`` or ``energy``, by the mode; ``median``: of the windows'
    rates.
    ``faults``: rules that were broken, one line each; the exit code is 1 then. ``emulated``: no
    figure is a measured time."""

    folder: str
    vendor: str
    model: str
    emulated: bool
    retries: int
    faults: tuple[str, ...]
    accuracy: MlperfAccuracy | None = None
    windows: tuple[MlperfWindow, ...] = ()
    median: float | None = None
    energy: MlperfEnergy | None = None


class MlperfDataOutput(Output, frozen=True, kw_only=True):
    """``folder``: where the samples are. ``tests``: paths of the scripts for MLCommons' runner."""

    dataset: str
    samples: int
    folder: str
    tests: tuple[str, ...]


# --- hil league ---


class LeagueRun(Part, frozen=True, kw_only=True):
    """An own run that is in a table: ``how`` its network was recognised."""

    run: str
    network: str
    how: str


class LeagueTable(Part, frozen=True, kw_only=True):
    """All entries with one network, in the order asked for."""

    network: str
    title: str
    macs: int
    entries: tuple[Entry, ...]


class LeagueOutput(Output, frozen=True, kw_only=True):
    """Published results of MLPerf Tiny, and own runs among them. ``left_out``: own runs with other
    networks."""

    tables: tuple[LeagueTable, ...]
    runs: tuple[LeagueRun, ...]
    left_out: tuple[str, ...]
