# SPDX-License-Identifier: Apache-2.0
"""RESIZE_BILINEAR: each value is a weighted sum of four neighbours, whose places are in tables.

Source of the arithmetic: tensorflow/lite/kernels/internal/reference/resize_bilinear.h. Integers
use fractions of 1024. The sum of four products is exact in 32 bits for int8, because the weights
add up to 2^20; in 64 for int16, which only LiteRT has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import CTYPES, OneToOne, item_bytes
from hil.tflite import Graph, Operator
from hil.tflite.graph import FLOAT32, refuse

_BITS = 10  # of a fraction of whole numbers
_PRODUCTS = (("a", "wa"), ("b0", "wb"), ("c", "wc"), ("d", "wd"))


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Along an axis, for each position: the lower and upper neighbour, and how far from the lower
    one it is.
    """

    lower: npt.NDArray[np.int64]
    upper: npt.NDArray[np.int64]
    fractions: npt.NDArray[Any]  # float32, or int64 in units of 1/1024


@dataclass(frozen=True, slots=True, eq=False)
class Bilinear(OneToOne):
    """``size``: (batch, rows, columns, channels) of the input."""

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    kind: str  # of its values in C
    size: tuple[int, int, int, int]
    rows: Neighbours
    columns: Neighbours

    @property
    def ctypes(self) -> tuple[str, str]:
        return self.kind, self.kind

    @property
    def input_bytes(self) -> int:
        return int(np.prod(self.size)) * item_bytes(self.kind)

    @property
    def output_bytes(self) -> int:
        batch, _, _, channels = self.size
        values = batch * len(self.rows.lower) * len(self.columns.lower) * channels
        return values * item_bytes(self.kind)

    @property
    def lead(self) -> None:
        return None  # a value is read again after later ones were written


def plan_bilinear(operator: Operator, graph: Graph, name: str, note: str) -> Bilinear:
    """A RESIZE_BILINEAR. Raises `ModelError` for sizes and options that do not fit."""
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    size = graph.tensors[operator.inputs[1]].data
    if size is None:
        raise refuse(operator, "a size that is not a constant", "export with fixed shapes")
    fits = len(x.shape) == len(y.shape) == 4 and x.shape[::3] == y.shape[::3]
    if not fits or size.reshape(-1).tolist() != list(y.shape[1:3]):
        raise refuse(operator, "its shapes or options do not fit together", "export it again")
    corners = bool(operator.options["align_corners"])
    centres = bool(operator.options["half_pixel_centers"])
    if corners and centres:
        raise refuse(operator, "half_pixel_centers with align_corners", "choose one of them")
    real = x.dtype == FLOAT32
    find = _real_neighbours if real else _whole_neighbours
    rows, columns = (
        find(x.shape[axis], y.shape[axis], corners=corners, centres=centres) for axis in (1, 2)
    )
    for axis, found in ((1, rows), (2, columns)):
        if int(found.lower.max()) >= x.shape[axis]:  # of few values many
            raise refuse(operator, "the references read outside its input", "resize it less")
    n, height, width, channels = x.shape
    return Bilinear(name, note, CTYPES[x.dtype], (n, height, width, channels), rows, columns)


def _real_neighbours(size: int, made: int, *, corners: bool, centres: bool) -> Neighbours:
    """ComputeInterpolationValues."""
    less = int(corners and made > 1)
    scale = np.float32(size - less) / np.float32(made - less)
    at = np.arange(made, dtype=np.float32)
    half = np.float32(0.5)
    at = (at + half) * scale - half if centres else at * scale
    lower = np.maximum(np.floor(at).astype(np.int64), 0)
    upper = np.minimum(np.ceil(at).astype(np.int64), size - 1)
    return Neighbours(lower, upper, at - lower.astype(np.float32))


