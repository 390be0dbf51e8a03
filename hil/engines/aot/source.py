"""Writing C: indentation, literals and constant arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

WIDTH = 96
_READERS = {"float": "f32", "int8_t": "i8", "int16_t": "i16", "int32_t": "i32"}
_CTYPES = {"f4": "float", "i1": "int8_t", "i2": "int16_t", "i4": "int32_t"}


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """One constant array; its values' NumPy type decides the C type."""

    name: str
    values: npt.NDArray[np.generic]
    note: str
    flash: bool = True  # false for what is read through the same pointer as RAM

    @property
    def ctype(self) -> str:
        return _CTYPES[self.values.dtype.str[1:]]

    @property
    def nbytes(self) -> int:
        return self.values.size * self.values.itemsize

    def __str__(self) -> str:
        """Its definition; words are aligned, for the int8 kernels load four values at once."""
        flat = self.values.reshape(-1)
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
        more = "" if real or self.values.itemsize == 4 else " HIL_ALIGNED"
        more += " HIL_PROGMEM" if self.flash else ""
        head = f"static {place} {self.ctype} {self.name}[{len(texts)}]{more} = {{"
        return f"/* {self.note} */\n{head}\n{body}\n}};\n"


def read(ctype: str, array: str, index: int | str = 0) -> str:
    """The C expression of one value of an array in flash, which no AVR may read as if in RAM."""
    pointer = f"{array} + {index}" if index else array
    return f"hil_read_{_READERS[ctype]}({pointer})"


def real_literal(value: float | np.generic) -> str:
    """A float32 as a C literal that reads back as the same bits."""
    text = f"{float(value):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


@dataclass(slots=True)
class Writer:
    """Lines of C at a depth of indentation."""

    lines: list[str] = field(default_factory=list)
    depth: int = 0

    def __call__(self, text: str = "") -> None:
        self.lines.append("  " * self.depth + text if text else "")

    @contextmanager
    def block(self, head: str, when: bool = True) -> Iterator[None]:
        """``head {`` ... ``}``; with ``when`` false the content stands alone."""
        if not when:
            yield
            return
        self(f"{head} {{".lstrip())
        self.depth += 1
        yield
        self.depth -= 1
        self("}")

    def loop(self, variable: str, count: int, advance: str = "") -> AbstractContextManager[None]:
        """``for`` over [0, count); nothing but its content when it runs once."""
        more = f", {advance}" if advance else ""
        head = f"for (int {variable} = 0; {variable} < {count}; ++{variable}{more})"
        return self.block(head, count != 1)

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"
