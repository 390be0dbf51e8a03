# SPDX-License-Identifier: Apache-2.0
"""How sums of products become int8 or int16 values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hil.engines.aot.arithmetic import INT32_MAX, quantize_multiplier, quantized_limits
from hil.engines.aot.source import Array, Writer, read
from hil.engines.aot.steps import CTYPES
from hil.engines.aot.weighted.conv import weight_ratios
from hil.tflite import Operator, Tensor
from hil.tflite.graph import INT16, refuse

INT16_LIMITS = (-(1 << 15), (1 << 15) - 1)
_LARGEST = 1 << 47  # of a sum that TFLM scales by a 15-bit multiplier
_SAFE = (1 << 30) - 2  # sums up to here can be doubled and rounded without overflow


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Multipliers and shifts per output channel, after the ``bias`` that starts a sum.

    ``bound``: of any sum. ``exact``: in 32 bits with both of TFLM's roundings, else a 15-bit
    multiplier and one rounding. ``limits``: of the fused activation.
    """

    ctype: str
    bias: npt.NDArray[np.int64]
    multipliers: npt.NDArray[np.int64]
    shifts: npt.NDArray[np.int64]
    zero: int
    limits: tuple[int, int]
    bound: int
    exact: bool = True

    @property
    def long(self) -> bool:
        """Whether sums may leave 32 bits."""
        return self.bound > INT32_MAX

    @property
    def _short(self) -> bool:
        """Whether every shift goes to the right and no sum is large, so that fast code is exact."""
        used = self.shifts[self.multipliers != 0]
        return self.exact and self.bound <= _SAFE and bool((used < 0).all())

    @property
    def _shifts(self) -> npt.NDArray[np.int64]:
        """The shifts as the C function expects them."""
        # with a multiplier of zero the shift does not matter
        return np.where(self.multipliers == 0, 0, -1 - self.shifts) if self._short else self.shifts

    @property
    def _columns(self) -> list[npt.NDArray[np.int64]]:
        """What differs between channels, and the bias if it has 32 bits."""
        found = [] if self.long else [self.bias]
        return found + [v for v in (self.multipliers, self._shifts) if len(set(v.tolist())) > 1]

    @property
    def stride(self) -> int:
        """int32 parameters per channel."""
        return len(self._columns)

    def arrays(self, prefix: str) -> list[Array]:
        arrays = []
        if self._columns:
            values = np.stack(self._columns, axis=1).astype("<i4")
            arrays.append(Array(f"{prefix}_q", values, "scaling, per channel"))
        if self.long:
            arrays.append(Array(f"{prefix}_b", self.bias.astype("<i8"), "bias"))
        return arrays

    def pointers(self, w: Writer, prefix: str, phase: str = "") -> None:
        """Declare the pointers to the parameters, from channel number ``phase`` on."""
        for array in self.arrays(prefix):
            name = array.name.removeprefix(f"{prefix}_")
            stride = self.stride if name == "q" else 1
            more = f" + {phase} * {stride}" if phase else ""
            w(f"HIL_FLASH {array.ctype} *{name} = {array.name}{more};")

    def advance(self, channels: int) -> list[str]:
        """The expressions that move them on."""
        found = [f"q += {channels * self.stride}"] if self.stride else []
        return found + ([f"b += {channels}"] if self.long else [])

    def start(self, c: int) -> str:
        """The initial value of a sum of channel ``c`` from the pointers on."""
        if self.long:
            return read("int64_t", "b", c)
        return read("int32_t", "q", self.stride * c)

    def value(self, total: str, c: int) -> str:
        """The expression of a result."""
        place = 0 if self.long else 1
        parameters = []
        for values in (self.multipliers, self._shifts):
            if len(set(values.tolist())) > 1:
                parameters.append(read("int32_t", "q", self.stride * c + place))
                place += 1
            else:
                parameters.append(str(int(values[0])))
        arguments = f"{total}, {', '.join(parameters)}"
        if self._short:
            scaled = f"hil_requant_right({arguments}, {self.zero})"
        else:
            scaled = f"{'hil_requant' if self.exact else 'hil_requant64'}({arguments})"
            scaled += f" + {self.zero}" if self.zero else ""
        return f"({self.ctype})hil_clamp({scaled}, {self.limits[0]}, {self.limits[1]})"


def plan_scaling(
    operator: Operator,
    tensors: tuple[Tensor, Tensor, Tensor],
    bias: npt.NDArray[np.int64],
    weights: npt.NDArray[np.generic],
    *,
    exact: bool,
) -> Scaling:
    """The scaling of sums that start with ``bias``; weights (cout, values of a sum).

    ``tensors``: input, weights, output. ``bias`` may be that of several phases, one after the
    other. Raises `ModelError` where sums may be larger than TFLM can scale.
    """
    wide = tensors[2].dtype == INT16
    cout = len(weights)
    sums = np.abs(weights.astype(np.int64)).reshape(cout, -1).sum(axis=1) << (15 if wide else 7)
    # as Python numbers: a bias may be as large as 64 bits allow
    largest = [max(abs(int(b)) for b in bias[c::cout]) for c in range(cout)]
    bound = max(b + int(s) for b, s in zip(largest, sums, strict=True))
    if bound > (INT32_MAX if exact else _LARGEST):
        raise refuse(operator, "its sums may leave 32 bits", "export with smaller biases")
    pairs = [quantize_multiplier(r) for r in weight_ratios(operator, tensors, cout)]
    if not exact:
        if max(shift for _, shift in pairs) >= 8:
            raise refuse(operator, "it scales its sums by 128 or more", "export the model again")
        pairs = [(min((m + (1 << 15)) >> 16, 0x7FFF), 15 - shift) for m, shift in pairs]
    times = len(bias) // cout
    return Scaling(
        ctype=CTYPES[tensors[2].dtype],
        bias=bias,
        multipliers=np.tile(np.array([m for m, _ in pairs], np.int64), times),
        shifts=np.tile(np.array([s for _, s in pairs], np.int64), times),
        zero=tensors[2].zero_point,
        limits=quantized_limits(operator, tensors[2], *(INT16_LIMITS if wide else (-128, 127))),
        bound=bound,
        exact=exact,
    )
