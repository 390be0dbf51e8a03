# SPDX-License-Identifier: Apache-2.0
"""What is known of a pair before a cause is named: how right, and how near to float32, the network
is with each of its parts in int8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.quant.match import Pair
from hil.quant.trials import Unit
from hil.quant.weights import decibels
from hil.runs.schema_quant import QuantTrial

Array: TypeAlias = npt.NDArray[np.generic]
Reals: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

# rms difference in standard deviations of the outputs, from which on a cause is looked for
OFF: Final = 0.25


@dataclass(frozen=True, slots=True)
class Judge:
    """The labels ``y`` of the samples, (n,); ``threshold``: of a single output, from which on the
    answer is class 1."""

    y: npt.NDArray[np.int64]
    threshold: float | None = None

    def right(self, outputs: Reals) -> Bools:
        """Whether each answer of the first output is the label, of the first samples."""
        said = outputs.argmax(1) if self.threshold is None else outputs[:, 0] >= self.threshold
        found: Bools = said == self.y[: len(outputs)]
        return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """How outputs compare with those of the float32 network. ``right``: (n,), None without labels;
    ``error``: rms difference in standard deviations of the float32 outputs; ``off``: whether that
    is too large, and more than the ``steps`` of `Referee`."""

    record: QuantTrial
    error: float
    off: bool
    right: Bools | None = None

    def worse_than(self, better: Outcome) -> bool:
        """Whether this loses to ``better``: right answers by an exact test; without labels, by an
        error that is too large where the other's is not."""
        if self.right is None or better.right is None:
            return self.off and self.error > 2 * better.error
        n = min(len(self.right), len(better.right))
        return stats.lost(better.right[:n], self.right[:n]) is not None


class Referee:
    """Compares outputs with those of the float32 network, (n, elements) of each output; fewer
    samples are the first ones."""

    def __init__(
        self, expected: Sequence[Reals], judge: Judge | None, steps: Sequence[float]
    ) -> None:
        """``steps``: what each output is off by at least, in real numbers; 0: not known."""
        self._expected, self._judge, self._steps = expected, judge, steps
        self._spread = [float(x.std(axis=0).mean()) or 1.0 for x in expected]

    def judge(self, outputs: Sequence[Array]) -> Outcome:
        """``outputs``: real numbers."""
        ratios, errors, off = [], [], False
        for expected, found, spread, step in zip(
            self._expected, outputs, self._spread, self._steps, strict=True
        ):
            x = expected[: len(found)]
            squares = float(np.square(np.asarray(found, np.float64) - x).sum())
            ratios.append(decibels(float(np.square(x).sum()), squares))
            rms = (squares / x.size) ** 0.5
            errors.append(rms / spread)
            off = off or (rms > OFF * spread and rms > step)
        known = [ratio for ratio in ratios if ratio is not None]
        right = self._judge.right(np.asarray(outputs[0], np.float64)) if self._judge else None
        share = None if right is None else float(right.mean())
        record = QuantTrial(sqnr=min(known, default=None), right=share)
        return Outcome(record, max(errors), off, right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """``units``: layers that were tried together; empty where they cannot be. ``only``,
    ``without``: by unit, that unit alone in int8, and all others. ``simulated``: all of them.
    ``cures``: by name. ``but_weights``: all but the weights of the `costliest` unit. ``tried``:
    samples of the trials. ``typical``: whether ranges of the samples tell something about ranges in
    use."""

    pair: Pair
    units: tuple[Unit, ...]
    float32: Outcome
    int8: Outcome
    typical: bool
    simulated: Outcome | None = None
    tried: int = 0
    only: Mapping[int, Outcome] = field(default_factory=dict)
    without: Mapping[int, Outcome] = field(default_factory=dict)
    cures: Mapping[str, Outcome] = field(default_factory=dict)
    but_weights: Outcome | None = None

    @property
    def costliest(self) -> int:
        """The unit without which the network loses least."""
        return max(self.without, key=lambda i: self.regained(self.without[i]))

    def regained(self, outcome: Outcome) -> float:
        """Share of int8's loss that an outcome does not have."""
        plain, int8 = self.float32.record, self.int8.record
        if plain.right is None or int8.right is None or outcome.record.right is None:
            return 1 - outcome.error / self.int8.error if self.int8.error else 0.0
        lost = plain.right - int8.right
        return (outcome.record.right - int8.right) / lost if lost > 0 else 0.0

    @property
    def loses(self) -> bool:
        """Whether int8 loses enough to look for a cause."""
        return self.int8.worse_than(self.float32)
