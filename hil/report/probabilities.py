"""Stored outputs -> probabilities of the classes, to be drawn; no figure is computed from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hil.runlog.schema import Tensor


def probabilities(outputs: npt.NDArray[np.generic], tensor: Tensor) -> npt.NDArray[np.float64]:
    """(n, classes) outputs as stored -> (n, classes) shares, each row's sum 1.

    Integers are dequantised: scale x (q - zero_point). Outputs that are probabilities already,
    none negative and each row's sum 1 within their rounding, are only divided by that sum; others
    are logits and get a softmax, exp(z) / sum(exp(z)) with the row's largest z taken off first.
    Rows with a NaN or an infinity are all zero.
    """
    values = outputs.astype(np.float64)
    rounding = 1e-3
    if np.issubdtype(outputs.dtype, np.integer):
        values = tensor.scale * (values - tensor.zero_point)
        rounding = tensor.scale / 2 * outputs.shape[1]
    finite = np.isfinite(values).all(axis=1)
    good = values[finite]
    shares = np.zeros(values.shape)
    sums = good.sum(axis=1, keepdims=True)
    if good.size and good.min() >= 0 and np.abs(sums - 1).max() <= rounding < 0.5:
        shares[finite] = good / sums
    elif good.size:
        raised = np.exp(good - good.max(axis=1, keepdims=True))
        shares[finite] = raised / raised.sum(axis=1, keepdims=True)
    return shares
