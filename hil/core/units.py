# SPDX-License-Identifier: Apache-2.0
"""Figures with SI prefixes, for a terminal and a report: 2.363 mJ."""

from __future__ import annotations

from typing import Final

_PREFIXES: Final = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))  # largest first
_DIGITS: Final = 4


def prefix(value: float) -> tuple[float, str]:
    """The SI prefix of a value, with its factor: (0.001, "m"); none for 0."""
    known = _PREFIXES if value else _PREFIXES[:1]
    return next((one for one in known if abs(value) >= one[0]), known[-1])


def si(value: float, unit: str) -> str:
    """A value with a prefixed unit: 2.363 mJ."""
    scale, letter = prefix(value)
    return f"{value / scale:,.{_DIGITS}g} {letter}{unit}".replace("-", "−")


def si_interval(point: float, low: float, high: float, unit: str) -> tuple[str, str]:
    """A figure and its interval with one prefix: 2.363 mJ, (2.345 to 2.381)."""
    scale, letter = prefix(point)
    ends = f"({low / scale:,.{_DIGITS}g} to {high / scale:,.{_DIGITS}g})"
    return f"{point / scale:,.{_DIGITS}g} {letter}{unit}".replace("-", "−"), ends.replace("-", "−")
