# SPDX-License-Identifier: Apache-2.0
"""Faults in good data: samples and labels changed in one known way, and data without a cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hil import datasets
from hil.checks import Order, Subject, samples_for
from hil.datasets import load_npz, made
from hil.reference import encode_inputs
from hil.tflite import read_model
from tests.support.benches import PROJECT

CASES = PROJECT / "tests" / "bench" / "data"
MODELS = PROJECT / "models"
UNEXPLAINED = ""  # no code: nothing to name

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

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
        whole = made.shapes("test") if name == "cifar10" else datasets.load(name, "test")
        for file in sorted((MODELS / name).glob("*.tflite")):
            graph = read_model(file)
            n = samples_for(graph)
            ordered = datasets.subset(whole, len(whole))
            for i in range(max(1, min(parts, len(whole) // n))):
                part = slice(i * n, (i + 1) * n)
                x, y = ordered.x[part], ordered.y[part]
                yield Subject(f"{name}/{file.stem}/{i}", file, graph, x, y, whole.input)
    yield from good_cases()


def good_cases() -> Iterator[Subject]:
    """The networks of tests/bench/data with the samples that fit them."""
    yield good("digits_int8", "digits")
    yield good("colour_int8", "colour")
    yield replace(good("one_sigmoid_int8", "binary"), threshold=0.5)
    for name in ("trained_on_0_255_int8", "rescaling_inside_float32"):
        of = good(name, "digits")
        yield _with(of, of.x.astype(np.float32))
    of = good("background_class_int8", "digits")
    yield replace(of, y=of.y + 1)


def faults(of: Subject, seed: int = 0) -> Iterator[Fault]:
    """Every fault that can be made in pixels (uint8) or real values."""
    yield from _of_labels(of, seed)
    yield from _of_rows(of)
    if of.x.dtype == np.uint8:
        yield from _of_pixels(of)
    if of.x.ndim == 4:
        yield from _of_places(of)


def _of_pixels(of: Subject) -> Iterator[Fault]:
    x = of.x
    plain = x.astype(np.float32)
    unit = plain / np.float32(255)
    ranges = ("input-range",)
    dark = np.asarray(plain * 0.2, np.uint8)  # standardised, they are as before
    yield Fault("a fifth of the contrast", replace(of, x=dark), ranges)
    yield Fault("inverted", replace(of, x=255 - x), ("input-inverted",))
    yield Fault("0..255 as numbers", _with(of, plain), ranges)
    yield Fault("-1..1", _with(of, plain / 127.5 - 1), ranges)
    yield Fault("-0.5..0.5", _with(of, unit - 0.5), ranges)
    yield Fault("0..4095", _with(of, unit * 4095), ranges)
    yield Fault("standardised", _with(of, (unit - unit.mean()) / unit.std()), ranges)
    yield Fault("uint8 cast to int8", _cast(of), ("input-cast",))
    codes_of = (*ranges, "input-cast", "input-codes")
    yield Fault("minus 128", _with(of, plain - 128), codes_of)
    yield Fault(
        "uint8 with the upper bit flipped",
        replace(of, x=np.bitwise_xor(x, np.uint8(128))),
        ("input-cast",),
    )
    spec = of.graph.input
    if spec.dtype.quantised and not np.isclose(spec.scale, 1):
        codes = encode_inputs(x, spec).astype(np.float32)
        yield Fault("quantised twice", _with(of, codes), ("input-codes", "input-cast", *ranges))
    if x.ndim == 4 and x.shape[3] == 3:
        torch = (unit - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        caffe = plain[..., ::-1] - [103.939, 116.779, 123.68]
        for kind, values in (("ImageNet, PyTorch", torch), ("ImageNet, Caffe", caffe)):
            named = ("input-imagenet", *ranges, "channels")
            yield Fault(kind, _with(of, values.astype(np.float32)), named)
        yield Fault("bytes of RGB565", replace(of, x=rgb565(x)), ("input-byte-order",))


def _of_places(of: Subject) -> Iterator[Fault]:
    x = of.x
    flipped = np.swapaxes(x, 1, 2)
    square = x.shape[1] == x.shape[2]
    turns = (
        ("mirrored", x[:, :, ::-1]),
        ("upside down", x[:, ::-1]),
        ("turned by 180", x[:, ::-1, ::-1]),
        *(
            (
                ("transposed", flipped),
                ("turned by 90", flipped[:, ::-1]),
                ("turned by 270", flipped[:, :, ::-1]),
            )
            if square
            else ()
        ),
    )
    for how, turned in turns:
        yield Fault(how, replace(of, x=np.ascontiguousarray(turned)), ("orientation",), how)
    layout = ("input-layout",)
    if not square:
        exchanged = np.ascontiguousarray(flipped).reshape(x.shape)
        yield Fault("axes exchanged in memory", replace(of, x=exchanged), layout)
    if x.shape[3] == 3:
        other = np.ascontiguousarray(x[..., ::-1])
        yield Fault("channels reversed", replace(of, x=other), ("channels",))
        planes = np.ascontiguousarray(x.transpose(0, 3, 1, 2)).reshape(x.shape)
        yield Fault("channels first in memory", replace(of, x=planes), layout)


def _of_rows(of: Subject) -> Iterator[Fault]:
    """Labels of the next row, and of the third row before."""
    for kind, step in (("labels of the next row", 1), ("labels of 3 rows before", -3)):
        rows = np.arange(len(of.y))
        y = np.roll(of.y, -step)
        yield Fault(kind, replace(of, y=y, order=Order(rows, y)), ("labels-rows",))


def pairs_of_faults(of: Subject) -> Iterator[Fault]:
    """Two faults at once. Where one of them is harmless, the other alone explains the answers."""
    n, x = of.classes, of.x
    shifted = (of.y + 1) % n
    order = np.random.default_rng(5).permutation(n)

    def fault(kind: str, subject: Subject, *parts: str) -> Fault:
        return Fault(kind, subject, ("two-causes", *parts))

    if x.dtype == np.uint8:
        plain = x.astype(np.float32)
        labels, values = "labels-shifted", "input-range"
        upside = replace(of, x=255 - x, y=shifted)
        yield fault("inverted, labels plus 1", upside, "input-inverted", labels)
        yield fault("0..255, labels plus 1", replace(_with(of, plain), y=shifted), values, labels)
        yield fault("inverted, -1..1", _with(of, 1 - plain / 127.5), "input-inverted", values)
        if x.ndim == 4 and x.shape[1] == x.shape[2]:
            turned = np.ascontiguousarray(x.swapaxes(1, 2))
            places = ("input-inverted", "orientation")
            yield fault("inverted, transposed", replace(of, x=255 - turned), *places)
            numbers = _with(of, turned.astype(np.float32))
            yield fault("0..255, transposed", numbers, values, "orientation")
        if x.ndim == 4 and x.shape[3] == 3:
            other = np.ascontiguousarray(x[..., ::-1]).astype(np.float32)
            yield fault("BGR, -1..1", _with(of, other / 127.5 - 1), "channels", values)
    if x.ndim == 4 and n > 3:
        down = replace(of, x=np.ascontiguousarray(x[:, ::-1]), y=order[of.y])
        yield fault("upside down, labels permuted", down, "orientation", "labels-permuted")


def rgb565(x: Array) -> Array:
    """Pictures that were packed as RGB565, whose bytes were exchanged, and that were unpacked."""
    red, green, blue = (x[..., i].astype(np.uint16) for i in range(3))
    packed = ((red >> 3) << 11 | (green >> 2) << 5 | blue >> 3).byteswap()
    parts = (packed >> 11) << 3, (packed >> 5 & 63) << 2, (packed & 31) << 3
    return np.stack(parts, axis=-1).astype(np.uint8)


def with_noise(of: Subject, share: float, seed: int = 0) -> Subject:
    """The same with a ``share`` of random labels: data of a harder task, still without a fault."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(of.y)) < share
    y = np.where(wrong, rng.integers(0, of.classes, len(of.y)), of.y)
    return replace(of, y=y, order=Order(np.arange(len(y)), y))


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
        plain = np.arange(n)
        while n > 3 and 1 in (len({*(order - plain) % n}), len({*(order + plain) % n})):
            order = rng.permutation(n)  # a shift is another fault
        if n == 3:
            order = np.array([1, 0, 2])
        yield Fault("labels permuted", replace(of, y=order[of.y]), ("labels-permuted",))
        yield Fault("labels reversed", replace(of, y=n - 1 - of.y), ("labels-reversed",))
        if n == 10:
            rank = np.argsort(np.argsort(WORDS))
            yield Fault(
                "labels by the alphabet", replace(of, y=rank[of.y]), ("labels-alphabetical",)
            )
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
