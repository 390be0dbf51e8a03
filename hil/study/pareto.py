"""Which networks no other one beats at once in accuracy and in what it costs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hil.study.figures import Row, Study, accuracy, flash, measured

Cost: TypeAlias = Callable[[Row], float]


@dataclass(frozen=True, slots=True)
class Axis:
    """What is paid: ``noun`` in sentences, ``label`` on a drawing."""

    noun: str
    label: str
    cost: Cost


def axes(study: Study) -> tuple[Axis, ...]:
    """Time, where the board has a clock; RAM; flash."""
    found = []
    if study.unit != "none":
        noun, label = {
            "instructions": ("instructions", "instructions (emulated, not latency)"),
            "us": ("microseconds", "microseconds"),
        }[study.unit]
        found.append(Axis(noun, label, _time))
    found.append(Axis("bytes of RAM", "arena, bytes", _arena))
    found.append(Axis("bytes of flash", "flash, network and code, bytes", flash))
    return tuple(found)


def front(study: Study, cost: Cost) -> tuple[Row, ...]:
    """The measured rows that none beats, cheapest first.

    One beats another when it costs no more and is right no less often, and is not equal in both.
    """
    rows = measured(study)

    def place(row: Row) -> tuple[float, float]:
        return cost(row), accuracy(study, row).point

    def beaten(row: Row) -> bool:
        price, share = place(row)
        return any(
            other_price <= price
            and other_share >= share
            and (other_price, other_share) != (price, share)
            for other_price, other_share in map(place, rows)
        )

    return tuple(sorted((row for row in rows if not beaten(row)), key=place))


def cheapest(rows: Sequence[Row], cost: Cost) -> Row:
    """The row that costs least; of equals the first."""
    return min(rows, key=cost)


def _time(row: Row) -> float:
    assert row.device is not None
    return row.device.time or 0.0


def _arena(row: Row) -> float:
    assert row.device is not None
    return float(row.device.arena)