def _whole_neighbours(size: int, made: int, *, corners: bool, centres: bool) -> Neighbours:
    """ComputeInterpolationValuesInteger."""
    one = 1 << _BITS
    less = int(corners and made > 1)
    scale = (one * (size - less) + (made - less) // 2) // (made - less)
    at = np.arange(made, dtype=np.int64) * scale
    at = at + scale // 2 - one // 2 if centres else at
    lower = np.maximum(_quotient(at, one), 0)
    upper = np.minimum(_quotient(at + one - 1, one), size - 1)
    return Neighbours(lower, upper, at - one * lower)


def _quotient(a: npt.NDArray[np.int64], b: int) -> npt.NDArray[np.int64]:
    """As C divides: towards zero."""
    found: npt.NDArray[np.int64] = np.sign(a) * (np.abs(a) // b)
    return found


def emit_bilinear(step: Bilinear, prefix: str) -> Emitted:
    """The C code of a RESIZE_BILINEAR."""
    batch, height, width, channels = step.size
    row = width * channels
    name = step.kind
    arrays = [
        *_tables(f"{prefix}_y", step.rows, row, "rows"),
        *_tables(f"{prefix}_x", step.columns, channels, "columns"),
    ]
    steps = {a.name: a for a in arrays}

    def value(side: str, what: str, index: str) -> str:
        array = steps[f"{prefix}_{side}{what}"]
        return read(array.ctype, array.name, index)

    w = Writer()
    with (
        w.block(f"static inline void {prefix}(const {name} *in, {name} *out)"),
        w.loop("b", batch, f"in += {height * row}"),
        w.loop("y", len(step.rows.lower)),
    ):
        y = "y" if len(step.rows.lower) > 1 else "0"
        w(f"const {name} *const top = in + {value('y', '', f'2 * {y}')};")
        w(f"const {name} *const bottom = in + {value('y', '', f'2 * {y} + 1')};")
        number = "float" if name == "float" else "int32_t"
        w(f"const {number} fy = {value('y', 'f', y)};")
        with w.loop("x", len(step.columns.lower)):
            x = "x" if len(step.columns.lower) > 1 else "0"
            w(f"const {name} *a = top + {value('x', '', f'2 * {x}')};")
            w(f"const {name} *b0 = bottom + {value('x', '', f'2 * {x}')};")
            w(f"const {name} *c = top + {value('x', '', f'2 * {x} + 1')};")
            w(f"const {name} *d = bottom + {value('x', '', f'2 * {x} + 1')};")
            w(f"const {number} fx = {value('x', 'f', x)};")
            _real_sums(w, channels) if name == "float" else _whole_sums(w, channels, name)
    return Emitted(arrays, str(w))


def _tables(name: str, found: Neighbours, stride: int, what: str) -> list[Array]:
    """Offsets of both neighbours, and the fractions."""
    offsets = np.stack([found.lower, found.upper], axis=1) * stride
    kind = "<i2" if int(offsets.max()) < 1 << 15 else "<i4"
    real = found.fractions.dtype == np.float32
    fractions = found.fractions if real else found.fractions.astype("<i2")
    return [
        Array(name, offsets.astype(kind), f"offsets of the {what} above and below"),
        Array(f"{name}f", fractions, "distances from the first of them"),
    ]


def _real_sums(w: Writer, channels: int) -> None:
    with w.loop("i", channels, "++a, ++b0, ++c, ++d"):
        w(
            "*out++ = *a * (1.0f - fy) * (1.0f - fx) + *b0 * fy * (1.0f - fx) + "
            "*c * (1.0f - fy) * fx + *d * fy * fx + 0.0f;"
        )


def _whole_sums(w: Writer, channels: int, kind: str) -> None:
    one = 1 << _BITS
    w(f"const int32_t wa = ({one} - fy) * ({one} - fx), wb = fy * ({one} - fx);")
    w(f"const int32_t wc = ({one} - fy) * fx, wd = fy * fx;")
    with w.loop("i", channels, "++a, ++b0, ++c, ++d"):
        total, cast = ("int32_t", "") if kind == "int8_t" else ("int64_t", "(int64_t)")
        products = [f"{cast}*{x} * {weight}" for x, weight in _PRODUCTS]
        w(f"const {total} sum = {' + '.join(products)};")
        half, bits = 1 << (2 * _BITS - 1), 2 * _BITS
        sign = f"(sum >> {31 if kind == 'int8_t' else 63})"
        w(f"*out++ = ({kind})((sum + {half} + {sign}) >> {bits}); /* halves away from zero */")
