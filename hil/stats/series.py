# SPDX-License-Identifier: Apache-2.0
"""Times in the order they were measured: kinds that never mix, outliers and drift.

Counted instructions, counted cycles, an emulator's wall time, a board's real time and LiteRT's time
on the host are five types. A function of two series takes two of one type, so mixing them does not
type-check. If the types were lost (`Any`, records read from a file), the same functions raise
`MixedUnits`. Only `device_over_host` takes two kinds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Generic, TypeAlias, TypeVar, final

import numpy as np
import numpy.typing as npt

from hil.core.errors import MixedUnits
from hil.core.records import Cycles, EmulatorTime, HostLatency, Instructions, Latency
from hil.stats.bootstrap import bootstrap_median, ratio_of_medians
from hil.stats.estimate import Estimate, Samples, finite

Kind = TypeVar("Kind", Instructions, Cycles, Latency, EmulatorTime, HostLatency)


@dataclass(frozen=True)
class Series(Generic[Kind]):
    """(n,) measurements of one kind, in order."""

    values: npt.NDArray[np.int64]
    unit: ClassVar[str]

    @cached_property
    def median(self) -> Estimate:
        """With its BCa interval; ValueError if there is no value."""
        return bootstrap_median(self.values)


@final
class Counts(Series[Instructions]):
    """Instructions that an emulator counted."""

    unit = "instructions"


@final
class CycleCounts(Series[Cycles]):
    """Cycles of an emulated core whose timing is fixed."""

    unit = "cycles"


@final
class Latencies(Series[Latency]):
    """Microseconds on a physical board."""

    unit = "us"


@final
class EmulatorTimes(Series[EmulatorTime]):
    """Microseconds that an emulator took on this computer."""

    unit = "us of the emulator"


@final
class HostLatencies(Series[HostLatency]):
    """Nanoseconds of LiteRT's invoke on this computer."""

    unit = "ns on the host"


AnySeries: TypeAlias = Counts | CycleCounts | Latencies | EmulatorTimes | HostLatencies

_NS_PER_US = 1000


def ratio(new: Series[Kind], base: Series[Kind], *, paired: bool = True) -> Estimate:
    """Median of ``new`` over that of ``base``: `hil.stats.ratio_of_medians` of one kind."""
    _one_unit((new, base))
    return ratio_of_medians(new.values, base.values, paired=paired)


def ratio_if_alike(new: AnySeries, base: AnySeries, *, paired: bool = True) -> Estimate:
    """`ratio` of series whose kinds are known only at run time; MixedUnits if they differ."""
    match new, base:
        case Counts(), Counts():
            return ratio(new, base, paired=paired)
        case CycleCounts(), CycleCounts():
            return ratio(new, base, paired=paired)
        case Latencies(), Latencies():
            return ratio(new, base, paired=paired)
        case EmulatorTimes(), EmulatorTimes():
            return ratio(new, base, paired=paired)
        case HostLatencies(), HostLatencies():
            return ratio(new, base, paired=paired)
    raise _mixed(new.unit, base.unit)


def device_over_host(device: Latencies, host: HostLatencies) -> Estimate:
    """How many times as long a board takes as the host: ratio of the medians, with its interval.

    The only function that combines two kinds of time; MixedUnits for any other kinds. Unpaired: the
    host times fewer samples, and a duration there says nothing about the same sample on the board.
    The interval is the two-sample BCa bootstrap of `hil.stats.ratio_of_medians` (Efron 1987).
    ValueError if there is no sample, or one is not positive.
    """
    if not isinstance(device, Latencies) or not isinstance(host, HostLatencies):
        raise _mixed(device.unit, host.unit)
    return ratio_of_medians(device.values * _NS_PER_US, host.values, paired=False)


def axis(series: Sequence[Series[Kind]]) -> str:
    """The unit of an axis that shows all of ``series``; MixedUnits if they do not share one."""
    return _one_unit(series)


def _one_unit(series: Sequence[Series[Kind]]) -> str:
    units = list(dict.fromkeys(one.unit for one in series))
    if len(units) != 1:
        raise _mixed(*units)
    return units[0]


def _mixed(*units: str) -> MixedUnits:
    return MixedUnits(
        f"figures in {' and '.join(units) or 'no unit'} cannot be combined",
        "compare emulated counts, an emulator's time, a board's and the host's only with their "
        "own kind",
    )


# --- what order and tails show ---

_QUARTER = 4  # the first and the last quarter are compared
_FEWEST = 8  # samples that may show a drift


@dataclass(frozen=True, slots=True)
class Outliers:
    """How many of ``n`` samples are beyond the fences, on either side. They are not removed from
    any figure.

    Tukey, Exploratory Data Analysis (1977): mild beyond 1.5, severe beyond 3 interquartile ranges
    from the quartiles.
    """

    mild: int
    severe: int
    n: int


@dataclass(frozen=True, slots=True)
class Drift:
    """The Mann-Kendall test of a trend.

    ``tau``: Kendall's, 1 if every sample is larger than all before it, -1 if smaller. ``p``: the
    chance of a trend at least as strong in random order. ``size``: median of the last quarter of
    the samples over that of the first; None if a sample is not positive.
    """

    tau: float
    p: float
    size: Estimate | None


def outliers(samples: Samples) -> Outliers:
    """Count the outliers; ValueError if there is no sample or one is not finite."""
    values = finite(samples)
    low, high = np.percentile(values, (25, 75))
    beyond = np.maximum(low - values, values - high)
    severe = int((beyond > 3 * (high - low)).sum())
    return Outliers(int((beyond > 1.5 * (high - low)).sum()) - severe, severe, values.size)


def drift(samples: Samples) -> Drift | None:
    """The drift of samples in the order they were measured; None if all are equal or there are
    fewer than 8. ValueError if there is no sample or one is not finite."""
    from scipy.stats import kendalltau

    values = finite(samples)
    if values.size < _FEWEST or values.min() == values.max():
        return None
    test = kendalltau(np.arange(values.size), values)
    quarter = values.size // _QUARTER
    if not math.isfinite(test.statistic):
        return None
    size = None
    if values.min() > 0:
        size = ratio_of_medians(values[-quarter:], values[:quarter], paired=False)
    return Drift(float(test.statistic), float(test.pvalue), size)
