# SPDX-License-Identifier: Apache-2.0
"""Pairs of a network and data where no data comes with the network: drawn inputs, and the network's
own answers to them as labels. Nothing is wrong with such a pair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from hil.checks import Order, Subject, samples_for
from hil.core.errors import HilError
from hil.core.records import DType, TensorSpec
from hil.reference import encode_inputs, host_interpreter
from hil.tflite import Graph, read_model

_DRAWN: Final = 900  # inputs, of which `_KEPT` are kept
_KEPT: Final = 300
_SHARE: Final = 0.1  # of the kept ones, at least, that do not have the most frequent answer
_MOST: Final = 64 * 64 * 3  # values of an input: larger ones take minutes
_PIXELS: Final = 1e-3  # how far the range of an input may be from 0..1

Floats = npt.NDArray[np.float32]


def drawn_pairs(folder: Path, below: str = "*") -> Iterator[Subject]:
    """A pair for each network in the folders ``below`` of ``folder`` whose answers to drawn inputs
    differ."""
    for file in sorted(folder.glob(f"{below}/*.tflite")):
        try:
            graph = read_model(file)
            if _usable(graph):
                found = _pair(file, graph)
                if found:
                    yield found
        except HilError:
            continue


def _usable(graph: Graph) -> bool:
    several = len(graph.inputs) > 1 or len(graph.outputs) > 1 or graph.stateful
    types = (DType.INT8, DType.UINT8, DType.FLOAT32)
    sides = [side for side in graph.output.shape if side > 1]
    batch = graph.input.shape[:1] == (1,)
    return (
        not several
        and batch
        and graph.input.dtype in types
        and len(sides) == 1
        and 16 <= graph.input.elements <= _MOST
    )


def _pair(file: Path, graph: Graph) -> Subject | None:
    x = _inputs(graph.input, np.random.default_rng(7))
    said = host_interpreter(file).predict(encode_inputs(x, graph.input)).argmax(axis=1)
    kept = _balanced(said, min(_KEPT, samples_for(graph)))
    labels = np.asarray(said[kept], np.int64)
    if np.bincount(labels).max() > (1 - _SHARE) * len(labels):
        return None
    return Subject(
        file.stem,
        file,
        graph,
        x[kept],
        labels,
        "" if x.dtype == np.uint8 else "as-is",
        order=Order(np.arange(len(kept)), labels),
    )


def _inputs(spec: TensorSpec, rng: np.random.Generator) -> npt.NDArray[np.generic]:
    """(n, ...) smooth fields with an edge, over the whole range of the input: pixels for 0..1."""
    shape = spec.shape[1:]
    unit = np.empty((_DRAWN, *shape), np.float32)
    for i in range(_DRAWN):
        noise = rng.standard_normal(shape)
        width = [rng.uniform(0.3, 3) if side > 4 else 0.0 for side in shape]
        field = gaussian_filter(noise, width)
        cut = rng.uniform(0, 1)
        field += rng.uniform(0, 2) * field.std() * (np.indices(shape)[0] > cut * shape[0])
        low, high = np.percentile(field, [1, 99])
        unit[i] = np.clip((field - low) / max(high - low, 1e-6), 0, 1) ** rng.uniform(0.5, 2)
    low, high = _range(spec)
    if abs(low) < _PIXELS and abs(high - 1) < 10 * _PIXELS:
        return np.asarray(np.rint(unit * 255), np.uint8)
    return np.asarray(low + (high - low) * unit, np.float32)


def _range(spec: TensorSpec) -> tuple[float, float]:
    if spec.dtype is DType.FLOAT32 or not spec.scale:
        return 0.0, 1.0
    limits = np.iinfo(spec.dtype.numpy.name)
    low, high = (spec.scale * (end - spec.zero_point) for end in (limits.min, limits.max))
    return low, high


def _balanced(said: npt.NDArray[np.generic], n: int) -> npt.NDArray[np.int64]:
    """Places of ``n`` answers, of each class in turn."""
    values = np.asarray(said, np.int64)
    rank = np.zeros(len(values), np.int64)
    for one in np.unique(values):
        places = np.flatnonzero(values == one)
        rank[places] = np.arange(len(places))
    return np.sort(np.argsort(rank, kind="stable")[:n])
