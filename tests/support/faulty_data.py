# SPDX-License-Identifier: Apache-2.0
"""Faults in good data: samples and labels changed in one known way, and data without a cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hil import datasets
from hil.checks import Subject, samples_for
from hil.datasets import load_npz
from hil.tflite import read_model
from tests.support.benches import PROJECT

CASES = PROJECT / "tests" / "bench" / "data"
MODELS = PROJECT / "models"
UNEXPLAINED = ""  # no code: nothing to name

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Fault:
    """A kind of fault, the data with it, and which codes name it."""

    kind: str
    subject: Subject
    codes: tuple[str, ...]
    how: str = ""  # in the finding's text

    @property
    def seeded(self) -> bool:
        """Whether another seed makes other data."""
        return "permuted" in self.kind or "shuffled" in self.kind


def good(network: str, data: str) -> Subject:
    """A network of tests/bench/data and samples there."""
    file = CASES / f"{network}.tflite"
    graph, found = read_model(file), load_npz(CASES / f"{data}.npz")
    some = datasets.subset(found, samples_for(graph))
    return Subject(network, file, graph, some.x, some.y, some.input)


def pairs(*names: str, parts: int = 1) -> Iterator[Subject]:
    """This project's networks on their test sets, and those of tests/bench/data.

    ``parts``: of a test set, at most, each of which makes a pair.
    """
    for name in names:
        whole = datasets.load(name, "test")
        for file in sorted((MODELS / name).glob("*.tflite")):
            graph = read_model(file)
            n = samples_for(graph)
            ordered = datasets.subset(whole, len(whole))
            for i in range(max(1, min(parts, len(whole) // n))):
                part = slice(i * n, (i + 1) * n)
                x, y = ordered.x[part], ordered.y[part]
                yield Subject(f"{name}/{file.stem}/{i}", file, graph, x, y, whole.input)
    yield good("digits_int8", "digits")
    yield good("colour_int8", "colour")


def faults(of: Subject, seed: int = 0) -> Iterator[Fault]:
    """Every fault that can be made in pixels (uint8) or real values."""
    yield from _of_labels(of, seed)
    x = of.x
    if x.dtype == np.uint8:
        dark = np.asarray(x.astype(np.float32) * 0.2, np.uint8)  # standardised, they are as before
        yield Fault("a fifth of the contrast", replace(of, x=dark), ("input-range",))
        yield Fault("inverted", replace(of, x=255 - x), ("input-inverted",))
        yield Fault("0..255 as numbers", _with(of, x.astype(np.float32)), ("input-range",))
        yield Fault("-1..1", _with(of, x.astype(np.float32) / 127.5 - 1), ("input-range",))
        yield Fault("uint8 cast to int8", _cast(of), ("input-cast",))
    if x.ndim == 4:
        flipped = np.swapaxes(x, 1, 2)
        for how, turned in (
            ("mirrored", x[:, :, ::-1]),
            ("upside down", x[:, ::-1]),
            ("turned by 180", x[:, ::-1, ::-1]),
            ("transposed", flipped),
            ("turned by 90", flipped[:, ::-1]),
            ("turned by 270", flipped[:, :, ::-1]),
        ):
            yield Fault(how, replace(of, x=np.ascontiguousarray(turned)), ("orientation",), how)
        if x.shape[3] == 3:
            other = np.ascontiguousarray(x[..., ::-1])
            yield Fault("channels reversed", replace(of, x=other), ("channels",))


def unexplained(of: Subject, seed: int = 0) -> Iterator[Fault]:
    """Data that no change of the list explains."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(of.y)
    yield Fault("labels shuffled", replace(of, y=y), (UNEXPLAINED,))
    half = np.where(np.arange(len(y)) % 2 == 0, y, of.y)
    yield Fault("half of the labels shuffled", replace(of, y=half), (UNEXPLAINED,))
    noise = rng.permutation(of.x.reshape(-1)).reshape(of.x.shape)
    yield Fault("values shuffled", replace(of, x=noise), (UNEXPLAINED,))
    if of.x.ndim == 4:
        order = rng.permutation(of.x.shape[1])
        yield Fault("rows shuffled", replace(of, x=of.x[:, order]), (UNEXPLAINED,))
        moved = np.roll(of.x, of.x.shape[2] // 4, axis=2)
        yield Fault("moved by a quarter", replace(of, x=moved), (UNEXPLAINED,))


def _of_labels(of: Subject, seed: int) -> Iterator[Fault]:
    n = of.classes
    shifted = ("labels-shifted",)
    yield Fault("labels plus 1", replace(of, y=(of.y + 1) % n), shifted)
    if n > 2:
        yield Fault("labels minus 1", replace(of, y=(of.y - 1) % n), shifted)
        rng = np.random.default_rng(seed)
        order = rng.permutation(n)
        while n > 3 and len({*(order - np.arange(n)) % n}) == 1:  # a shift is another fault
            order = rng.permutation(n)
        if n == 3:
            order = np.array([1, 0, 2])
        yield Fault("labels permuted", replace(of, y=order[of.y]), ("labels-permuted",))
        order = np.arange(n)
        order[[0, n - 1]] = n - 1, 0
        swapped = ("labels-permuted", "labels-reversed")
        yield Fault("two labels swapped", replace(of, y=order[of.y]), swapped)


def _with(of: Subject, x: Array) -> Subject:
    return replace(of, x=x, rule="as-is")


def _cast(of: Subject) -> Subject:
    x = of.x.astype(np.int8)
    own = of.graph.input.dtype.numpy == x.dtype
    return _with(of, x if own else x.astype(np.float32))
