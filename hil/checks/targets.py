# SPDX-License-Identifier: Apache-2.0
"""The same targets of a regression: in another unit, standardised, or of other rows."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hil.checks.labels import Order, moved, moved_words, steps_for
from hil.checks.subject import Answers, near
from hil.checks.trials import Part, Trial

Reals = npt.NDArray[np.float64]

_CLOSE: Final = 0.03  # share by which a factor may differ from a known one
_KNOWN: Final = (
    (180 / np.pi, "degrees and radians"),
    (255.0, "0 to 255 and 0 to 1"),
    (1000.0, "thousandths"),
    (100.0, "per cent"),
    (10.0, "tenths"),
    (9.80665, "g and m/s^2"),
    (3.6, "km/h and m/s"),
    (1.8, "degrees Fahrenheit and Celsius"),
    (60.0, "minutes and seconds"),
    (1.0, "of the opposite sign, or from another zero"),
)
_LEAST: Final = 20  # samples to fit a factor with


def target_trials(
    outputs: Answers, targets: Answers, order: Order | None
) -> tuple[int, list[Trial]]:
    """The number of changes of targets, and their results. Outputs and targets: (n, k) reals."""
    said, goal = np.asarray(outputs, np.float64), np.asarray(targets, np.float64)
    count, found = 1, [*_scaled(said, goal)]
    if goal.shape[1] > 1:
        count += 1
        part = Part("targets-reversed", "")
        found.append(Trial((part,), near(said, goal[:, ::-1])))
    if order is not None and (steps := steps_for(order)):
        count += len(steps)
        flat = Order(order.rows, order.labels.reshape(len(order.labels), -1))
        rights = [near(said, moved(flat, step)) for step in steps]
        best = int(np.argmax([right.mean() for right in rights]))
        found.append(Trial((Part("labels-rows", moved_words(steps[best])),), rights[best]))
    return count, found


def _scaled(said: Reals, goal: Reals) -> list[Trial]:
    """Targets times a factor plus a constant, as one half of the samples suggests, tried on the
    other half."""
    if len(said) < _LEAST or goal.std() == 0:
        return []
    some, rest = said[::2], said[1::2]
    factor, offset = np.polyfit(goal[::2].reshape(-1), some.reshape(-1), 1)
    if abs(factor) * goal.std() < 1e-9 or abs(np.corrcoef(goal.ravel(), said.ravel())[0, 1]) < 0.5:
        return []
    right = near(rest, factor * goal[1::2] + offset)
    return [
        Trial((Part("targets-scaled", _words(float(factor), float(offset), goal)),), right, True)
    ]


def _words(factor: float, offset: float, goal: Reals) -> str:
    small = abs(offset) < _CLOSE * abs(factor) * float(goal.std())
    plus = "" if small else f" {'plus' if offset > 0 else 'minus'} {abs(offset):.4g}"
    if abs(factor * goal.std() - 1) < _CLOSE and abs(factor * goal.mean() + offset) < _CLOSE * 10:
        return f"times {factor:.4g}{plus} (standardised: mean 0, standard deviation 1)"
    for known, what in _KNOWN:
        for one in (known, 1 / known):
            if abs(abs(factor) / one - 1) < _CLOSE:
                return f"times {np.copysign(one, factor):.4g}{plus} ({what})"
    return f"times {factor:.4g}{plus}"
