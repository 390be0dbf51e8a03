"""Hypothesis strategies that spoil valid inputs: bytes, text, and trees of JSON."""

from __future__ import annotations

import copy
import struct
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

WORDS: Final = (
    0, 1, 2, 3, 4, 8, 16, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 1 << 20, 1 << 24,
    0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF,
)  # fmt: skip
# what a name must never do to a C file, a shell, a page, a spreadsheet, a terminal or a path
NAMES: Final = (
    "", "../../escaped", "/etc/passwd", "a/../b", "..", ".", "con", "\0", "a\0b", "\n", "\r\n",
    '"', "'", "`id`", "$(id)", "; rm -rf .", "|id", "&&id", "*/ int x; /*", "*/", "//", "??/",
    "??/\n", "\\", "\\\n", '"; #error x', "%s%n", "{0.__class__}", "{elf.parent}", "{{7*7}}",
    "<script>alert(1)</script>", "</style>", "&lt;", "<!--", "]]>", "[red]", "[/]", "[/x]",
    "=1+1", "@SUM(1)", "-1+1", "+1", "\x1b[31m", "\x1b]0;x\x07", "\x9b2J", "\u202e", "\u2028",
    "\ufffe", "\U000e0001", "é" * 300, "x" * 70_000, "-rf", "--help", "a=b", "a:b", "a|b", "NaN",
)  # fmt: skip
VALUES: Final = (
    *(None, True, False, 0, 1, -1, 2, 255, 1 << 16, (1 << 31) - 1, 1 << 31, -(1 << 31)),
    *(1 << 53, (1 << 63) - 1, 1 << 63, -(1 << 63), (1 << 64) - 1, 10**30, 0.5, -0.5, 1e-320),
    *(1e308, -1e308, [], {}, [[]], [0], ["x"], {"x": 1}, "nan", "inf", "AAAA", "====", *NAMES),
)


@st.composite
def bytes_like(draw: DrawFn, seeds: Sequence[bytes]) -> bytes:
    """One of ``seeds`` with up to six kinds of damage, or mere noise."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        how = draw(st.integers(0, 9))
        at = draw(st.integers(0, max(0, len(data) - 1)))
        if how < 3 and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == 3:
            data[at : at + 1] = draw(st.binary(max_size=8))
        elif how == 4:
            del data[at : at + draw(st.integers(1, 64))]
        elif how == 5:
            del data[at:]
        elif how == 6:
            data[at : at + 4] = struct.pack("<I", draw(st.sampled_from(WORDS)))
        elif how == 7:
            here = at & ~3
            data[here : here + 2] = struct.pack("<H", draw(st.sampled_from(WORDS)) & 0xFFFF)
        elif how == 8:  # a piece of another, or of itself, elsewhere
            other = draw(st.sampled_from(seeds))
            start = draw(st.integers(0, max(0, len(other) - 1)))
            piece = other[start : start + draw(st.integers(1, 64))]
            data[at : at + draw(st.sampled_from((0, len(piece))))] = piece
        else:
            data[at:at] = bytes(data[at : at + 16]) * draw(st.integers(1, 40))
    return bytes(data)


@st.composite
def text_like(draw: DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A text of ``seeds``: a word exchanged for a hostile one, lines moved, or damaged as bytes."""
    if draw(st.integers(0, 3)) == 0:
        return draw(bytes_like(seeds))
    lines = draw(st.sampled_from(seeds)).split(b"\n")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(lines) - 1)))
        how = draw(st.integers(0, 5))
        if not lines:
            break
        if how == 0:
            lines.insert(draw(st.integers(0, len(lines))), lines[at])
        elif how == 1:
            del lines[at]
        elif how == 2:
            other = draw(st.sampled_from(seeds)).split(b"\n")
            lines.insert(at, draw(st.sampled_from(other)))
        else:
            key, sign, _ = lines[at].partition(draw(st.sampled_from((b"=", b":", b" "))))
            value = draw(st.sampled_from(VALUES))
            word = repr(value).encode("utf-8", "surrogatepass")
            lines[at] = (key + sign + word)[:80_000]
    return b"\n".join(lines)


@st.composite
def tree_like(draw: DrawFn, seed: Any) -> Any:
    """A JSON tree with up to three of its values exchanged, left out, doubled or renamed."""
    tree = copy.deepcopy(seed)
    for _ in range(draw(st.integers(1, 3))):
        parent, key = None, None
        here = tree
        while isinstance(here, dict | list) and here:
            keys = sorted(here) if isinstance(here, dict) else range(len(here))
            parent, key = here, draw(st.sampled_from(keys))
            here = here[key]
            if draw(st.integers(0, 9)) == 0:
                break
        if parent is None:
            return draw(st.sampled_from(VALUES))
        how = draw(st.integers(0, 9))
        if how == 0:
            del parent[key]
        elif how == 1 and isinstance(parent, list):
            parent.append(copy.deepcopy(here))
        elif how == 1:
            parent[draw(st.sampled_from(NAMES))] = here
        elif how == 2 and isinstance(here, int | float):
            parent[key] = here + draw(st.sampled_from((-1, 1, 0.5, 1 << 32)))
        elif how == 3 and isinstance(here, str):
            parent[key] = draw(st.sampled_from(NAMES))
        else:
            parent[key] = draw(st.sampled_from(VALUES))
    return tree


def deep(opening: bytes, closing: bytes, depth: int = 100_000) -> bytes:
    """Brackets in brackets."""
    return opening * depth + closing * depth


Strategy = SearchStrategy[bytes]
