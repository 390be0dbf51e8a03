# SPDX-License-Identifier: Apache-2.0
"""A plot of many samples: predictions or residuals over targets, on linear axes."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from hil.report.draw.chart import Cloud, Link, Scale, Tick, round_ticks, step, ticks_in
from hil.report.draw.scatter import HEIGHT
from hil.report.text import count, short

MOST: Final = 400  # points; more are not told apart, and make the page large
_NARROW: Final = 255.0  # width of the plot on a phone, in pixels
_TICKS: Final = 4

Reals = npt.NDArray[np.float64]


def cloud(
    title: str,
    caption: str,
    axes: tuple[str, str],
    x: Reals,
    y: Reals,
    css: str,
    *,
    line: Literal["equal", "zero"] | tuple[float, float],
) -> Cloud:
    """Points (x, y) with finite values, at least one, and the line y = x, y = 0,
    or from one x to another, above all points.

    ``axes``: what x and y are, and ``css`` the points' colour. Of more than `MOST` samples, evenly
    spaced ones are drawn, in their order.
    """
    if x.size > MOST:
        caption += f" Drawn: {count(MOST)} of {count(x.size)} values, evenly spaced."
        kept = np.linspace(0, x.size - 1, MOST).round().astype(np.int64)
        x, y = x[kept], y[kept]
    if line == "equal":
        ends = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        across = up = _scale(*ends)
        path = (up[0].low, up[0].low, up[0].high, up[0].high)
    else:
        across = _scale(float(x.min()), float(x.max()))
        up = _scale(min(float(y.min()), 0.0), max(float(y.max()), 0.0))
        path = (across[0].low, 0.0, across[0].high, 0.0)
        if line != "zero":
            path = (line[0], up[0].high, line[1], up[0].high)

    def down(value: float) -> float:
        return round(HEIGHT * (1 - up[0].at(value) / 100), 1)

    x_ticks = ((across[0].at(tick), _label(tick)) for tick in across[1])
    return Cloud(
        title=title,
        caption=caption,
        alt=f"{title}: {axes[1]} over {axes[0]} of {count(x.size)} samples. {caption}",
        x_axis=axes[0],
        y_axis=axes[1],
        x_ticks=ticks_in(_NARROW, x_ticks),
        y_ticks=tuple(Tick(down(tick), _label(tick)) for tick in up[1]),
        points=tuple(
            (across[0].at(a), down(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)
        ),
        line=Link(css, across[0].at(path[0]), down(path[1]), across[0].at(path[2]), down(path[3])),
    )


def _label(tick: float) -> str:
    return short(tick).replace("-", "−")


def _scale(low: float, high: float) -> tuple[Scale, list[float]]:
    """An axis that holds both and ends on round numbers, and its ticks."""
    room = (high - low) * 0.02 or max(abs(high), 1.0) * 0.05
    by = step(high - low + 2 * room, _TICKS)
    first, last = by * np.floor((low - room) / by), by * np.ceil((high + room) / by)
    return Scale(float(first), float(last)), round_ticks(float(first), float(last), _TICKS)
