# SPDX-License-Identifier: Apache-2.0
"""Many measurements of one kind, and what may be made of them: never two kinds together.

Emulated counts, an emulator's wall time and a board's real time are three types. A function that
takes two series takes two of one type, so that mixing them does not type-check; where types were
lost on the way (`Any`, records read from a file) the same functions raise `MixedUnits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Generic, TypeAlias, TypeVar, final

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.core.errors import MixedUnits
from hil.core.records import EmulatorTime, Instructions, Latency

Kind = TypeVar("Kind", Instructions, Latency, EmulatorTime)


@dataclass(frozen=True)
class Series(Generic[Kind]):
    """(n,) amounts of one kind in the order they were measured."""

    values: npt.NDArray[np.int64]
    unit: ClassVar[str]

    @cached_property
    def median(self) -> stats.Estimate:
        """With its BCa interval; ValueError when there is no value."""
        return stats.bootstrap_median(self.values)


@final
class Counts(Series[Instructions]):
    """Instructions that an emulator counted."""

    unit = "instructions"


@final
class Latencies(Series[Latency]):
    """Microseconds on a physical board."""

    unit = "us"


@final
class EmulatorTimes(Series[EmulatorTime]):
    """Microseconds of this computer that an emulator took."""

    unit = "us of the emulator"


AnySeries: TypeAlias = Counts | Latencies | EmulatorTimes


def ratio(new: Series[Kind], base: Series[Kind], *, paired: bool = True) -> stats.Estimate:
    """Median of ``new`` over that of ``base``: `hil.stats.ratio_of_medians` of one kind."""
    _one_unit((new, base))
    return stats.ratio_of_medians(new.values, base.values, paired=paired)


def ratio_if_alike(new: AnySeries, base: AnySeries, *, paired: bool = True) -> stats.Estimate:
    """`ratio` of series whose kinds are known only now; MixedUnits unless they are one."""
    match new, base:
        case Counts(), Counts():
            return ratio(new, base, paired=paired)
        case Latencies(), Latencies():
            return ratio(new, base, paired=paired)
        case EmulatorTimes(), EmulatorTimes():
            return ratio(new, base, paired=paired)
    raise _mixed(new.unit, base.unit)


def axis(series: Sequence[Series[Kind]]) -> str:
    """The unit of one axis that is to show all of ``series``; MixedUnits when there is none."""
    return _one_unit(series)


def _one_unit(series: Sequence[Series[Kind]]) -> str:
    units = list(dict.fromkeys(one.unit for one in series))
    if len(units) != 1:
        raise _mixed(*units)
    return units[0]


def _mixed(*units: str) -> MixedUnits:
    return MixedUnits(
        f"figures of {' and '.join(units) or 'no unit'} were put together",
        "emulated counts, an emulator's time and real time are compared each with its own",
    )
