# SPDX-License-Identifier: Apache-2.0
"""Small float32 networks that are right by construction, with drawn data: for shapes and ranges of
which no data is here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from hil.checks import Order, Subject
from hil.tflite import read_model
from tests.support.tflite import RELU6, Net

Floats: TypeAlias = npt.NDArray[np.float32]
Prepare: TypeAlias = Callable[[Floats], Floats]  # values from 0 to 1 -> what a network takes

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
BGR = np.array([103.939, 116.779, 123.68], np.float32)


def plain(unit: Floats) -> Floats:
    return unit


def torch(unit: Floats) -> Floats:
    """`torchvision.transforms.Normalize` with ImageNet's figures."""
    return (unit - MEAN) / STD


def caffe(unit: Floats) -> Floats:
    """`preprocess_input` of Keras, mode "caffe"."""
    return 255 * unit[..., ::-1] - BGR


def scaled(low: float, high: float) -> Prepare:
    """From ``low`` to ``high``."""
    return lambda unit: np.asarray(low + (high - low) * unit, np.float32)


def drawn(
    shape: tuple[int, ...], classes: int, n: int, seed: int = 0, *, contrast: bool = True
) -> tuple[Floats, Floats]:
    """Templates (classes, *shape) from 0 to 1, and n samples of each in turn with noise.

    Their mean is not that of the range, and the middle of three channels is nearly empty: it stays
    where it is when the channels are reversed. With ``contrast``, every second template is the one
    before with less contrast, so that scale and offset matter.
    """
    rng = np.random.default_rng(seed)
    width = [min(1.0, side / 16) for side in shape]
    fields = np.stack([gaussian_filter(rng.standard_normal(shape), width) for _ in range(classes)])
    low, high = fields.min(), fields.max()
    templates = np.asarray(0.95 * ((fields - low) / (high - low)) ** 2, np.float32)
    if shape[-1] in (3, 6):
        templates[..., 1::3] *= 0.1
    if contrast:
        templates[1::2] = 0.4 * templates[: classes // 2 * 2 : 2] + 0.05
    chosen = templates[np.arange(n) % classes]
    noise = rng.normal(0, 0.03, chosen.shape)
    return templates, np.asarray(np.clip(chosen + noise, 0, 1), np.float32)


def classifier(
    folder: Path,
    shape: tuple[int, ...],
    trained: Prepare = plain,
    given: Prepare | None = None,
    *,
    classes: int = 4,
    n: int = 160,
    flat: bool = False,
    contrast: bool = True,
    seed: int = 0,
) -> Subject:
    """The network that answers with the nearest template, and samples of the templates.

    ``trained``: how its samples are prepared; ``given``: how those of the data are, None: as pixels
    of uint8. ``flat``: the network takes a row.
    """
    templates, unit = drawn(shape, classes, n, seed, contrast=contrast)
    goal = trained(templates).reshape(classes, -1)
    weights = np.asarray(2 * goal / goal.shape[1], np.float32)
    bias = np.asarray(-(goal**2).sum(axis=1) / goal.shape[1], np.float32)
    size = goal.shape[1]
    net = Net().input((1, size) if flat else (1, *shape))
    if not flat:
        net.reshape((1, size))
    file = folder / f"nearest_{'x'.join(map(str, shape))}_{seed}.tflite"
    file.write_bytes(net.dense(weights, bias).finish())
    y = rows_of(n, classes)
    order = np.random.default_rng(seed + 1).permutation(n)  # labels in turn would hide a shift
    x = np.asarray(np.rint(unit * 255), np.uint8) if given is None else given(unit)
    labels = np.asarray(y[order], np.int64)
    return Subject(
        file.stem,
        file,
        read_model(file),
        np.ascontiguousarray(x[order]),
        labels,
        "" if given is None else "as-is",
        order=Order(np.arange(n), labels),
    )


def rows_of(n: int, classes: int) -> npt.NDArray[np.int64]:
    """(n,) labels of `drawn`."""
    return np.arange(n) % classes


def regression(folder: Path, n: int = 200, inputs: int = 3, outputs: int = 2) -> Subject:
    """A linear network, and targets with noise that it meets."""
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(outputs, inputs)).astype(np.float32)
    bias = rng.normal(size=outputs).astype(np.float32)
    file = folder / "linear.tflite"
    file.write_bytes(Net().input((1, inputs)).dense(weights, bias).finish())
    x = rng.uniform(-3, 3, (n, inputs)).astype(np.float32)
    targets = np.asarray(x @ weights.T + bias + rng.normal(0, 0.1, (n, outputs)), np.float32)
    none = np.full(n, -1, np.int64)
    order = Order(np.arange(n), targets)
    return Subject("linear", file, read_model(file), x, none, "as-is", order=order, targets=targets)


def autoencoder(folder: Path, size: int = 64, n: int = 160) -> Subject:
    """A network that projects on four directions, and samples of these with noise, from 0 to 1."""
    templates, unit = drawn((size,), 4, n)
    mean = templates.mean(axis=0)
    basis = np.linalg.svd(templates - mean, full_matrices=False)[2][:3]
    weights = np.asarray(basis.T @ basis, np.float32)
    bias = np.asarray(mean - weights @ mean, np.float32)
    file = folder / "autoencoder.tflite"
    file.write_bytes(Net().input((1, size)).dense(weights, bias, act=RELU6).finish())
    none = np.full(n, -1, np.int64)
    return Subject("autoencoder", file, read_model(file), unit, none, "as-is", rebuilds=True)
