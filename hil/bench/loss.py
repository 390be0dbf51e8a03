# SPDX-License-Identifier: Apache-2.0
"""What a converted model loses: its integer files compared with its float32 file, on the host,
before anything is built.

The bench compares both on the device, too, over all of its samples. This check needs a second, and
finds a calibration, or samples, that do not fit the model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.bench.convert import Converted
from hil.bench.events import Weighed
from hil.bench.inputs import Taken, check_data, samples_of
from hil.bench.task import choose
from hil.checks.inputs import RULES, holds_pixels, otherwise, real_values
from hil.core.errors import ModelError
from hil.core.records import Dataset, DType, Precision
from hil.datasets import first, subset
from hil.reference import convert_outputs, encode_inputs, host_interpreter
from hil.runs.task import WITH_CLASSES
from hil.tflite import Graph, read_model

SAMPLES: Final = 500  # at most
ERROR: Final = 0.1  # rms difference that is too large, in standard deviations of the outputs
FEW: Final = 200  # samples that are tried with other values
GAIN: Final = 0.2  # share of right answers that other values must add to be worth naming

_PREPARE: Final = "prepare them so"

Floats: TypeAlias = npt.NDArray[np.float32]


def weigh(made: Converted, data: Dataset) -> Weighed:
    """Compare a model's precisions on up to `SAMPLES` samples of the ``data`` to bench.

    With labels, by right answers; without, by the outputs themselves.
    """
    graphs = {precision: read_model(file) for precision, file in made.files.items()}
    plain = graphs[Precision.FLOAT32]
    taken = Taken(made.record.source, plain.inputs, plain.names_in)
    some = (first if plain.stateful else subset)(data, SAMPLES)
    check_data(some, taken)
    criterion = choose(made.record.source, plain.output, taken, data, plain)
    (x,) = samples_of(some, taken)
    try:
        outputs = {
            precision: _outputs(made, precision, graph, x) for precision, graph in graphs.items()
        }
    except ModelError as problem:
        return Weighed(f"{made.name}: its precisions were not compared: {problem.what}")
    expected = outputs.pop(Precision.FLOAT32)
    if criterion.task in WITH_CLASSES:
        answers = Answers(made, plain, x, some.y, some.input, criterion.threshold)
        return _by_answers(answers, expected, outputs)
    if not outputs:
        return Weighed(f"{made.name}: float32 only, so there is nothing to compare it with")
    return _by_outputs(made, expected, outputs)


@dataclass(frozen=True, slots=True)
class Answers:
    """Samples with classes ``y``; ``threshold``: of a single output, from which on it is class 1.
    ``plain``: the float32 file. ``rule``: see `hil.bench.preprocessing`."""

    made: Converted
    plain: Graph
    x: npt.NDArray[np.generic]
    y: npt.NDArray[np.int64]
    rule: str
    threshold: float | None

    @property
    def pixels(self) -> bool:
        """Whether the data holds 0 to 255, to which every rule of ``--input`` applies."""
        return holds_pixels(self.x, self.rule)

    def right(self, outputs: Floats) -> npt.NDArray[np.bool_]:
        """Whether each answer is the label, of the first samples."""
        said = outputs.argmax(1) if self.threshold is None else outputs[:, 0] >= self.threshold
        found: npt.NDArray[np.bool_] = said == self.y[: len(outputs)]
        return found


def _by_answers(of: Answers, expected: Floats, outputs: dict[Precision, Floats]) -> Weighed:
    right = of.right(expected)
    figures, losses = [f"float32 {right.mean():.1%}"], []
    for precision, values in outputs.items():
        found = of.right(values)
        figures.append(f"{precision} {found.mean():.1%}")
        if test := stats.lost(right, found):
            lost = (test.only_first - test.only_second) / test.n
            losses.append(
                f"{of.made.name}: {precision} loses {100 * lost:.1f} points to float32 "
                f"(McNemar's p = {test.p:.2g}); {_ranges(of.made)}"
            )
    return Weighed(
        f"{of.made.name}: right answers on the host: {', '.join(figures)} of {len(right):,} "
        "samples",
        tuple(losses),
        _misfit(of, right),
    )


def _by_outputs(made: Converted, expected: Floats, outputs: dict[Precision, Floats]) -> Weighed:
    spread = float(expected.std(axis=0).mean()) or 1.0
    figures, warnings = [], []
    for precision, values in outputs.items():
        error = float(np.sqrt(np.mean((values - expected) ** 2)))
        words = f"{error:.3g} rms, {error / spread:.1%} of the outputs' standard deviation"
        figures.append(f"{precision} by {words}")
        if error > ERROR * spread:
            warnings.append(f"{made.name}: {precision} is off by {words}; {_ranges(made)}")
    return Weighed(
        f"{made.name}: difference from float32 on the host, {len(expected):,} samples: "
        f"{', '.join(figures)}",
        tuple(warnings),
    )


def _ranges(made: Converted) -> str:
    return (
        f"its ranges come from {made.record.calibration}: calibrate it on data like that of its "
        "training"
    )


def _misfit(of: Answers, right: npt.NDArray[np.bool_]) -> str:
    """A sentence if float32 itself does much better with other values, or no better than one
    constant answer; empty if not."""
    said = f"{of.made.name}: float32 is right on {right.mean():.1%} of the samples"
    real = of.plain.input.dtype is DType.FLOAT32  # not the indices of an Embedding
    for name, values in otherwise(real_values(of.x[:FEW])) if real else ():
        found = of.right(_outputs(of.made, Precision.FLOAT32, of.plain, values))
        if found.mean() >= right.mean() + GAIN:
            advice = RULES.get(name, _PREPARE) if of.pixels else _PREPARE
            return f"{said}, with values {name} on {found.mean():.1%}: {advice}"
    constant = int(np.bincount(of.y).max()) / len(of.y)
    if stats.proportion(int(right.sum()), len(right)).low <= constant:
        values = real_values(of.x)
        return (
            f"{said}, which one constant answer would reach, too: check that labels and samples "
            f"(values from {values.min():.4g} to {values.max():.4g}) are as in its training"
        )
    return ""


def _outputs(
    made: Converted, precision: Precision, graph: Graph, x: npt.NDArray[np.generic]
) -> Floats:
    """(n, elements) real outputs, from the fastest interpreter that runs the model."""
    reference = host_interpreter(made.files[precision])
    found = reference.predict(encode_inputs(x, graph.input))
    real = replace(graph.output, dtype=DType.FLOAT32)
    return np.asarray(convert_outputs(found, graph.output, real), np.float32)
