# SPDX-License-Identifier: Apache-2.0
"""How close outputs are to a reference: the figures of ST Edge AI's "validate", over whole runs.

Predictions p and references r are (n, outputs) real values, dequantised. Every figure except the
accuracy is over all n x outputs values at once, as in ST Edge AI, in float64; e = r - p:

    rmse  sqrt(mean(e^2))                       mean  mean(e)
    mae   mean(|e|)                             std   sqrt(mean((e - mean(e))^2))
    l2r   ||e|| / ||r||
    nse   1 - sum(e^2) / sum((r - mean(r))^2)   cos   p . r / (||p|| ||r||)

Sources: ST Edge AI Core, "Evaluation report and metrics" (embedded-docs/evaluation_metrics.html);
nse: Nash and Sutcliffe, J. Hydrol. 10, 282 (1970), which is the coefficient of determination.
tests/stats/test_metrics.py compares them with scikit-learn, SciPy and NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Metrics:
    """``matches`` of ``n`` samples have the same largest output; the module defines the others.

    ``confusion`` is (outputs, outputs): rows the reference's answer, columns the prediction's.
    ``left_out`` samples have a value that is NaN or infinite on either side: they count in
    ``n``, ``matches`` and ``confusion`` but in no other figure. A figure is None where it is not
    defined: all samples left out, or a denominator of zero (l2r and cos of zeros, nse of a
    constant reference and an imperfect prediction).
    """

    n: int
    matches: int
    confusion: Ints
    left_out: int
    rmse: float | None
    mae: float | None
    l2r: float | None
    mean: float | None
    std: float | None
    nse: float | None
    cos: float | None


def metrics(predicted: Reals, reference: Reals) -> Metrics:
    """Compare two (n, outputs) arrays of real values; ValueError unless shapes are equal, n > 0."""
    if predicted.shape != reference.shape or predicted.ndim != 2 or not predicted.size:
        raise ValueError(f"shapes differ or are empty: {predicted.shape} and {reference.shape}")
    given, wanted = predicted.argmax(axis=1), reference.argmax(axis=1)
    return _metrics(predicted, reference, given, wanted)


def against_labels(predicted: Reals, labels: Ints) -> Metrics:
    """Compare (n, outputs) values with labels, as one-hot vectors.

    As in ST's validation, no softmax is applied: if a network ends in logits, they are compared
    with 0 and 1, and only accuracy and confusion are meaningful. A label that no output stands
    for has a vector of zeros, never matches, and is in no cell of ``confusion``.
    """
    classes = predicted.shape[1]
    one_hot = (labels[:, None] == np.arange(classes)).astype(np.float64)
    return _metrics(predicted, one_hot, predicted.argmax(axis=1), labels)


def of_one(predicted: Reals, reference: Reals, given: Ints, wanted: Ints) -> Metrics:
    """Compare (n, 1) outputs that tell two classes apart by a threshold, with the classes that
    they give, ``given`` and ``wanted``; ``confusion`` is 2 x 2."""
    return _metrics(predicted, reference, given, wanted, classes=2)


def dequantised(values: npt.NDArray[np.generic], scale: float = 0.0, zero_point: int = 0) -> Reals:
    """Stored outputs as real values: scale * (q - zero_point); float32 as it is."""
    if values.dtype.kind == "f":
        return np.asarray(values, dtype=np.float64)
    return scale * (values.astype(np.float64) - zero_point)


def confusion(wanted: Ints, given: Ints, classes: int) -> Ints:
    """(classes, classes) counts: rows the right answers, columns the given ones. Answers that are
    not a class are in no cell."""
    from scipy.stats.contingency import crosstab

    levels = np.arange(classes)
    return np.asarray(crosstab(wanted, given, levels=(levels, levels)).count, dtype=np.int64)


def probabilities(outputs: Reals) -> Reals:
    """(n, classes) real outputs -> probabilities; a row that is not finite is NaN.

    Outputs of a network that ends in a softmax are probabilities already, in int8 to about 1/256
    per class. Of any other outputs the softmax is taken. One rule applies to all rows, so that
    they can be compared.
    """
    from scipy.special import softmax

    near = outputs.shape[1] / 256
    already = (outputs >= 0) & (outputs <= 1 + near)
    if already.all() and np.abs(outputs.sum(axis=1) - 1).max() <= near:
        return outputs
    finite = np.isfinite(outputs).all(axis=1)
    found = np.full(outputs.shape, np.nan)
    found[finite] = softmax(outputs[finite], axis=1)
    return found


def _metrics(
    predicted: Reals,
    reference: Reals,
    given: npt.NDArray[np.intp],
    wanted: npt.NDArray[np.intp] | Ints,
    *,
    classes: int = 0,
) -> Metrics:
    n, outputs = predicted.shape
    whole = np.isfinite(predicted).all(axis=1) & np.isfinite(reference).all(axis=1)
    p, r = predicted[whole].ravel(), reference[whole].ravel()
    table = confusion(wanted, given, classes or outputs)
    return Metrics(n, int((given == wanted).sum()), table, int(n - whole.sum()), *_figures(p, r))


def _figures(p: Reals, r: Reals) -> tuple[float | None, ...]:
    """rmse, mae, l2r, mean, std, nse, cos of flat arrays."""
    if not p.size:
        return (None,) * 7
    e = r - p
    squares = float(e @ e)
    length_p, length_r = float(np.linalg.norm(p)), float(np.linalg.norm(r))
    spread = float(((r - r.mean()) ** 2).sum())
    return (
        float(np.sqrt(squares / e.size)),
        float(np.abs(e).mean()),
        float(np.linalg.norm(e)) / length_r if length_r else None,
        float(e.mean()),
        float(e.std()),
        1 - squares / spread if spread else (1.0 if not squares else None),
        float(p @ r) / (length_p * length_r) if length_p and length_r else None,
    )
