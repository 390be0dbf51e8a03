# SPDX-License-Identifier: Apache-2.0
"""The records of cycles.json: estimated cycles of one inference, by a scheduling model of LLVM's.

Keys are a contract, as in `hil.runs.schema`.
"""

from __future__ import annotations

from hil.runs.schema import Stored


class CyclePart(Stored, frozen=True, omit_defaults=True):
    """A function or one of its basic blocks: exact ``instructions``, estimated ``cycles``.

    Of a block: how often it ran, and its code in LLVM's syntax. ``bottleneck``: what limits the
    block, or the most cycles of the function: issue, load, multiply, shift, float or dependency;
    empty in older runs.
    """

    function: str
    instructions: int
    cycles: float
    runs: int = 0
    code: tuple[str, ...] = ()
    bottleneck: str = ""


class CycleLayer(Stored, frozen=True, omit_defaults=True):
    """One layer: its names as in `hil.runs.schema_layers.LayerSeen`, and what it takes.

    ``functions``: those that ran in it, most cycles first.
    """

    name: str
    op: str
    macs: int  # multiply-accumulates, padding included; 0: none
    instructions: int
    cycles: int
    functions: tuple[CyclePart, ...] = ()


class CycleCalibration(Stored, frozen=True):
    """How far estimates for the core are from chips (`hil.cycles.calibration.Calibration`).

    ``ratio``: estimate / measured of the programs in the calibration table, geometric mean.
    ``spread``: of these ratios, as a factor. ``low``, ``high``: between these the ratio of another
    program lies with ``confidence``. ``networks``: neural networks among the ``programs``.
    """

    ratio: float
    spread: float
    low: float
    high: float
    confidence: float
    programs: int
    networks: int
    boards: int


class CycleTime(Stored, frozen=True):
    """Estimated milliseconds of one inference at a clock of ``hertz``, and their range: not a
    latency. ``ms`` is the estimate without the mean error of the calibrated programs."""

    hertz: float
    ms: float
    low: float
    high: float


class CycleEstimate(Stored, frozen=True, omit_defaults=True):
    """The estimate of one run for one sample; or ``why`` there is none.

    ``instructions``: what the basic blocks add up to, exact. ``assumptions``: of the model, in
    words. ``unknown``: instructions of the code that the model cannot time. ``functions`` and
    ``hottest`` blocks: most cycles first. ``layers``: first to last, in firmware built to show its
    layers; or ``layers_why`` there are none. The core is calibrated, or ``uncalibrated`` says why
    not.
    """

    run: str  # RunPlan.key
    id: str  # Sample.id
    core: str = ""  # as LLVM names it
    llvm: str = ""  # version
    instructions: int = 0
    cycles: int = 0
    assumptions: tuple[str, ...] = ()
    unknown: int = 0
    functions: tuple[CyclePart, ...] = ()
    hottest: tuple[CyclePart, ...] = ()
    why: str = ""
    layers: tuple[CycleLayer, ...] = ()
    layers_why: str = ""
    calibration: CycleCalibration | None = None
    uncalibrated: str = ""  # why there is no calibration
    time: CycleTime | None = None  # with a calibration and --clock
