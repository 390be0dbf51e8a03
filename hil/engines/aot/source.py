# SPDX-License-Identifier: Apache-2.0
"""C source text: kernel files, constant arrays, literals and indented lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

WIDTH = 96
KERNELS = Path(__file__).with_name("kernels")
_MARK = "/* ==== what generated headers contain ==== */\n"
_INCLUDE = re.compile(r'^#include "(\w+)\.h"$', re.MULTILINE)
_READERS = {
    "float": "f32",
    "int8_t": "i8",
    "uint8_t": "u8",
    "int16_t": "i16",
    "int32_t": "i32",
    "int64_t": "i64",
}
_CTYPES = {
    "f4": "float",
    "i1": "int8_t",
    "u1": "uint8_t",
    "b1": "uint8_t",
    "i2": "int16_t",
    "i4": "int32_t",
    "i8": "int64_t",
}


def kernel_texts(names: Iterable[str]) -> list[str]:
    """The text of kernel files (``kernels/<name>.h``) and of those they include.

    Each file occurs once, after the files that it includes. The text starts at the line that marks
    what generated headers contain: before it are the ``#include`` lines that the file needs to
    compile on its own.
    """
    texts: dict[str, str] = {}

    def add(name: str) -> None:
        if name in texts:
            return
        includes, text = _kernel(name)
        for include in includes:
            add(include)
        texts[name] = text

    for name in names:
        add(name)
    return list(texts.values())


@lru_cache
def _kernel(name: str) -> tuple[tuple[str, ...], str]:
    """(kernel files it includes, text for a generated header)."""
    before, mark, text = (KERNELS / f"{name}.h").read_text("utf-8").partition(_MARK)
    assert mark, name
    return tuple(_INCLUDE.findall(before)), text


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """One constant array. The NumPy type of its values decides the C type.

    ``special``: a condition of the preprocessor, and the values where it is true.
    """

    name: str
    values: npt.NDArray[np.generic]
    note: str
    flash: bool = True  # False: read through a pointer that may also point to RAM
    special: tuple[str, npt.NDArray[np.generic]] | None = None

    @property
    def ctype(self) -> str:
        return _CTYPES[self.values.dtype.str[1:]]

    @property
    def nbytes(self) -> int:
        return self.values.size * self.values.itemsize

    def __str__(self) -> str:
        """The definition in C. Small types are aligned: int8 kernels load four values at once."""
        if self.special is None:
            return f"/* {self.note} */\n{self._defined(self.values)}"
        condition, values = self.special
        choice = f"#if {condition}\n{self._defined(values)}#else\n{self._defined(self.values)}"
        return f"/* {self.note} */\n{choice}#endif\n"

    def _defined(self, values: npt.NDArray[np.generic]) -> str:
        flat = values.reshape(-1)
        real = flat.dtype.kind == "f"
        texts = [real_literal(v) if real else str(int(v)) for v in flat]
        lines, line = [], " "
        for text in texts:
            if len(line) + len(text) + 2 > WIDTH:
                lines.append(line)
                line = " "
            line += f" {text},"
        lines.append(line)
        body = "\n".join(lines)
        place = "HIL_FLASH" if self.flash else "const"
        more = "" if self.values.itemsize >= 4 else " HIL_ALIGNED"
        more += " HIL_PROGMEM" if self.flash else ""
        head = f"static {place} {self.ctype} {self.name}[{len(texts)}]{more} = {{"
        return f"{head}\n{body}\n}};\n"


@dataclass(frozen=True, slots=True)
class Emitted:
    """The C code of one step: constants, functions (the step's own last), and kernel files."""

    arrays: list[Array]
    functions: str
    kernels: tuple[str, ...] = ()


def read(ctype: str, array: str, index: int | str = 0) -> str:
    """The C expression of one value in flash, where an AVR needs a special instruction."""
    pointer = f"{array} + {index}" if index else array
    return f"hil_read_{_READERS[ctype]}({pointer})"


def real_literal(value: float | np.generic) -> str:
    """A float32 as a C literal that reads back as the same bits."""
    text = f"{float(value):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


@dataclass(slots=True)
class Writer:
    """Lines of C with indentation."""

    lines: list[str] = field(default_factory=list)
    depth: int = 0

    def __call__(self, text: str = "") -> None:
        self.lines.append("  " * self.depth + text if text else "")

    @contextmanager
    def block(self, head: str, when: bool = True) -> Iterator[None]:
        """``head {`` ... ``}``. With ``when`` false, only the content."""
        if not when:
            yield
            return
        self(f"{head} {{".lstrip())
        self.depth += 1
        yield
        self.depth -= 1
        self("}")

    def loop(self, variable: str, count: int, advance: str = "") -> AbstractContextManager[None]:
        """``for`` over [0, count); only the content when it runs once."""
        more = f", {advance}" if advance else ""
        head = f"for (int {variable} = 0; {variable} < {count}; ++{variable}{more})"
        return self.block(head, count != 1)

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"
