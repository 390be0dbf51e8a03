# SPDX-License-Identifier: Apache-2.0
"""A scatter plot of accuracy against a cost, with labels that have room on a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, Literal

from hil.core.text import clean
from hil.report.draw.chart import (
    Link,
    Point,
    Scale,
    Scatter,
    Tick,
    log_ticks,
    round_ticks,
    step,
    ticks_in,
)
from hil.report.draw.layout import Box, shortened, width
from hil.report.text import count, percent, short
from hil.stats import Estimate

HEIGHT: Final = 230  # pixels of the plotting area
LEGEND: Final = {"device": "key-device", "host": "key-diamond"}  # swatch of each kind
_NARROW = 255.0  # its width on a phone: labels must not meet there
_SIZE, _LINE = 13.0, 16.0  # font size and line height of a label
_ROOMS = (190.0, 90.0)  # width of a label; the second if the first has no free position
_GAP = 10.0  # pixels between a point and its label
_PIECES = 16  # of a link, each of which is a box that labels avoid
_TOP = 16.0  # room for a label above the highest point
_NEAR, _FAR = 48, 224  # pixels up or down that a label may be from its point
_AREA = Box(-6.0, _NARROW + 12, -2.0, HEIGHT + 2.0)  # where labels may lie


@dataclass(frozen=True, slots=True)
class Mark:
    """The accuracy of a network at a cost, which is positive. Marks of one name have one label, and
    a line joins them."""

    name: str
    css: str
    cost: float
    accuracy: Estimate
    kind: Literal["device", "host"] = "device"


@dataclass(frozen=True, slots=True)
class Axis:
    """The axis of a cost: what it shows, its values as text, and its ticks as text."""

    label: str
    words: Callable[[float], str] = count
    tick: Callable[[float], str] = short


def share_axis(estimates: Iterable[Estimate]) -> tuple[Scale, list[float]]:
    """A scale that holds every interval and ends on round numbers, and its ticks (shares)."""
    found = list(estimates)
    lowest, highest = min(e.low for e in found), max(e.high for e in found)
    by = step(max(highest - lowest, 0.005), 4)
    low = max(0.0, by * (lowest // by))
    high = min(1.0, by * (highest // by + 1))
    return Scale(low, high), round_ticks(low, high)


def scatter(
    title: str,
    caption: str,
    axis: Axis,
    marks: Sequence[Mark],
    legend: Sequence[tuple[str, str]] = (),
) -> Scatter:
    """At least one mark; costs are on a log scale."""
    costs = [mark.cost for mark in marks]
    x = Scale(min(costs) / 1.6, max(costs) * 1.6, log=True)
    y, y_ticks = share_axis([mark.accuracy for mark in marks])

    def down(share: float) -> float:
        return round(_TOP + (HEIGHT - _TOP) * (1 - y.at(share) / 100), 1)

    points = [_point(mark, x, down) for mark in marks]
    named: dict[str, list[int]] = {}
    for i, mark in enumerate(marks):
        named.setdefault(mark.name, []).append(i)
    links = [
        Link(points[a].css, points[a].x, points[a].y, points[b].x, points[b].y)
        for group in named.values()
        for a, b in pairwise(group)
    ]
    crowd = _Crowd(
        tuple(_disc(point) for point in points),
        tuple(piece for link in links for piece in _pieces(link)),
        tuple(_whisker(point) for point in points),
    )
    for name, group in named.items():
        found = _labelled(name, [points[i] for i in group], crowd)
        if found:
            which, labelled = found
            points[group[which]] = labelled
    kinds = len({mark.kind for mark in marks}) > 1
    said = "; ".join(
        f"{mark.name}{f', {mark.kind}' if kinds else ''}: "
        f"{percent(mark.accuracy.point, mark.accuracy.n)} at {axis.words(mark.cost)}"
        for mark in marks
    )
    ticks = ((x.at(t), axis.tick(t)) for t in log_ticks(x.low, x.high))
    return Scatter(
        title=title,
        caption=caption,
        alt=f"{title} ({axis.label}, log scale). {said}.",
        x_axis=f"{axis.label}, log scale",
        y_axis="accuracy",
        x_ticks=ticks_in(_NARROW, ticks),
        y_ticks=tuple(Tick(down(t), f"{100 * t:.4g}%") for t in y_ticks),
        points=tuple(points),
        links=tuple(links),
        legend=tuple(legend),
    )


def _point(mark: Mark, x: Scale, down: Callable[[float], float]) -> Point:
    """Without a label."""
    found = mark.accuracy
    y = down(found.point)
    at = x.at(mark.cost)
    return Point(
        "", mark.css, at, y, down(found.low), down(found.high), "start", _GAP, y, mark.kind
    )


@dataclass(frozen=True, slots=True)
class _Item:
    """What is drawn at ``x`` on a phone, and the box that it covers there. On a wider screen, ``x``
    moves with the axis and the box with it, at the same size."""

    x: float
    box: Box

    def is_clear_of(self, others: Iterable[_Item]) -> bool:
        """Whether it meets none of ``others``, on a phone and on every wider screen: what is beside
        it must stand on that side of its ``x``."""
        mine = self.box
        for other in others:
            its = other.box
            if its.bottom < mine.top or mine.bottom < its.top:
                continue
            left = its.right < mine.left and other.x <= self.x
            right = its.left > mine.right and other.x >= self.x
            if not (left or right):
                return False
        return True


@dataclass
class _Crowd:
    """What labels avoid: discs and each other always, links and intervals if there is a place
    nearby."""

    discs: tuple[_Item, ...]
    links: tuple[_Item, ...]
    whiskers: tuple[_Item, ...]
    labels: list[_Item] = field(default_factory=list)

    def tries(self) -> Iterator[tuple[tuple[_Item, ...], int]]:
        """What to avoid, and how far up or down a label may be for it."""
        apart = (*self.discs, *self.labels)
        yield (*apart, *self.links, *self.whiskers), _NEAR
        yield (*apart, *self.links), _NEAR
        yield apart, _NEAR
        yield apart, _FAR


def _disc(point: Point) -> _Item:
    at = point.x / 100 * _NARROW
    return _Item(at, Box(at - 7, at + 7, point.y - 7, point.y + 7))


def _whisker(point: Point) -> _Item:
    at = point.x / 100 * _NARROW
    return _Item(at, Box(at - 3, at + 3, point.high, point.low))


def _pieces(link: Link) -> Iterator[_Item]:
    for i in range(_PIECES):
        (x1, y1), (x2, y2) = (
            (
                (link.x1 + (link.x2 - link.x1) * k / _PIECES) / 100 * _NARROW,
                link.y1 + (link.y2 - link.y1) * k / _PIECES,
            )
            for k in (i, i + 1)
        )
        box = Box(min(x1, x2), max(x1, x2), min(y1, y2) - 1, max(y1, y2) + 1)
        yield _Item((x1 + x2) / 2, box)


def _labelled(name: str, points: Sequence[Point], crowd: _Crowd) -> tuple[int, Point] | None:
    """One of ``points`` with their label, and which; its box is added to the crowd.

    None if no position is free: the drawing's description names all points.
    """
    for room in _ROOMS:
        text = shortened(clean(name), room, _SIZE, bold=True)
        wide = width(text, _SIZE, bold=True)
        for others, most in crowd.tries():
            for which, point in enumerate(points):
                for anchor, left, middle in _positions(point, wide, most):
                    box = Box(left, left + wide, middle - _LINE / 2, middle + _LINE / 2)
                    label = _Item(point.x / 100 * _NARROW, box)
                    if box.inside(_AREA) and label.is_clear_of(others):
                        crowd.labels.append(label)
                        dx = _GAP if anchor == "start" else -_GAP
                        text_y = round(middle + 4.5, 1)
                        return which, replace(
                            point, label=text, anchor=anchor, dx=dx, text_y=text_y
                        )
    return None


def _positions(point: Point, wide: float, most: int) -> Iterator[tuple[str, float, float]]:
    """Alignment, left end and middle of a label beside a point, nearest first."""
    x = point.x / 100 * _NARROW
    sides = [("start", x + _GAP), ("end", x - _GAP - wide)]
    if x > _NARROW / 2:
        sides.reverse()
    for off in sorted(range(-most, most + 1, 16), key=abs):
        for anchor, left in sides:
            yield anchor, left, point.y + off
