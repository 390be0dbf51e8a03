# SPDX-License-Identifier: Apache-2.0
"""What a network trains on: samples in a fixed random order, pictures moved by whole pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from hil.core import files
from hil.core.files import Config
from hil.core.records import Dataset
from hil_train.backend import require

Floats = npt.NDArray[np.float32]
Pictures = npt.NDArray[np.uint8]

_CHUNK = 2000  # pictures at a time: what is computed for them stays near the cache
_PAPER = 2  # pixels put around a picture: what lies farther out is nearer to them than to ink
_BLEND = 0.6  # width of a grid point's Gaussian, in grid steps


class Warp(Config, frozen=True):
    """The greatest change each way, and how many views a sample gets.

    ``turn`` in degrees, ``shift`` in pixels, ``zoom`` and ``shear`` as shares; ``bend`` is the
    standard deviation, in pixels, of the steps on a grid of ``grid`` x ``grid`` points.
    ``views``: each sample has so many, itself the first, the same in every training, so that a
    teacher's answers can be kept; 0: a new view of each sample every epoch.
    """

    shift: Annotated[float, msgspec.Meta(ge=0, le=8)] = 1.0
    turn: Annotated[float, msgspec.Meta(ge=0, le=90)] = 8.0
    zoom: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.08
    shear: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.08
    bend: Annotated[float, msgspec.Meta(ge=0, le=8)] = 0.7
    grid: Annotated[int, msgspec.Meta(ge=2, le=28)] = 6
    views: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 24


def fixed(x: Pictures, warp: Warp) -> Pictures:
    """The views of every picture: (n, ``warp.views``, 1, height, width, 1), itself the first."""
    made = np.empty((len(x), warp.views, 1, *x.shape[1:]), np.uint8)
    made[:, 0, 0] = x
    for view in range(1, warp.views):
        made[:, view, 0] = warped(x, warp, view)
    return made


def warped(x: Pictures, warp: Warp, seed: int) -> Pictures:
    """One view of every picture; the same arguments give the same bytes.

    Args:
        x: (n, height, width, 1).
        seed: of this view.

    Returns:
        (n, height, width, 1).
    """
    out = np.empty_like(x)
    for start in range(0, len(x), _CHUNK):
        random = np.random.default_rng((seed, start))
        part = x[start : start + _CHUNK, ..., 0]
        down, right = _sources(random, len(part), x.shape[1], x.shape[2], warp)
        out[start : start + _CHUNK, ..., 0] = np.rint(_between(part, down, right))
    return out


def _sources(
    random: np.random.Generator, n: int, height: int, width: int, warp: Warp
) -> tuple[Floats, Floats]:
    """Where in its picture each pixel of a view is taken from: two of (n, height, width)."""

    def up_to(limit: float) -> Floats:
        return random.uniform(-limit, limit, (n, 1, 1)).astype(np.float32)

    turn, shear = np.deg2rad(up_to(warp.turn)), up_to(warp.shear)
    wide, high = np.exp(up_to(warp.zoom)), np.exp(up_to(warp.zoom))
    middle = (height - 1) / 2, (width - 1) / 2
    i = np.arange(height, dtype=np.float32)[:, None] - np.float32(middle[0])
    j = np.arange(width, dtype=np.float32)[None, :] - np.float32(middle[1])
    down = np.cos(turn) * high * i + (shear - np.sin(turn) * wide) * j
    right = np.sin(turn) * high * i + np.cos(turn) * wide * j
    down += up_to(warp.shift) + np.float32(middle[0])
    right += up_to(warp.shift) + np.float32(middle[1])
    if warp.bend:
        steps = random.normal(0, warp.bend, (2, n, warp.grid, warp.grid)).astype(np.float32)
        bent = _blend(height, warp.grid) @ steps @ _blend(width, warp.grid).T
        down += bent[0]
        right += bent[1]
    return down, right


def _blend(size: int, grid: int) -> Floats:
    """(size, grid): the share of each grid point in a pixel's displacement."""
    step = (size - 1) / (grid - 1)
    distance = (np.arange(size)[:, None] - np.linspace(0, size - 1, grid)) / step
    share = np.exp(-0.5 * (distance / _BLEND) ** 2)
    normalised: Floats = (share / share.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


def _between(x: Pictures, down: Floats, right: Floats) -> Floats:
    """Bilinear values of (n, height, width) pictures at these places."""
    edge = _PAPER
    padded = np.pad(x, ((0, 0), (edge, edge), (edge, edge))).astype(np.float32)
    n, height, width = padded.shape
    i, down = _split(down + np.float32(edge), height)
    j, right = _split(right + np.float32(edge), width)
    at = (np.arange(n)[:, None, None] * height + i) * width + j
    flat = padded.ravel()
    upper = flat[at] + right * (flat[at + 1] - flat[at])
    at += width
    lower = flat[at] + right * (flat[at + 1] - flat[at])
    value: Floats = upper + down * (lower - upper)
    return value


def _split(place: Floats, size: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Whole and rest of places, kept within 0 and size - 1."""
    # the last whole place is size - 2: its neighbour is read as well
    inside = np.clip(place, 0, np.float32(size - 1.001))
    whole = inside.astype(np.int64)
    return whole, (inside - whole).astype(np.float32)


Views = npt.NDArray[Any]  # (n, rows, columns, ...): of each sample, rows x columns views


def as_input(x: npt.NDArray[np.generic]) -> Floats:
    """What a network sees: pixels / 255 in float32, as the firmware scales them."""
    if x.dtype == np.uint8:
        return x.astype(np.float32) / np.float32(255)
    return x.astype(np.float32, copy=False)


def views(x: npt.NDArray[np.generic], reach: int) -> npt.NDArray[np.generic]:
    """Every sample; pictures moved by up to ``reach`` pixels each way, zeros moving in.

    Args:
        x: (n, height, width, channels); of any shape where ``reach`` is 0.

    Returns:
        (n, 2 reach + 1, 2 reach + 1, ...), without a copy of each view.
    """
    if not reach:
        return x[:, None, None]
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    moved = np.lib.stride_tricks.sliding_window_view(padded, x.shape[1:3], axis=(1, 2))
    return np.moveaxis(moved, 3, -1)


def weights(
    y: npt.NDArray[np.int64],
    class_weight: tuple[float, ...] | str,
    own: Floats | None = None,
) -> Floats | None:
    """A factor a sample on its loss: its class's times its own; None where all are 1.

    Args:
        y: (n,) labels, every class among them.
        class_weight: one factor a class, ``balanced`` (n / (classes * members of the
            class), as scikit-learn has it), or nothing.
        own: (n,) of each sample.
    """
    if not class_weight:
        return own
    factors = np.asarray(class_weight if isinstance(class_weight, tuple) else (), np.float32)
    if class_weight == "balanced":
        members = np.bincount(y)
        factors = (len(y) / (len(members) * members)).astype(np.float32)
    by_class: Floats = factors[y]
    return by_class if own is None else by_class * own


def batches(
    train: Dataset,
    *,
    batch: int,
    shift: int,
    seed: int,
    weight: Floats | None = None,
    answers: Floats | None = None,
    shown: Views | None = None,
    fresh: Warp | None = None,
) -> Any:
    """A ``keras.utils.PyDataset`` of (inputs, labels) or (inputs, labels, weights).

    Order and moves follow from the seed and the epoch alone. The last, partial batch of
    an epoch is dropped; which samples that hits changes from epoch to epoch.

    Args:
        train: samples and labels.
        batch: samples a step; all of them where there are fewer.
        shift: pixels that pictures move at most.
        seed: of order and moves.
        weight: (n,) factors on each sample's loss.
        answers: (n, 2 shift + 1, 2 shift + 1, width), a teacher's of every view; the
            inputs then are a dict of ``sample`` and ``answer``.
        shown: (n, rows, columns, ...) views to choose from instead of moved ones; the
            answers are of these, then.
        fresh: warps every sample anew in each epoch, instead of moving it.
    """
    keras, _ = require()
    fixed = views(train.x, shift) if shown is None else shown
    sides = fixed.shape[1:3]
    labels = train.y.astype(np.int32)
    size = min(batch, len(train))

    class Batches(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.epoch = 0
            self.shuffle()

        def shuffle(self) -> None:
            random = np.random.default_rng((seed, self.epoch))
            self.order = random.permutation(len(labels))
            # of a square any place, of one column any row
            self.moves = random.integers(0, max(sides), (len(labels), 2)) % sides
            self.views = fixed
            if fresh is not None:
                view = warped(np.asarray(train.x, np.uint8), fresh, int(random.integers(2**62)))
                self.views = view[:, None, None]

        def __len__(self) -> int:
            return len(labels) // size

        def __getitem__(self, index: int) -> tuple[Any, ...]:
            rows = self.order[index * size : (index + 1) * size]
            down, right = self.moves[rows].T
            inputs: Any = as_input(self.views[rows, down, right])
            if answers is not None:
                inputs = {"sample": inputs, "answer": np.asarray(answers[rows, down, right])}
            if weight is None:
                return inputs, labels[rows]
            return inputs, labels[rows], weight[rows]

        def on_epoch_end(self) -> None:
            self.epoch += 1
            self.shuffle()

    return Batches()


Array = npt.NDArray[Any]


def kept(path: Path | None, shape: tuple[int, ...], dtype: str, make: Callable[[], Array]) -> Array:
    """What ``path`` holds, or what ``make`` gives, which is then stored there.

    Args:
        path: an .npy file whose name tells all that it depends on; None keeps nothing.
        shape: its first dimensions; a file of other ones, or damaged, is not taken.
        dtype: the name of its type.
        make: makes it.

    Raises:
        StorageError: ``path`` cannot be written.
    """
    if path is None:
        return make()
    found = _read(path, shape, dtype)
    if found is not None:
        return found
    with files.locked(path.with_suffix(".lock")):
        found = _read(path, shape, dtype)  # made while this process waited
        if found is not None:
            return found
        made = make()
        with files.replacing(path) as part:
            np.save(part, made, allow_pickle=False)
    # as the next ones have it: processes share the memory of a mapped file
    found = _read(path, shape, dtype)
    return made if found is None else found


def _read(path: Path, shape: tuple[int, ...], dtype: str) -> Array | None:
    try:
        # mapped: such an array may be more than a GB
        found: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape[: len(shape)] == shape and found.dtype == dtype else None
