# SPDX-License-Identifier: Apache-2.0
"""From sums to outputs of weighted layers: bias, requantisation, activation and pooling."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.engines.aot.arithmetic import CLAMP, FLT_MAX, Activation, RealFunction
from hil.engines.aot.source import Array, Writer, read, real_literal
from hil.engines.aot.weighted.conv import Conv

_DEEPEST = 14  # shift to the right with which sums can be scaled by 256
_SAFE = (1 << 30) - 2  # sums up to here can be doubled and rounded without overflow


def real_expression(x: str, functions: Iterable[RealFunction]) -> str:
    """A C expression that applies float32 functions to ``x`` and uses it once."""
    for f in functions:
        x = f"{f.function}({', '.join([x, *map(real_literal, f.parameters)])})"
    return x


def real_kernels(activation: Activation) -> tuple[str, ...]:
    """The kernel files that the float32 functions of an activation need."""
    return tuple(f.kernel for f in activation.real)


def simplified(functions: Sequence[RealFunction]) -> list[RealFunction]:
    """Without clamps that the clamp just before them makes redundant."""
    kept: list[RealFunction] = []
    for f in functions:
        if kept and f.function == kept[-1].function == CLAMP:
            (low, high), (last_low, last_high) = f.parameters, kept[-1].parameters
            if low <= last_low and last_high <= high:
                continue
        kept.append(f)
    return kept


def int8_expression(x: str, activation: Activation, table: str) -> str:
    """A C expression for the activation of an int32 ``x``, clamped to int8."""
    limits = activation.limits
    if limits == (-128, 127):
        return f"hil_clamp8({x})"
    if limits is not None:
        return f"hil_clamp({x}, {limits[0]}, {limits[1]})"
    return read("int8_t", table, f"(hil_clamp8({x}) + 128)")


def table_array(name: str, activation: Activation) -> Array:
    """The 256 results of an int8 activation that is not a clamp."""
    return Array(name, np.array(activation.table, "<i1"), "activation of -128, -127, ..., 127")


@dataclass(frozen=True, slots=True)
class Finish:
    """The C code after the sums of one layer; channel ``c`` counts within a block.

    ``wide``: a pooling window takes several tiles, whose results are combined.
    """

    conv: Conv
    prefix: str  # of array names
    wide: bool

    @property
    def real(self) -> bool:
        return self.conv.quant is None

    @property
    def ctype(self) -> str:
        return "float" if self.real else "int32_t"

    @property
    def kernels(self) -> tuple[str, ...]:
        """Kernel files that the code of this class calls."""
        if not self.real:
            return ("int8",)
        return ("float32", *real_kernels(self.conv.pre.then(self.conv.post)))

    @property
    def products(self) -> tuple[str, ...]:
        """Kernel files for products of several taps at a time; float32 has none."""
        return () if self.real else ("products",)

    @property
    def late(self) -> bool:
        """Whether the sums themselves are pooled: a monotone activation may follow the maximum."""
        pool = self.conv.pool
        return pool is not None and not pool.average and self.conv.pre.monotone

    @property
    def _short(self) -> bool:
        """Whether every shift goes to the right and no sum is large, so that fast code is exact."""
        quant = self.conv.quant
        assert quant is not None
        return quant.bound <= _SAFE and bool((quant.shifts[quant.multipliers != 0] < 0).all())

    @property
    def _shifts(self) -> npt.NDArray[np.int64]:
        """The shifts as the C function expects them."""
        quant = self.conv.quant
        assert quant is not None
        # with a multiplier of zero the shift does not matter
        return (
            np.where(quant.multipliers == 0, 0, -1 - quant.shifts) if self._short else quant.shifts
        )

    @property
    def _columns(self) -> list[npt.NDArray[np.int64]]:
        """Per-channel parameters that differ between channels: bias, multipliers, shifts."""
        quant = self.conv.quant
        assert quant is not None
        found = [quant.bias, quant.multipliers, self._shifts]
        return [v for i, v in enumerate(found) if i == 0 or len(set(v.tolist())) > 1]

    @property
    def stride(self) -> int:
        """Parameters per channel."""
        return 1 if self.real else len(self._columns)

    @property
    def by_vectors(self) -> str | None:
        """The arguments of `hil_mve_store` (kernels/mve.h) that follow the sums of four channels,
        whose parameters begin at ``q``. None if a maximum of sums cannot be finished by it."""
        stage = self.conv.pre.then(self.conv.post)
        quant = self.conv.quant
        if quant is None or not self.late or stage.limits is None:
            return None
        if not self._short or self.conv.cout % 4:
            return None
        negative = len(set(stage.table[: quant.output_zero + 129])) > 1
        vectors = [f"hil_mve_column(q, {self.stride})"]
        place = 1
        for values in (quant.multipliers, self._shifts):
            if len(set(values.tolist())) > 1:
                vectors.append(f"hil_mve_column(q + {place}, {self.stride})")
                place += 1
            else:
                vectors.append(f"vdupq_n_s32({int(values[0])})")
        return ", ".join([*vectors, *map(str, (quant.output_zero, int(negative), *stage.limits))])

    def arrays(self) -> list[Array]:
        if self.real:
            assert self.conv.bias is not None
            return [Array(f"{self.prefix}_q", self.conv.bias, "bias")]
        names = ("bias", "multiplier", "shift")[: self.stride]
        values = np.stack(self._columns, axis=1).astype("<i4")
        arrays = [Array(f"{self.prefix}_q", values, f"per channel: {', '.join(names)}")]
        stages = [self.conv.pre, self.conv.post]
        if self.late:
            stages = [self.conv.pre.then(self.conv.post)]
        for stage, name in zip(stages, ("lut", "lut2"), strict=False):
            if stage.limits is None:
                arrays.append(table_array(f"{self.prefix}_{name}", stage))
        return arrays

    @property
    def scaled(self) -> bool:
        """Whether a sum becomes an output by one multiplication, addition and shift.

        That is the arithmetic of `kernels/rows.h`, see `scale_columns`.
        """
        quant = self.conv.quant
        if quant is None or self.conv.pre.limits != (-128, 127):
            return False
        if self.conv.pool is not None and not self.conv.averaged:
            return False
        shifts = quant.shifts[quant.multipliers != 0]
        return quant.bound < 1 << 23 and bool(((shifts < 0) & (shifts >= -_DEEPEST)).all())

    @property
    def away(self) -> bool:
        """Whether halves of negative outputs must be rounded away from zero (else upwards)."""
        quant = self.conv.quant
        assert quant is not None
        return len(set(self.conv.pre.table[: quant.output_zero + 129])) > 1

    def scale_columns(self) -> npt.NDArray[np.int64]:
        """(channels, 3) for sums scaled by 256: multiplier, offset, shift.

        With n = -1 - (the shift of the file), TFLM's result is (sum * multiplier + 2^30 +
        2^(n+31)) / 2^(n+32), rounded down; for a negative sum 2^31 less (`away`). Times 2^8
        everything that is added becomes a multiple of 2^32, so that it can follow the
        multiplication.
        """
        quant = self.conv.quant
        assert quant is not None
        n = np.where(quant.multipliers == 0, 0, -1 - quant.shifts)
        offsets = (1 << 6) + (1 << (n + 7)) + quant.output_zero * (1 << (n + 8))
        return np.stack([quant.multipliers, offsets, n + 8], axis=1)

    def start(self, c: int) -> str:
        """The initial value of a sum."""
        return "0.0f" if self.real else read("int32_t", "q", self.stride * c)

    def multiply(self, a: str, x: str, w: str) -> str:
        """The statement that adds x * w to the sum ``a``."""
        if self.conv.fused:
            return f"{a} = hil_fma({x}, {w}, {a});"
        return f"{a} += {x} * {w};"

    def _value(self, x: str, c: int, stages: Activation) -> str:
        quant = self.conv.quant
        if quant is None:
            return real_expression(f"{x} + {read('float', 'q', c)}", simplified(stages.real))
        parameters: list[str] = []
        place = 1
        for values in (quant.multipliers, self._shifts):
            if len(set(values.tolist())) > 1:
                parameters.append(read("int32_t", "q", self.stride * c + place))
                place += 1
            else:
                parameters.append(str(int(values[0])))
        arguments = f"{x}, {', '.join(parameters)}"
        if not self._short:
            call = f"hil_requant({arguments}) + {quant.output_zero}"
        elif len(set(stages.table[: quant.output_zero + 129])) == 1:
            kernel = "hil_requant_small" if quant.bound < 1 << 23 else "hil_requant_relu"
            call = f"{kernel}({arguments}, {quant.output_zero})"
        else:
            call = f"hil_requant_right({arguments}, {quant.output_zero})"
        return int8_expression(call, stages, f"{self.prefix}_lut")

    def begin(self, w: Writer, channels: int) -> None:
        """Before the tiles of a wide pooling window."""
        if not self.wide:
            return
        assert self.conv.pool is not None
        first = "0.0f" if self.real else "0"
        if not self.conv.pool.average:
            first = real_literal(-FLT_MAX) if self.real else "INT32_MIN"
        for c in range(channels):
            w(f"{self.ctype} m{c} = {first};")

    def combine(self, w: Writer, c: int, sums: Sequence[str]) -> None:
        """After a tile: ``sums`` are one channel's, in the order of the window."""
        pool = self.conv.pool
        if pool is None:
            return
        late = self.late
        values = list(sums) if late else [self._value(s, c, self.conv.pre) for s in sums]
        if pool.average:
            if not self.wide:
                w(f"{self.ctype} m{c} = {'0.0f' if self.real else '0'};")
            for value in values:
                w(f"m{c} += {value};")
            return
        function = ("hil_max_sum" if late else "hil_maxf") if self.real else "hil_max"
        if self.wide:
            values.insert(0, f"m{c}")
        w(f"{'' if self.wide else 'const ' + self.ctype + ' '}m{c} = {largest(values, function)};")

    def store(self, w: Writer, c: int, targets: Sequence[str], sums: Sequence[str]) -> None:
        """At the end: one pooled value, or each sum on its own."""
        conv, pool = self.conv, self.conv.pool
        cast = "" if self.real else "(int8_t)"
        if pool is None:
            # without a pooling, what follows the activation was merged into it
            for target, x in zip(targets, sums, strict=True):
                w(f"{target} = {cast}{self._value(x, c, conv.pre)};")
            return
        if self.late:
            value = self._value(f"m{c}", c, conv.pre.then(conv.post))
        else:
            value = f"m{c}"
            if pool.average:
                value = average(value, self.real, str(pool.rows.window * pool.columns.window))
            if self.real:
                value = real_expression(value, conv.post.real)
            else:
                value = int8_expression(value, conv.post, f"{self.prefix}_lut2")
        w(f"{targets[0]} = {cast}{value};")


def largest(values: Sequence[str], function: str = "hil_max") -> str:
    """The maximum of values as C text, in pairs, so that fewer operations depend on each other."""
    while len(values) > 1:
        pairs = [values[i : i + 2] for i in range(0, len(values), 2)]
        values = [f"{function}({', '.join(p)})" if len(p) == 2 else p[0] for p in pairs]
    return values[0]


def average(total: str, real: bool, count: str) -> str:
    """The mean of ``count`` values as TFLite rounds it."""
    if not real:
        return f"hil_average({total}, {count})"
    return f"{total} / {count}.0f" if count.isdigit() else f"{total} / (float){count}"
