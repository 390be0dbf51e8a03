# SPDX-License-Identifier: Apache-2.0
"""Text in drawings: how wide it may be, how to shorten it, and where labels have room.

A drawing asks for "sans-serif", which is a different font for every reader: DejaVu Sans is a sixth
wider than Arial. So text is measured for the widest of the usual fonts (DejaVu Sans, Verdana,
Liberation Sans, Noto Sans, Roboto, FreeSans and a monospaced font); tests/report/test_layout.py
compares these figures with the fonts themselves.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

SIZE: Final = 12  # pixels of most letters in a drawing
_ELLIPSIS: Final = "…"

# advance in em -> the characters that are at most as wide
_REGULAR: Final = {
    0.61: " !\"'()*,-./:;?IJL[\\]_`cfijklrstvxyz|²³·°",
    0.64: "$0123456789FTabdeghnopqu{}µβ",
    0.70: "ABEKPSVXYZα–",
    0.78: "&CDGHNRU",
    0.84: "#+<=>OQ^w~−×↓±≤≥",
    1.00: "MWm—…",
    1.08: "%@",
}
_BOLD: Final = {
    0.61: " !\"'()*,-./:;IJ[\\]_`cfijlrstz|·°",
    0.66: "?Lvxy–",
    0.72: "$0123456789EFTabdeghknopqu{}αβ²³",
    0.76: "CPSYZµ",
    0.79: "ABKRVX",
    0.88: "#&+<=>DGHNOQU^~−×±≤≥",
    1.00: "Mw—…↓",
    1.06: "@m",
    1.14: "W",
    1.28: "%",
}
_OTHER: Final = 1.15  # a narrow character that is in no table
_WIDE: Final = 1.3  # Chinese, Japanese, Korean, emoji


def width(text: str, size: float = SIZE, *, bold: bool = False) -> float:
    """Largest width of ``text`` in pixels."""
    return size * sum(_advance(letter, bold) for letter in text)


def widest(texts: Iterable[str], size: float = SIZE, *, bold: bool = False) -> float:
    """Width in pixels of the widest of ``texts``; 0 if there are none."""
    return max((width(text, size, bold=bold) for text in texts), default=0.0)


def shortened(text: str, room: float, size: float = SIZE, *, bold: bool = False) -> str:
    """``text``, cut off with an ellipsis if it may be wider than ``room`` pixels."""
    if width(text, size, bold=bold) <= room:
        return text
    kept = _prefix(text, room - width(_ELLIPSIS, size, bold=bold), size, bold)
    return text[:kept].rstrip() + _ELLIPSIS


def wrapped(
    text: str, room: float, size: float = SIZE, *, bold: bool = False, most: int = 3
) -> tuple[str, ...]:
    """``text`` in at most ``most`` lines of ``room`` pixels, broken at spaces where possible; what
    does not fit is cut off."""
    lines: list[str] = []
    rest = text.strip()
    while rest and len(lines) < most - 1 and width(rest, size, bold=bold) > room:
        end = max(1, _prefix(rest, room, size, bold))
        if rest[end : end + 1] != " " and (space := rest.rfind(" ", 1, end)) > 0:
            end = space
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return (*lines, shortened(rest, room, size, bold=bold))


def _prefix(text: str, room: float, size: float, bold: bool) -> int:
    """How many characters of ``text`` fit into ``room`` pixels."""
    taken = 0.0
    for i, letter in enumerate(text):
        taken += size * _advance(letter, bold)
        if taken > room:
            return i
    return len(text)


@cache
def _tables(bold: bool) -> dict[str, float]:
    table = _BOLD if bold else _REGULAR
    return {letter: advance for advance, letters in table.items() for letter in letters}


def _advance(letter: str, bold: bool) -> float:
    if unicodedata.east_asian_width(letter) in "WF":
        return _WIDE
    known = _tables(bold)
    base = letter if letter in known else unicodedata.normalize("NFD", letter)[0]  # é as e
    return known.get(base, _OTHER)


def clear(labels: Sequence[tuple[float, float, str]], size: float = SIZE) -> tuple[str, ...]:
    """The labels of an axis, in order: the text, or "" where it would touch the one before.

    A label is (place in pixels, share of its width left of that place, text).
    """
    kept: list[str] = []
    end = float("-inf")
    for place, left, text in labels:
        room = width(text, size)
        free = place - left * room >= end
        kept.append(text if free else "")
        if free:
            end = place + (1 - left) * room + size / 3
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class Box:
    """The rectangle that a label or a point covers, in pixels; y grows downwards."""

    left: float
    right: float
    top: float
    bottom: float

    def inside(self, other: Box) -> bool:
        return (
            other.left < self.left
            and self.right < other.right
            and other.top < self.top
            and self.bottom < other.bottom
        )

    def is_free(self, taken: Iterable[Box], gap: float = 0.0) -> bool:
        """Whether at least ``gap`` pixels separate it from each of ``taken``."""
        return all(
            self.right + gap < other.left
            or other.right + gap < self.left
            or self.bottom + gap < other.top
            or other.bottom + gap < self.top
            for other in taken
        )
