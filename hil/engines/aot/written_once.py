# SPDX-License-Identifier: Apache-2.0
"""Equal constants and equal functions of a network are written once.

An unrolled recurrent layer has the same weights at every time step, and often the same code. What
is called often is not inlined, so that flash does not grow with the time steps.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from hil.engines.aot.source import Array, Emitted

_OFTEN = 4  # calls of a function that is not inlined


def written_once(
    emitted: Sequence[Emitted], prefixes: Sequence[str]
) -> tuple[list[Emitted | None], list[str]]:
    """The code of each step, None where it is that of an earlier one; its function's name.

    ``prefixes``: of the names in the code of each step; its function has just that name.
    """
    numbers: dict[tuple[str, bool, bytes, str], int] = {}  # constants, in order of their first use
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
    often = {name for name, calls in Counter(called).items() if calls >= _OFTEN}
    for i, prefix in enumerate(prefixes):
        one_kept = kept[i]
        if one_kept is not None and prefix in often:
            kept[i] = replace(one_kept, functions=_called(one_kept.functions, prefix))
    return kept, called


def _called(text: str, name: str) -> str:
    """The C code with a function that is called, not inlined."""
    return text.replace(f"static inline void {name}(", f"HIL_KERNEL {name}(")


def _content(array: Array) -> tuple[str, bool, bytes, str]:
    condition = array.special[0] if array.special else ""  # its values follow from the others
    return array.ctype, array.flash, array.values.tobytes(), condition
