"""Real outputs -> probabilities of the classes, to be shown; no figure is computed from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hil import metrics


def probabilities(outputs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n, classes) real outputs -> the same as probabilities.

    Networks that end in a softmax say them themselves, in int8 to about one in 256 a class; the
    softmax of anything else. One rule for all rows, so that they can be compared.
    """
    near = outputs.shape[1] / 256
    already = (outputs >= 0) & (outputs <= 1 + near)
    if already.all() and np.abs(outputs.sum(axis=1) - 1).max() <= near:
        return outputs
    return metrics.softmax(outputs)
