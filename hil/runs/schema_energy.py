# SPDX-License-Identifier: Apache-2.0
"""The records of energy.json: joules per inference of each run, as an instrument measured them.

Keys are a contract, as in `hil.runs.schema`.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hil.runs.schema import Stored

ENERGY: Final = "energy.json"
MOST_POINTS: Final = 1000  # of the drawing of a window
IDLE_MODE: Final = "waiting for a request"  # of the project's firmware between two inferences


class Span(Stored, frozen=True):
    """A mean over windows and its 95 % interval."""

    point: float
    low: float
    high: float


class Shown(Stored, frozen=True):
    """One window with a pause on either side, for a drawing.

    ``step``: seconds per value; ``current``: amperes, the mean of each step, null where the
    instrument lost samples; the marker pin was high from ``start`` to ``end`` seconds.
    """

    step: float
    current: tuple[float | None, ...]
    start: float
    end: float


class LayerEnergy(Stored, frozen=True, omit_defaults=True):
    """The energy of one layer, per inference: ``seconds`` by the board's clock; ``joules`` and
    ``above_idle`` null if its window is too short for the instrument or samples were lost."""

    name: str
    op: str
    macs: int | None
    seconds: float
    joules: Span | None = None
    above_idle: Span | None = None


class EnergyMeasured(Stored, frozen=True, omit_defaults=True):
    """The energy of one run; or ``why`` there is none.

    ``instrument``: its model, or the recording's file. ``simulated``: no real instrument measured
    it. ``rate``: samples per second; ``volts``: mean of the supply; ``supplied``: by the
    instrument. ``idle_mode``: what the board does between inferences, in words. ``by``: whether
    windows come from the marker pin or from the power. ``windows`` count, ``not_counted`` ones do
    not, for the reasons of `hil.energy.windows.FAULTS`; ``inferences`` in each.

    ``joules`` and ``above_idle``: per inference; ``idle``: watts; ``seconds``: per inference, by
    the instrument's clock, ``ratio``: over the board's. ``average``, ``peak``: amperes within
    windows. ``edge``: how far a window's energy may be off because its edges are sampled, as a
    share. ``samples`` of the recording, of which ``lost``; ``range_changes``: null if the
    instrument does not say; ``ended``: why the recording ended early.
    """

    run: str  # RunPlan.key
    instrument: str = ""
    simulated: bool = False
    rate: float = 0.0
    volts: float = 0.0
    supplied: bool = False
    idle_mode: str = IDLE_MODE
    by: Literal["gate", "power"] = "gate"
    windows: int = 0
    not_counted: dict[str, int] = msgspec.field(default_factory=dict)
    inferences: int = 1
    joules: Span | None = None
    above_idle: Span | None = None
    idle: Span | None = None
    seconds: Span | None = None
    ratio: float | None = None
    average: float = 0.0
    peak: float = 0.0
    edge: float = 0.0
    samples: int = 0
    lost: int = 0
    range_changes: int | None = None
    ended: str = ""
    shown: Shown | None = None
    layers: tuple[LayerEnergy, ...] = ()  # with --profile
    layers_why: str = ""  # why there are none
    why: str = ""


def fault(found: tuple[EnergyMeasured, ...], keys: set[str]) -> str:
    """What is wrong with stored records, in words; empty if they fit the runs ``keys``."""
    for one in found:
        sizes = (one.rate, one.volts, one.windows, one.samples, one.lost, *one.not_counted.values())
        if one.run not in keys or min(sizes) < 0:
            return f"the energy of run '{one.run}' does not fit any run"
        if one.why:
            continue
        if None in (one.joules, one.above_idle, one.idle, one.seconds):
            return f"the energy of run '{one.run}' is incomplete"
        if min(one.rate, one.volts, one.windows, one.inferences) <= 0 or not 0 <= one.edge <= 1:
            return f"the energy of run '{one.run}' has figures that no instrument measures"
        if one.shown and not _can_be_drawn(one.shown):
            return f"the window of run '{one.run}' cannot be drawn"
    return ""


def _can_be_drawn(shown: Shown) -> bool:
    known = sum(one is not None for one in shown.current)
    return known >= 2 and len(shown.current) <= MOST_POINTS and shown.step > 0
