# SPDX-License-Identifier: Apache-2.0
"""How wide a text may become in a drawing, and the parts of it that fit.

A drawing names no font but "sans-serif": which one that is, is the reader's choice, and DejaVu Sans
takes a sixth more room than Arial. So room is measured for the widest of the usual ones (DejaVu
Sans and Verdana, Liberation Sans, Noto Sans, Roboto, FreeSans, and a monospaced font in their
place); tests/report/test_layout.py compares these figures with the fonts themselves.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

SIZE: Final = 12  # pixels of most letters in a drawing
_ELLIPSIS: Final = "…"

# advance in em -> the characters that take at most that
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
    """Pixels that ``text`` takes at most."""
    return size * sum(_advance(letter, bold) for letter in text)


def widest(texts: Iterable[str], size: float = SIZE, *, bold: bool = False) -> float:
    """Pixels of the widest of ``texts``; 0 of none."""
    return max((width(text, size, bold=bold) for text in texts), default=0.0)


def shortened(text: str, room: float, size: float = SIZE, *, bold: bool = False) -> str:
    """``text``, cut off with an ellipsis where it may take more than ``room`` pixels."""
    if width(text, size, bold=bold) <= room:
        return text
    kept = _prefix(text, room - width(_ELLIPSIS, size, bold=bold), size, bold)
    return text[:kept].rstrip() + _ELLIPSIS


def wrapped(
    text: str, room: float, size: float = SIZE, *, bold: bool = False, most: int = 3
) -> tuple[str, ...]:
    """``text`` in lines of at most ``room`` pixels, broken at spaces where it has any; what does
    not fit on ``most`` lines is cut off."""
    lines: list[str] = []
    rest = text.strip()
    while rest and len(lines) < most - 1 and width(rest, size, bold=bold) > room:
        end = max(1, _prefix(rest, room, size, bold))
        if rest[end : end + 1] != " " and (space := rest.rfind(" ", 1, end)) > 0:
            end = space
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return (*lines, shortened(rest, room, size, bold=bold))


def clear(labels: Sequence[tuple[float, float, str]], size: float = SIZE) -> tuple[str, ...]:
    """The labels of an axis, (place in pixels, share of the label left of it, words), in order:
    the words, or "" where they would touch those before."""
    kept: list[str] = []
    end = float("-inf")
    for place, left, words in labels:
        room = width(words, size)
        free = place - left * room >= end
        kept.append(words if free else "")
        if free:
            end = place + (1 - left) * room + size / 3
    return tuple(kept)


def _prefix(text: str, room: float, size: float, bold: bool) -> int:
    """How many characters of ``text`` fit."""
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
