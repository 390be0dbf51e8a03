# SPDX-License-Identifier: Apache-2.0
"""Functions of one quantised value, in the fixed-point arithmetic of TFLM's kernels.

Sources: gemmlowp's fixedpoint.h and tensorflow/lite/kernels/internal/reference/{hard_swish.h,
integer_ops/logistic.h,integer_ops/tanh.h}, micro/kernels/elementwise.cc.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from hil.core.errors import ModelError
from hil.engines.aot.arithmetic import (
    INT32_MAX,
    INT32_MIN,
    exp_on_negative_values,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
    wrap32,
)

_INTEGER_BITS = 4  # of the input of a logistic function or a tanh: Q4.27


def _saturated(x: int, left: int) -> int:
    return min(max(x << left, INT32_MIN), INT32_MAX)


def _reciprocal(a: int) -> int:
    """2 / (1 + a) in Q2.29 for a in [0, 1), Q0.31: three Newton steps."""
    mul = rounding_doubling_high_mul
    half = (a + INT32_MAX + 1) // 2
    x = 1515870810 + mul(half, -1010580540)
    for _ in range(3):
        rest = (1 << 29) - mul(half, x)
        x = wrap32(x + _saturated(mul(x, rest), 2))
    return x


def one_over_one_plus_x(a: int) -> int:
    """1 / (1 + a) in Q0.31 for a in [0, 1), Q0.31."""
    return _saturated(_reciprocal(a), 1)


def logistic(x: int) -> int:
    """gemmlowp's logistic function of a Q4.27 number, as Q0.31."""
    if x == 0:
        return 1 << 30
    found = one_over_one_plus_x(exp_on_negative_values(-abs(x), _INTEGER_BITS))
    return found if x > 0 else INT32_MAX - found


def tanh(x: int) -> int:
    """gemmlowp's tanh of a Q4.27 number, as Q0.31."""
    if x == 0:
        return 0
    # exp(2 * x): the same bits as Q5.26
    found = _saturated(
        _reciprocal(exp_on_negative_values(-abs(x), _INTEGER_BITS + 1)) - (1 << 29), 2
    )
    return found if x > 0 else -found


def _in_range(scale: float) -> tuple[int, int, int]:
    """(multiplier, shift) from codes to Q4.27, and CalculateInputRadius."""
    real = float(np.float32(scale)) * (1 << (31 - _INTEGER_BITS))
    multiplier, shift = quantize_multiplier(real)
    if shift < 0:
        raise ModelError(f"a scale of {scale:.3g}", "2^-27 is the smallest that TFLM supports here")
    return multiplier, shift, math.floor(15 * float(1 << 27) / float(1 << shift))


def logistic_code(x: int, scale: float) -> int:
    """LOGISTIC of x steps of ``scale``, in int8 of scale 1/256 and zero point -128."""
    multiplier, shift, radius = _in_range(scale)
    if x <= -radius:
        return -128
    if x >= radius:
        return 127
    found = logistic(multiply_by_quantized_multiplier(x, multiplier, shift))
    return min(rounding_divide_by_pot(found, 23) - 128, 127)


def tanh_code(x: int, scale: float) -> int:
    """TANH of x steps of ``scale``, in int8 of scale 1/128 and zero point 0."""
    multiplier, shift, radius = _in_range(scale)
    if x <= -radius:
        return -128
    if x >= radius:
        return 127
    found = tanh(multiply_by_quantized_multiplier(x, multiplier, shift))
    return min(max(rounding_divide_by_pot(found, 24), -128), 127)


def _wrap16(x: int) -> int:
    return (x + (1 << 15)) % (1 << 16) - (1 << 15)


def _clamp16(x: int) -> int:
    return min(max(x, -(1 << 15)), (1 << 15) - 1)


def _high_mul16(a: int, b: int) -> int:
    return (1 << 15) - 1 if a == b == -(1 << 15) else (a * b + (1 << 14)) >> 15


def _divide_pot16(x: int, exponent: int) -> int:
    """RoundingDivideByPOT of an int16, whose mask has 16 bits only."""
    mask = _wrap16((1 << exponent) - 1)
    threshold = (mask >> 1) + (x < 0)
    return _wrap16((x >> exponent) + ((x & mask) > threshold))


def _narrow(multiplier: int) -> int:
    """DownScaleInt32ToInt16Multiplier."""
    offset = 1 << 15
    return (1 << 15) - 1 if multiplier >= INT32_MAX - offset else (multiplier + offset) >> 16


