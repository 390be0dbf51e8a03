# SPDX-License-Identifier: Apache-2.0
"""The records of summary.json: the figures of each run, for other programs.

Keys are a contract, as in `hil.runs.schema`.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from hil.core.records import Task, TimeUnit
from hil.runs.schema import Faults, Marks, Memory, Stored, run_key
from hil.runs.schema_cycles import CycleCalibration, CycleTime


class Accuracy(Stored, frozen=True):
    device: float
    host: float | None  # null: the host has no answers


class ScoreRow(Stored, frozen=True):
    """A figure of device and host; null: not defined, as R2 of targets that are all equal, or the
    outputs are not known. rmse, mae and bias are in the unit of the targets."""

    device: float | None
    host: float | None


class Agreement(Stored, frozen=True):
    """``outputs``: share of samples whose output bytes all equal LiteRT's;
    ``differing_*``: output elements that differ; ``max_abs``: largest difference to LiteRT,
    in the output's own units (int8 steps, or float32; against a NaN or an infinity it is the
    largest float32). ``differing_oracle`` is null when no oracle was run; all of these are null
    when the device sent only the class that it chose. ``argmax``: share of samples with the same
    answer; null for tasks whose outputs choose no class. Those have ``max_real``, which is
    ``max_abs`` in real numbers."""

    argmax: float | None
    outputs: float | None
    differing_litert: int | None
    differing_oracle: int | None
    max_abs: float | None
    max_real: float | UnsetType = UNSET


class Time(Stored, frozen=True):
    unit: TimeUnit
    median: float | None
    p5: float | None
    p95: float | None
    n: int


class HostLatency(Stored, frozen=True):
    """LiteRT's invoke on the host, in nanoseconds. Not a time of any device.

    ``ratio``: the device's median latency over ``median``; null on an emulator, which has none.
    Intervals are in the row's ``intervals``: "host_latency.xnnpack.median", ".ratio", ....
    """

    threads: int
    median: float
    p5: float
    p95: float
    n: int
    first: int
    ratio: float | None


class EstimatedCycles(Stored, frozen=True):
    """Cycles of one inference by a model of ``core``: an estimate, never a time of the device.

    ``calibration``: how far such estimates are from chips; not stored if nobody knows. ``time``:
    with --clock, the milliseconds that follow, with their range."""

    core: str
    cycles: int
    instructions: int
    calibration: CycleCalibration | UnsetType = UNSET
    time: CycleTime | UnsetType = UNSET


class EnergyRow(Stored, frozen=True):
    """Joules per inference, in all and above the idle power, in watts, as an instrument measured
    them at ``volts`` with the board in ``idle_mode`` between inferences. ``seconds``: of an
    inference by the instrument's clock. ``simulated``: no instrument measured a board."""

    joules: float
    above_idle: float
    idle_watts: float
    seconds: float
    volts: float
    idle_mode: str
    windows: int
    simulated: bool


class Link(Stored, frozen=True):
    """``faults``, ``left_out``: only for a run with faults. ``left_out``: answers with times that
    no figure uses, because a fault disturbed them."""

    bytes_out: int
    bytes_in: int
    seconds: float
    retries: int
    faults: Faults | UnsetType = UNSET
    left_out: int | UnsetType = UNSET


class Interval(Stored, frozen=True):
    """The confidence interval of a figure of the row, in its unit; ``confidence`` is 1 where
    nothing varied."""

    low: float
    high: float
    confidence: float
    method: str
    n: int


class SummaryRow(Stored, frozen=True):
    """The figures of one run. ``n``: answers that count. ``failed``: requests that got none.

    ``wrong``: of a sketch of the user's own, the output values that are not as expected, or the
    answers, if it sent only those. For our firmware, ``agreement`` shows that.
    """

    board: str
    engine: str
    model: str
    precision: str
    dataset: str
    n: int
    accuracy: Accuracy | None  # null: no labels, or labels of another task than choosing classes
    agreement: Agreement | None  # null: the host has no answers
    time: Time
    memory: Memory | None  # null: not known; always so if the run is not complete
    link: Link | None
    marks: Marks | None = None
    intervals: dict[str, Interval] = msgspec.field(
        default_factory=dict
    )  # by "accuracy.device", ...
    # stored only where they say something
    failed: int | UnsetType = UNSET
    wrong: int | UnsetType = UNSET
    estimated_cycles: EstimatedCycles | UnsetType = UNSET  # with --cycles
    host_latency: dict[str, HostLatency] | UnsetType = UNSET  # by kernels: "xnnpack", "reference"
    task: Task | UnsetType = UNSET  # not stored: "classification", or "none" without accuracy
    auc: ScoreRow | UnsetType = UNSET  # of tasks "binary" and "reconstruction" with both labels
    rmse: ScoreRow | UnsetType = UNSET  # of tasks "regression" and "reconstruction"
    mae: ScoreRow | UnsetType = UNSET
    mse: ScoreRow | UnsetType = UNSET  # of task "reconstruction"
    r2: ScoreRow | UnsetType = UNSET  # of task "regression"
    bias: ScoreRow | UnsetType = UNSET
    energy: EnergyRow | UnsetType = UNSET

    @property
    def key(self) -> str:
        return run_key(self.board, self.engine, self.model, self.precision)


class Summary(Stored, frozen=True):
    schema: int
    runs: tuple[SummaryRow, ...]
