# SPDX-License-Identifier: Apache-2.0
"""Damages valid inputs: bytes, text, and JSON trees."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Sequence
from random import Random
from typing import Any, Final

WORDS: Final = (
    0, 1, 2, 3, 4, 8, 16, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 1 << 20, 1 << 24,
    0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF,
)  # fmt: skip
# names that must do nothing to a C file, a shell, a page, a spreadsheet, a terminal or a path
NAMES: Final = (
    "", "../../escaped", "/etc/passwd", "a/../b", "..", ".", "con", "\0", "a\0b", "\n", "\r\n",
    '"', "'", "`id`", "$(id)", "; rm -rf .", "|id", "&&id", "*/ int x; /*", "*/", "//", "??/",
    "??/\n", "\\", "\\\n", '"; #error x', "%s%n", "{0.__class__}", "{elf.parent}", "{{7*7}}",
    "<script>alert(1)</script>", "</style>", "&lt;", "<!--", "]]>", "[red]", "[/]", "[/x]",
    "=1+1", "@SUM(1)", "-1+1", "+1", "\x1b[31m", "\x1b]0;x\x07", "\x9b2J", "\u202e", "\u2028",
    "\ufffe", "\U000e0001", "é" * 300, "x" * 70_000, "-rf", "--help", "a=b", "a:b", "a|b", "NaN",
)  # fmt: skip
VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 2, 255, 1 << 16, (1 << 31) - 1, 1 << 31, -(1 << 31)),
    *(1 << 53, (1 << 63) - 1, 1 << 63, -(1 << 63), (1 << 64) - 1, 10**30, 0.5, -0.5, 1e-320),
    *(1e308, -1e308, [], {}, [[]], [0], ["x"], {"x": 1}, "nan", "inf", "AAAA", "====", *NAMES),
)


def bytes_like(random: Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """``data`` damaged up to six times, also with pieces of ``seeds``."""
    spoilt = bytearray(data)
    for _ in range(random.randint(1, 6)):
        _byte_damage(random, spoilt, seeds)
    return bytes(spoilt)


def _byte_damage(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    how = random.randrange(10)
    at = random.randrange(len(data)) if data else 0
    if how < 3 and data:
        data[at] ^= 1 << random.randrange(8)
    elif how == 3:
        data[at : at + 1] = random.randbytes(random.randint(0, 8))
    elif how == 4:
        del data[at : at + random.randint(1, 64)]
    elif how == 5 and random.random() < 0.3:
        del data[at:]
    elif how == 6:
        data[at : at + 4] = struct.pack("<I", random.choice(WORDS))
    elif how == 7:
        here = at & ~3  # where FlatBuffers has offsets
        data[here : here + 4] = struct.pack("<I", random.choice((*WORDS, random.randrange(256))))
    elif how == 8:  # a piece of another seed, or of itself
        other = random.choice(seeds)
        start = random.randrange(len(other)) if other else 0
        piece = other[start : start + random.randint(1, 64)]
        data[at : at + random.choice((0, len(piece)))] = piece
    elif len(data) < 1 << 20:
        data[at:at] = bytes(data[at : at + 16]) * random.randint(1, 40)


def text_like(random: Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """``data``, a text of ``key = value`` lines, with hostile values, with lines moved, duplicated
    or removed, or damaged as bytes."""
    if random.random() < 0.2:
        return bytes_like(random, data, seeds)
    lines = data.split(b"\n")
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(lines))
        how = random.randrange(6)
        if how == 0:
            lines.insert(random.randrange(len(lines)), lines[at])
        elif how == 1 and len(lines) > 1:
            del lines[at]
        elif how == 2:
            lines.insert(at, random.choice(random.choice(seeds).split(b"\n")))
        else:
            key, sign, _ = lines[at].partition(random.choice((b"=", b":", b" ")))
            lines[at] = key + sign + b" " + word(random)
    return b"\n".join(lines)


def word(random: Random) -> bytes:
    """A hostile value, mostly in the syntax of TOML, YAML and JSON."""
    value = random.choice(VALUES)
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    if isinstance(value, str) and random.random() < 0.8:
        text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    return (text or repr(value)).encode("utf-8", "surrogatepass")


def tree_like(random: Random, seed: Any) -> Any:
    """A JSON tree with up to three values replaced, removed, duplicated or renamed."""
    tree = copy.deepcopy(seed)
    for _ in range(random.randint(1, 3)):
        parent: Any = None
        key: Any = None
        here = tree
        while isinstance(here, dict | list) and here:
            parent, key = (
                here,
                random.choice(list(here) if isinstance(here, dict) else range(len(here))),
            )
            here = here[key]
            if random.random() < 0.1:
                break
        if parent is None:
            return random.choice(VALUES)
        _spoil(random, parent, key, here)
    return tree


def _spoil(random: Random, parent: Any, key: Any, here: Any) -> None:
    how = random.randrange(10)
    if how == 0:
        del parent[key]
    elif how == 1 and isinstance(parent, list):
        parent.append(copy.deepcopy(here))
    elif how == 1:
        parent[random.choice(NAMES)] = here
    elif how < 4 and isinstance(here, int | float):
        parent[key] = here + random.choice((-1, 1, 0.5, 1 << 32, -(1 << 33)))
    elif how < 6 and isinstance(here, str):
        parent[key] = random.choice(NAMES)
    else:
        parent[key] = copy.deepcopy(random.choice(VALUES))


def deep(opening: bytes, closing: bytes, depth: int = 20_000) -> bytes:
    """Deeply nested brackets."""
    return opening * depth + closing * depth
