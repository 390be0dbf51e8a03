"""What every figure is: a point with its interval, how that was found, and from how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95

Samples: TypeAlias = Sequence[int] | Sequence[float] | npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval. ``point``, ``low`` and ``high`` are in the samples' unit.

    ``confidence`` is what the interval really reaches: below what was asked for where ``n``
    samples cannot give more, and 1.0 for method ``constant``, where all samples are equal.
    """

    point: float
    low: float
    high: float
    method: str
    n: int
    confidence: float


def finite(samples: Samples) -> npt.NDArray[np.float64]:
    """The samples as a one-dimensional array; ValueError on none or a non-finite one."""
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError("wants a list of at least one finite sample")
    return values
