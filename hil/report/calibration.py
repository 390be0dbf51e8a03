# SPDX-License-Identifier: Apache-2.0
"""What the error of estimated cycles is, in words, and the milliseconds that follow at a clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from hil.report.text import plural
from hil.runs.schema_cycles import CycleCalibration, CycleEstimate, CycleTime

_UNCALIBRATED: Final = (
    "An estimate, uncalibrated: it was not compared with a chip, so it has no error, and no "
    "milliseconds are derived from it."
)


def errors(made: Sequence[CycleEstimate]) -> Iterator[str]:
    """A sentence or two for each core: how far its estimates are from chips."""
    for one in {one.core: one for one in made}.values():
        if one.calibration:
            yield _calibrated(one.core, one.calibration)
        elif one.uncalibrated:
            yield (
                f"Uncalibrated for {one.core}, so without an error and without milliseconds: "
                f"{one.uncalibrated}."
            )
        else:  # stored before there was a calibration
            yield _UNCALIBRATED


def _calibrated(core: str, found: CycleCalibration) -> str:
    networks = plural(found.networks, "neural network") if found.networks else "no neural network"
    return (
        f"An estimate, calibrated for {core} with {plural(found.programs, 'program')} ({networks}) "
        f"that others measured on {plural(found.boards, 'board')}: it was {found.ratio:.2f} times "
        f"the measured cycles (geometric mean). A chip takes {1 / found.high:.2f} to "
        f"{1 / found.low:.2f} times the cycles estimated here ({100 * found.confidence:.0f}% "
        "prediction interval for another program on such boards)."
    )


def clock_of(made: Sequence[CycleEstimate]) -> float:
    """The clock at which the estimates have a time, in hertz; 0: they have none."""
    return max((one.time.hertz for one in made if one.time), default=0.0)


def time_head(hertz: float) -> str:
    return f"Estimated ms at {hertz / 1e6:g} MHz"


def time_cell(time: CycleTime | None) -> str:
    """The range, and the estimate without the mean error of the calibrated programs."""
    if time is None:
        return "–"
    return f"{_ms(time.low)} to {_ms(time.high)} ({_ms(time.ms)})"


def _ms(value: float) -> str:
    """To three digits, which is more than the error leaves."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
