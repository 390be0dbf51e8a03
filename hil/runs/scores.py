# SPDX-License-Identifier: Apache-2.0
"""The figures of each task beside its accuracy: errors against targets, and the area under the ROC
curve. Those of the device stand beside the host's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from hil.core.records import Task
from hil.stats.errors import Name, errors, finite_rows, per_sample
from hil.stats.estimate import Estimate
from hil.stats.roc import auc

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

AUC: Final = "auc"
_ERRORS: Final[Mapping[Task, tuple[Name, ...]]] = MappingProxyType(
    {
        Task.REGRESSION: ("rmse", "mae", "r2", "bias"),
        Task.RECONSTRUCTION: ("mse", "rmse", "mae"),
    }
)
# the figure that stands for a run where there is room for one; a run has the first that it can
HEADLINE: Final[Mapping[Task, tuple[str, ...]]] = MappingProxyType(
    {Task.REGRESSION: ("rmse",), Task.RECONSTRUCTION: (AUC, "mse")}
)
TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {"rmse": "rmse", "mae": "mae", "r2": "R²", "bias": "bias", "mse": "mse", AUC: "AUC"}
)


@dataclass(frozen=True, slots=True)
class Score:
    """One figure; None where it is not defined, or the outputs are not known."""

    device: Estimate | None
    host: Estimate | None


def scores(
    task: Task, device: Reals | None, host: Reals | None, targets: Reals | None, labels: Ints | None
) -> dict[str, Score]:
    """The figures of a run by name, those that neither side has left out.

    ``device``, ``host``: (n, outputs) real values. ``targets``: (n, outputs), ``labels``: (n,).
    """
    one = _figures(task, device, targets, labels)
    same = device is not None and host is not None and np.array_equal(device, host)
    other = one if same else _figures(task, host, targets, labels)
    return {
        name: Score(one.get(name), other.get(name))
        for name in dict.fromkeys((*one, *other))
        if one.get(name) or other.get(name)
    }


def anomaly_scores(predicted: Reals, targets: Reals) -> Reals:
    """(n,) by which samples are told apart in a reconstruction: their mean squared error."""
    return per_sample(predicted, targets)


def _figures(
    task: Task, predicted: Reals | None, targets: Reals | None, labels: Ints | None
) -> dict[str, Estimate | None]:
    return {} if predicted is None else dict(_each(task, predicted, targets, labels))


def _each(
    task: Task, predicted: Reals, targets: Reals | None, labels: Ints | None
) -> Iterator[tuple[str, Estimate | None]]:
    rows = finite_rows(predicted, predicted if targets is None else targets)
    if not rows.any():
        return
    if targets is not None and task in _ERRORS:
        spread = task is Task.REGRESSION
        found = errors(predicted[rows], targets[rows], spread=spread)
        yield from ((name, found[name]) for name in _ERRORS[task])
    if labels is None:
        return
    if task is Task.BINARY:
        yield AUC, auc(predicted[rows, 0], labels[rows])
    elif task is Task.RECONSTRUCTION and targets is not None:
        yield AUC, auc(anomaly_scores(predicted[rows], targets[rows]), labels[rows])
