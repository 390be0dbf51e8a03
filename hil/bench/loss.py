# SPDX-License-Identifier: Apache-2.0
"""What a converted model loses: its integer files compared with its float32 file, on the host,
before anything is built.

The bench compares both on the device, too, over all of its samples. This check needs a second, and
finds a calibration, or samples, that do not fit the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.bench.convert import Converted
from hil.bench.events import Weighed
from hil.core.errors import ModelError
from hil.core.records import Dataset, DType, Precision
from hil.datasets import first, subset
from hil.reference import convert_outputs, encode_inputs, litert, xnnpack
from hil.tflite import Graph, read_model

SAMPLES: Final = 500  # at most
LOST: Final = 0.01  # share of right answers
LEVEL: Final = 0.05  # of McNemar's test: both must be met for a warning
ERROR: Final = 0.1  # rms difference that is too large, in standard deviations of the outputs
FEW: Final = 200  # samples that are tried with other values
GAIN: Final = 0.2  # share of right answers that other values must add to be worth naming

Floats: TypeAlias = npt.NDArray[np.float32]


def weigh(made: Converted, data: Dataset) -> Weighed:
    """Compare a model's precisions on up to `SAMPLES` samples of the ``data`` to bench.

    With labels, by right answers; without, by the outputs themselves.
    """
    graphs = {precision: read_model(file) for precision, file in made.files.items()}
    plain = graphs[Precision.FLOAT32]
    some = (first if plain.stateful else subset)(data, SAMPLES)
    try:
        outputs = {
            precision: _outputs(made, precision, graph, some.x)
            for precision, graph in graphs.items()
        }
    except ModelError as problem:
        return Weighed(f"{made.name}: its precisions were not compared: {problem.what}")
    expected = outputs.pop(Precision.FLOAT32)
    if some.labelled and plain.output.elements > 1:
        return _by_answers(made, some, expected, outputs, plain)
    if not outputs:
        return Weighed(f"{made.name}: float32 only, so there is nothing to compare it with")
    return _by_outputs(made, expected, outputs)


def _by_answers(
    made: Converted,
    data: Dataset,
    expected: Floats,
    outputs: dict[Precision, Floats],
    plain: Graph,
) -> Weighed:
    right = expected.argmax(1) == data.y
    figures, warnings = [f"float32 {right.mean():.1%}"], []
    for precision, values in outputs.items():
        found = values.argmax(1) == data.y
        figures.append(f"{precision} {found.mean():.1%}")
        lost, p = float(right.mean() - found.mean()), stats.mcnemar(right, found).p
        if lost >= LOST and p < LEVEL:
            warnings.append(
                f"{made.name}: {precision} loses {100 * lost:.1f} points to float32 "
                f"(McNemar's p = {p:.2g}); {_ranges(made)}"
            )
    warnings += _fed_wrongly(made, data, right, plain)
    samples = f"{len(data):,} samples"
    return Weighed(
        f"{made.name}: right answers on the host: {', '.join(figures)} of {samples}",
        tuple(warnings),
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


def _fed_wrongly(
    made: Converted, data: Dataset, right: npt.NDArray[np.bool_], plain: Graph
) -> Iterator[str]:
    """A sentence if float32 itself does much better with other values, or no better than one
    constant answer."""
    said = f"{made.name}: float32 is right on {right.mean():.1%} of the samples"
    some = subset(data, FEW)
    real = plain.input.dtype is DType.FLOAT32  # not the indices of an Embedding
    for values, name in _otherwise(_real(some.x)) if real else ():
        answers = _outputs(made, Precision.FLOAT32, plain, values).argmax(1)
        share = float((answers == some.y).mean())
        if share >= right.mean() + GAIN:
            yield f"{said}, with values {name} on {share:.1%}: prepare them so"
            return
    constant = int(np.bincount(data.y).max()) / len(data)
    if stats.proportion(int(right.sum()), len(data)).low <= constant:
        low, high = made.record.low, made.record.high
        yield (
            f"{said}, which one constant answer would reach, too: check that labels and samples "
            f"(values from {low:.4g} to {high:.4g}) are as in its training"
        )


def _otherwise(real: Floats) -> Iterator[tuple[Floats, str]]:
    """The same samples as other programs prepare them, with words for it."""
    low, high = float(real.min()), float(real.max())
    unit = real / 255 if high > 1.5 and low >= 0 else (real + 1) / 2 if low < 0 else real
    if unit.min() < 0 or unit.max() > 1:
        return
    for values, name in (
        (unit, "from 0 to 1"),
        (2 * unit - 1, "from -1 to 1"),
        (255 * unit, "from 0 to 255"),
        (1 - unit, "from 0 to 1, inverted"),
    ):
        if not np.allclose(values, real):
            yield values.astype(np.float32), name


def _real(x: npt.NDArray[np.generic]) -> Floats:
    real = x.astype(np.float32)
    return real / np.float32(255) if x.dtype == np.uint8 else real


def _outputs(
    made: Converted, precision: Precision, graph: Graph, x: npt.NDArray[np.generic]
) -> Floats:
    """(n, elements) real outputs: from LiteRT's default kernels, which take the least time, or from
    its reference kernels where those cannot run the model."""
    file = made.files[precision]
    try:
        reference = xnnpack(file)
    except ModelError:
        reference = litert(file)
    found = reference.predict(encode_inputs(x, graph.input))
    real = replace(graph.output, dtype=DType.FLOAT32)
    return np.asarray(convert_outputs(found, graph.output, real), np.float32)
