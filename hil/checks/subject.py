# SPDX-License-Identifier: Apache-2.0
"""What is checked: a network with samples and labels or targets, or answers and labels alone; and
which of its answers are right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.checks.inputs import Array, Floats, reals_for
from hil.checks.labels import Order
from hil.reference import encode_inputs, host_interpreter
from hil.stats.metrics import dequantised
from hil.tflite import Graph

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Answers: TypeAlias = npt.NDArray[np.generic]  # (n,) classes, or (n, k) real numbers

SAMPLES: Final = 500  # at most
NEAR: Final = 0.3  # standard deviations of the targets: outputs that close to them are right
REBUILT: Final = 0.5  # share of the samples' variance: a smaller error is right
_LEAST: Final = 64  # samples of a large network
_WORK: Final = 300_000_000  # multiply-accumulates for one change of all samples
_MOST_VALUES: Final = 2_000_000  # of all samples


@dataclass(frozen=True, slots=True)
class Subject:
    """A network with one input and one output, and samples ``x``.

    ``name``: of the network, in texts. ``y``: (n,) labels. ``rule``: of --input. ``threshold``: the
    real value from which on a single output is class 1; None if the largest output is the class.
    ``names``: of the classes. ``order``: of the samples in their file, if that is known.
    ``targets``: (n, k) of a regression, in place of labels. ``rebuilds``: the outputs should be the
    inputs, as of an autoencoder.
    """

    name: str
    file: Path
    graph: Graph
    x: Array
    y: Ints
    rule: str = ""
    threshold: float | None = None
    names: tuple[str, ...] = ()
    order: Order | None = None
    targets: Floats | None = None
    rebuilds: bool = False

    @property
    def classes(self) -> int:
        return 2 if self.threshold is not None else self.graph.output.elements

    @property
    def has_classes(self) -> bool:
        return self.targets is None and not self.rebuilds


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers ``said`` to samples with labels ``y``, of ``classes`` in all, which may have
    ``names``; ``name``: of the run. ``outputs``: (n, classes) they were chosen from, if known."""

    name: str
    said: Ints
    y: Ints
    classes: int
    names: tuple[str, ...] = ()
    order: Order | None = None
    outputs: Array | None = None

    @property
    def right(self) -> Bools:
        return np.asarray(self.said == self.y)


def samples_for(graph: Graph) -> int:
    """How many samples to try a network with, so that all changes take two seconds or less."""
    by_work = max(_LEAST, _WORK // max(1, graph.macs))
    by_size = max(_LEAST, _MOST_VALUES // graph.input.elements)
    return min(SAMPLES, by_work, by_size)


class Judge:
    """The network of a `Subject` on the host, and what is right of its answers. ``fast``: with
    LiteRT's default kernels.

    Raises ModelError if the host cannot run it; its methods, DataError for samples that do not fit.
    """

    def __init__(self, of: Subject) -> None:
        self._of = of
        self._host = host_interpreter(of.file)
        self.fast = self._host.name == "litert-xnnpack"

    def values(self, x: Array) -> Array:
        """Samples as values of the input."""
        return encode_inputs(x, self._of.graph.input)

    def outputs(self, values: Array) -> Array:
        """(n, elements) of the output's type."""
        return self._host.predict(values)

    def answers(self, outputs: Array) -> Answers:
        """What ``outputs`` say."""
        output = self._of.graph.output
        if self._of.has_classes and self._of.threshold is None:
            return np.asarray(outputs.argmax(axis=1), np.int64)
        real = dequantised(outputs, output.scale or 1.0, output.zero_point)
        if self._of.threshold is None:
            return real
        return np.asarray(real[:, 0] >= self._of.threshold, np.int64)

    def right(self, answers: Answers, wanted: Answers) -> Bools:
        """(n,) whether ``answers`` are as ``wanted``: equal classes, or near numbers."""
        if self._of.has_classes:
            return np.asarray(answers == wanted)
        return (rebuilt if self._of.rebuilds else near)(answers, wanted)

    def wanted(self, x: Array, places: slice) -> Answers:
        """The right answers to ``x``, the samples at ``places`` with other values."""
        if self._of.rebuilds:
            return reals_for(x, self._of.graph.input).reshape(len(x), -1)
        return (self._of.y if self._of.targets is None else self._of.targets)[places]


def near(outputs: Answers, targets: Answers) -> Bools:
    """(n,) whether the outputs of a sample are `NEAR` their targets, on average."""
    goal = np.asarray(targets, np.float64)
    scale = np.maximum(goal.std(axis=0), 1e-12)
    away = (np.asarray(outputs, np.float64) - goal) / scale
    return np.asarray((away**2).mean(axis=1) <= NEAR**2)


def rebuilt(outputs: Answers, inputs: Answers) -> Bools:
    """(n,) whether a sample's error is less than `REBUILT` of the variance of all samples."""
    goal = np.asarray(inputs, np.float64)
    error = ((np.asarray(outputs, np.float64) - goal) ** 2).mean(axis=1)
    return np.asarray(error < REBUILT * max(float(goal.var()), 1e-12))
