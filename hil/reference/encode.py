"""Samples to a model's input values, with the arithmetic of the device (docs/protocol.md)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hil.errors import DataError
from hil.records import DType, TensorSpec

_LIMITS = {DType.INT8: (-128, 127), DType.UINT8: (0, 255)}


def encode_inputs(x: npt.NDArray[np.generic], spec: TensorSpec) -> npt.NDArray[np.generic]:
    """(n, ...) samples -> (n, *spec.shape) values of ``spec.dtype``, C-contiguous.

    uint8 samples are pixels, real = pixel / 255; float32 samples are real values; int8 samples
    are taken as they are. Quantising: round(real / scale) + zero_point in float32, halves away
    from zero, clamped. Raises `DataError` when the samples do not fit the model.
    """
    if x.ndim < 1 or x.shape[0] < 1:
        raise DataError("there are no samples", "give at least one")
    if x[0].size != spec.elements:
        raise DataError(
            f"a sample has {x[0].size} values {list(x.shape[1:])}",
            f"the model takes {spec.elements} {list(spec.shape)}",
        )
    values = np.ascontiguousarray(x).reshape(len(x), *spec.shape)
    if x.dtype == np.int8:
        if spec.dtype is not DType.INT8:
            raise DataError(
                f"int8 samples for a {spec.dtype.name.lower()} model", "give uint8 or float32"
            )
        return values
    if x.dtype == np.uint8:
        real = values.astype(np.float32) / np.float32(255)
    elif x.dtype == np.float32:
        real = values
    else:
        raise DataError(f"samples of type {x.dtype}", "give uint8 pixels, float32 or int8")
    return real if spec.dtype is DType.FLOAT32 else quantize(real, spec)


def quantize(real: npt.NDArray[np.generic], spec: TensorSpec) -> npt.NDArray[np.generic]:
    """float32 values -> ``spec.dtype``, as `encode_inputs` says."""
    low, high = _LIMITS[spec.dtype]
    with np.errstate(over="ignore"):  # beyond float32 is beyond the clamp
        steps = np.asarray(real, np.float32) / np.float32(spec.scale)
    # NaN has no nearest step: the device's comparisons send it to the lower limit
    steps = np.nan_to_num(steps, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    steps = np.clip(steps, np.float32(-1e6), np.float32(1e6))
    whole = np.trunc(steps)
    # numpy rounds halves to even; roundf() rounds them away from zero
    away = np.abs(steps - whole) >= np.float32(0.5)
    rounded = whole + np.where(away, np.copysign(np.float32(1), steps), np.float32(0))
    codes = np.clip(rounded.astype(np.int64) + spec.zero_point, low, high)
    return np.asarray(codes, spec.dtype.numpy)
