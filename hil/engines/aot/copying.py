# SPDX-License-Identifier: Apache-2.0
"""Copies: of a value that must be in two places, such as an output that is also an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import Buffer


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """``values``: a constant to copy from flash; None: the only source is copied."""

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    buffer: Buffer
    values: npt.NDArray[np.generic] | None = None

    @property
    def sources(self) -> tuple[Buffer, ...]:
        return () if self.values is not None else (self.buffer,)

    @property
    def targets(self) -> tuple[Buffer, ...]:
        return (self.buffer,)

    @property
    def leads(self) -> tuple[int | None, ...]:
        return tuple(None for _ in self.sources)


def emit_copy(step: Copy, prefix: str) -> Emitted:
    """The C code of a copy; its function is ``prefix(in, out)``, or ``prefix(out)``."""
    ctype, nbytes = step.buffer.ctype, step.buffer.nbytes
    w = Writer()
    if step.values is None:
        with w.block(f"static inline void {prefix}(const {ctype} *in, {ctype} *out)"):
            w(f"memcpy(out, in, {nbytes});")
        return Emitted([], str(w))
    array = Array(f"{prefix}_c", step.values, "a constant")
    with w.block(f"static inline void {prefix}({ctype} *out)"):
        value = read(array.ctype, array.name, "i")
        w(f"for (int i = 0; i < {step.values.size}; ++i) out[i] = {value};")
    return Emitted([array], str(w))