def hard_swish_code(x: int, scale: float, result: float, zero: int) -> int:
    """HARD_SWISH of x steps of ``scale``, in int8 of scale ``result`` and zero point ``zero``.

    Raises `ModelError` where TFLM refuses the scales.
    """
    fine = scale / 128
    multiplier, exponent = quantize_multiplier(fine / result)
    if exponent > 0:
        raise ModelError(f"scales {scale:.3g} to {result:.3g}", "export the model again")
    slope, reach = quantize_multiplier(fine / (3 / 32768))
    value = _wrap16(x * (1 << 7))
    scaled = _high_mul16(value, _narrow(multiplier))
    relu = value
    if reach > 0:
        relu = _clamp16(relu * (1 << (reach - 1)))
    relu = _high_mul16(relu, _narrow(slope))
    if reach > 0:
        relu = _clamp16(relu * 2)
    elif reach < 0:
        relu = _divide_pot16(relu, -reach)
    relu = _wrap16((relu + (1 << 15)) >> 1)
    product = abs(relu * scaled) >> 15
    product = product if relu * scaled >= 0 else -product
    found = _wrap16(_divide_pot16(product, -exponent) + zero)
    return min(max(found, -128), 127)


def _inverse_root(x: int) -> tuple[int, int]:
    """GetInvSqrtQuantizedMultiplierExp: (multiplier, shift) of 1 / sqrt(x)."""
    if x <= 1:
        return INT32_MAX, 0
    mul = rounding_doubling_high_mul
    pairs = (31 - x.bit_length()) // 2 - 1
    shift = 11 - pairs
    start = (x << (2 * pairs)) >> 1  # Q3.28
    half = rounding_divide_by_pot(start, 1)
    root = 1 << 28
    for _ in range(5):
        cube = _saturated(mul(mul(root, root), root), 6)  # Q9 to Q3
        root = _saturated(mul((1 << 28) + (1 << 27), root) - mul(half, cube), 3)
    root = mul(root, 1518500250)
    if shift < 0:
        root, shift = wrap32(root << -shift), 0
    return root, -shift


def inverse_root_scale(scale: float, result: float) -> tuple[int, int]:
    """SetRsqrtOutputMultiplier: (multiplier, shift)."""
    return quantize_multiplier(1.0 / (math.sqrt(scale) * result))


def inverse_root_code(x: int, scale: float, result: float, zero: int) -> int:
    """RSQRT of x steps of ``scale``; what is not positive gives the largest int8."""
    if x <= 0:
        return 127
    kept = 20
    multiplier, shift = inverse_root_scale(scale, result)
    root, exponent = _inverse_root(x)
    data = multiply_by_quantized_multiplier(1, root, exponent + kept)
    found = multiply_by_quantized_multiplier(data, multiplier, shift - kept) + zero
    return min(max(found, -128), 127)


def interpolated(
    function: Callable[[float], float], scales: tuple[float, float], zeros: tuple[int, int]
) -> tuple[int, ...]:
    """LUTPopulate of int16: 512 values in float32 and one more, less half of the error between."""
    single = np.float32

    def at(x: np.float32) -> np.float32:
        return single(function(float(x)))

    def rounded(x: np.float32) -> np.float32:
        return single(math.copysign(math.floor(abs(float(x)) + 0.5), float(x)))

    low, high = (single(scales[0]) * single(limit - zeros[0]) for limit in (-32768, 32767))
    bottom, top = (single(scales[1]) * single(limit - zeros[1]) for limit in (-32768, 32767))
    step = (high - low) / single(512)
    by = single(65536) / (top - bottom)
    found = []
    for i in range(512):
        start = low + single(i) * step
        value = rounded(at(start) * by)
        following = at(low + single(i + 1) * step) * by
        between = rounded((following + value) / single(2))
        error = between - rounded(at(start + step / single(2)) * by)
        found.append(value - rounded(error / single(2)))
    found.append(rounded(at(high) * by))
    return tuple(min(max(int(value), -32768), 32767) for value in found)


# sigmoid_table_uint16 of tensorflow/lite/kernels/internal/common.h: 2^16 / (1 + exp(-i / 24)),
# which rounds in its own way
# fmt: off
SIGMOID = (
    32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794,
    41432, 42064, 42688, 43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443,
    48964, 49475, 49975, 50464, 50942, 51409, 51865, 52311, 52745, 53169, 53581, 53983, 54374,
    54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433, 57724, 58007, 58280, 58544,
    58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110, 61279,
    61441, 61599, 61750, 61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990,
    63090, 63186, 63279, 63368, 63454, 63536, 63615, 63691, 63765, 63835, 63903, 63968, 64030,
    64090, 64148, 64204, 64257, 64308, 64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652,
    64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900, 64926, 64950, 64974, 64997, 65019,
    65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208, 65221, 65234,
    65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360,
    65367, 65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433,
    65438, 65442, 65445, 65449, 65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476,
    65479, 65481, 65483, 65485, 65488, 65489, 65491, 65493, 65495, 65497, 65498, 65500, 65501,
    65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513, 65514, 65515, 65516,
    65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524,
    65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529,
    65529, 65530, 65530, 65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532,
    65532, 65532, 65532, 65533, 65533, 65533, 65533, 65533, 65533, 65533, 65533, 65534, 65534,
    65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65535,
)
# fmt: on
