# SPDX-License-Identifier: Apache-2.0
"""Equal constants and equal functions of a network are written once.

An unrolled recurrent layer has the same weights at every time step, and often the same code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from hil.engines.aot.source import Array, Emitted


def written_once(
    emitted: Sequence[Emitted], prefixes: Sequence[str]
) -> tuple[list[Emitted | None], list[str]]:
    """The code of each step, None where it is that of an earlier one; its function's name.

    ``prefixes``: of the names in the code of each step; its function has just that name.
    """
    numbers: dict[tuple[str, bool, bytes], int] = {}  # constants, in order of their first use
    names: list[str] = []  # of those constants
    functions: dict[str, str] = {}
    kept: list[Emitted | None] = []
    called = []
    for one, prefix in zip(emitted, prefixes, strict=True):
        text, same, arrays = one.functions, one.functions, []
        for array in one.arrays:
            number = numbers.setdefault(_content(array), len(names))
            if number == len(names):
                names.append(array.name)
                arrays.append(array)
            word = re.compile(rf"\b{array.name}\b")
            text = word.sub(names[number], text)
            same = word.sub(f"<{number}>", same)
        name = functions.setdefault(same.replace(prefix, "<step>"), prefix)
        called.append(name)
        kept.append(replace(one, arrays=arrays, functions=text) if name == prefix else None)
    return kept, called


def _content(array: Array) -> tuple[str, bool, bytes]:
    return array.ctype, array.flash, array.values.tobytes()
