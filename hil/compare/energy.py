# SPDX-License-Identifier: Apache-2.0
"""The energy per inference of one run in BASE and in NEW, if both were measured alike."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hil.compare.judging import finite, judge, to_change
from hil.compare.limits import Growth
from hil.compare.records import ComparedFigure, Word
from hil.runs.load import StoredRun
from hil.runs.schema_energy import EnergyMeasured, Span
from hil.stats import CONFIDENCE, Estimate

VOLTAGE, IDLE_MODE, INSTRUMENT = "voltage", "idle-mode", "instrument"
_ALIKE = 0.01  # voltages that differ by less are the same supply


def energy_of(run: StoredRun, key: str) -> EnergyMeasured | None:
    """The measured energy of a run; None if there is none."""
    return next((one for one in run.energy if one.run == key and not one.why), None)


def energy_differences(
    base: EnergyMeasured | None, new: EnergyMeasured | None
) -> Iterator[tuple[str, str]]:
    """(field, words) of what makes the energy of two runs incomparable."""
    if base is None or new is None:
        return
    where = f"of the energy of {new.run}"
    if abs(base.volts - new.volts) > _ALIKE * max(base.volts, new.volts):
        yield VOLTAGE, f"{where}: {base.volts:.3g} V and {new.volts:.3g} V"
    if base.idle_mode != new.idle_mode:
        yield IDLE_MODE, f"{where}: '{base.idle_mode}' and '{new.idle_mode}'"
    if base.simulated != new.simulated:
        kinds = ("real", "simulated")
        yield INSTRUMENT, f"{where}: {kinds[base.simulated]} and {kinds[new.simulated]}"


def energy_figure(
    base: EnergyMeasured | None, new: EnergyMeasured | None, growth: Growth
) -> ComparedFigure | None:
    """The energy per inference above idle; None unless both were measured.

    Beyond the limit if the whole 95 % interval of the ratio is.
    """
    if base is None or new is None or base.above_idle is None or new.above_idle is None:
        return None
    limit = finite(growth.energy)
    found = ratio_of_means(new.above_idle, base.above_idle, min(base.windows, new.windows))
    word: Word = "undecided"
    if found:
        word = judge(found.low - 1, found.high - 1, (limit or 0) / 100)
    return ComparedFigure(
        name="energy",
        kind="joules",
        word=word,
        base=base.above_idle.point,
        new=new.above_idle.point,
        change=to_change("ratio", found) if found else None,
        limit=limit,
        beyond=found is not None and limit is not None and 100 * found.low > 100 + limit,
        n=new.windows,
        note=_note(base, new, known=found is not None),
    )


def _note(base: EnergyMeasured, new: EnergyMeasured, *, known: bool) -> str:
    """What differs in how both were measured, and does not make them incomparable."""
    words = [] if known else ["an interval contains 0"]
    if base.instrument != new.instrument:
        words.append("other instruments or recordings")
    if base.by != new.by:
        words.append(f"windows by the {base.by} and by the {new.by}")
    return "; ".join(words)


def ratio_of_means(over: Span, under: Span, n: int) -> Estimate | None:
    """The ratio of two independent means from their intervals; None if one of them contains 0.

    MOVER-R: A. Donner and G. Y. Zou, Stat. Methods Med. Res. 21 (2012) 347, section 2.2.
    """
    if over.low <= 0 or under.low <= 0:
        return None
    a, b = over.point, under.point

    def end(mine: float, theirs: float, sign: int) -> float:
        root = (a * b) ** 2 - mine * theirs * (2 * a - mine) * (2 * b - theirs)
        return (a * b + sign * math.sqrt(max(root, 0.0))) / (theirs * (2 * b - theirs))

    low, high = end(over.low, under.high, -1), end(over.high, under.low, 1)
    return Estimate(a / b, low, high, "MOVER", n, CONFIDENCE)
