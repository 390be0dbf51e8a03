# SPDX-License-Identifier: Apache-2.0
"""What a network trains on: samples in a fixed random order, pictures moved or warped.

A *view* is one moved or warped copy of a picture. Views are kept as (n, rows, columns, ...): each
sample has rows x columns of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from hil.core import files
from hil.core.files import Config
from hil.core.records import Dataset
from hil_train.backend import require

Array: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float32]
Pictures: TypeAlias = npt.NDArray[np.uint8]
Views: TypeAlias = npt.NDArray[Any]  # (n, rows, columns, ...)

_CHUNK: Final = 2000  # pictures at a time, so that their intermediate values fit the cache
_BORDER: Final = 2  # empty pixels around a picture; places farther out take the value of these
_BLEND: Final = 0.6  # standard deviation of a grid point's Gaussian, in grid steps


class Warp(Config, frozen=True):
    """The largest change in each direction, and how many views a sample gets.

    ``turn`` is in degrees, ``shift`` in pixels, ``zoom`` and ``shear`` are shares; ``bend`` is the
    standard deviation, in pixels, of the displacements on a grid of ``grid`` x ``grid`` points.
    ``views``: fixed views per sample, the first of which is the sample itself. They are the same in
    every training, so that a teacher's answers can be kept. 0: a new view of each sample in every
    epoch.
    """

    shift: Annotated[float, msgspec.Meta(ge=0, le=8)] = 1.0
    turn: Annotated[float, msgspec.Meta(ge=0, le=90)] = 8.0
    zoom: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.08
    shear: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.08
    bend: Annotated[float, msgspec.Meta(ge=0, le=8)] = 0.7
    grid: Annotated[int, msgspec.Meta(ge=2, le=28)] = 6
    views: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 24


def fixed_views(x: Pictures, warp: Warp) -> Pictures:
    """(n, ``warp.views``, 1, height, width, 1): the views of every picture, itself the first."""
    made = np.empty((len(x), warp.views, 1, *x.shape[1:]), np.uint8)
    made[:, 0, 0] = x
    for view in range(1, warp.views):
        made[:, view, 0] = warped(x, warp, view)
    return made


def warped(x: Pictures, warp: Warp, seed: int) -> Pictures:
    """One view of every picture; the same arguments give the same bytes.

    Args:
        x: (n, height, width, 1).
        warp: the largest changes.
        seed: of this view.

    Returns:
        (n, height, width, 1).
    """
    out = np.empty_like(x)
    for start in range(0, len(x), _CHUNK):
        random = np.random.default_rng((seed, start))
        part = x[start : start + _CHUNK, ..., 0]
        down, right = _sampling_points(random, len(part), x.shape[1], x.shape[2], warp)
        out[start : start + _CHUNK, ..., 0] = np.rint(_interpolated(part, down, right))
    return out


def _sampling_points(
    random: np.random.Generator, n: int, height: int, width: int, warp: Warp
) -> tuple[Floats, Floats]:
    """Rows and columns, (n, height, width), that each pixel of a view is taken from."""

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


def _interpolated(x: Pictures, down: Floats, right: Floats) -> Floats:
    """Values of (n, height, width) pictures at these rows and columns: bilinear interpolation."""
    edge = _BORDER
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
    """Whole and fractional parts of places, clipped to 0..size - 1."""
    # at most size - 2, because the next pixel is read, too
    inside = np.clip(place, 0, np.float32(size - 1.001))
    whole = inside.astype(np.int64)
    return whole, (inside - whole).astype(np.float32)


def as_input(x: npt.NDArray[np.generic]) -> Floats:
    """Samples as a network takes them: pixels / 255 in float32, as in the firmware."""
    if x.dtype == np.uint8:
        return x.astype(np.float32) / np.float32(255)
    return x.astype(np.float32, copy=False)


def moved_views(x: npt.NDArray[np.generic], reach: int) -> Views:
    """Every sample, moved by up to ``reach`` pixels in each direction, with zeros at the edges.

    Args:
        x: (n, height, width, channels); any shape if ``reach`` is 0.

    Returns:
        (n, 2 reach + 1, 2 reach + 1, ...), without a copy of each view.
    """
    if not reach:
        return x[:, None, None]
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    moved = np.lib.stride_tricks.sliding_window_view(padded, x.shape[1:3], axis=(1, 2))
    return np.moveaxis(moved, 3, -1)


def sample_weights(
    y: npt.NDArray[np.int64],
    class_weight: tuple[float, ...] | str,
    own: Floats | None = None,
) -> Floats | None:
    """A factor on each sample's loss: that of its class times its own; None if all are 1.

    Args:
        y: (n,) labels, with every class among them.
        class_weight: one factor per class, ``balanced`` (n / (classes * members of the class), as
            in scikit-learn), or empty.
        own: (n,) factors of the samples.
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
    views: Views | None = None,
    fresh: Warp | None = None,
) -> Any:
    """A ``keras.utils.PyDataset`` of (inputs, labels) or (inputs, labels, weights).

    Order and views depend on the seed and the epoch only. The last, incomplete batch of an epoch
    is dropped; it has other samples in each epoch.

    Args:
        train: samples and labels.
        batch: samples per step; all of them if there are fewer.
        shift: pixels that pictures move at most.
        seed: of order and views.
        weight: (n,) factors on each sample's loss.
        answers: (n, rows, columns, width), a teacher's answers to every view; inputs are then a
            dict of ``sample`` and ``answer``.
        views: (n, rows, columns, ...) to choose from, instead of moved pictures.
        fresh: make a new warped view of every sample in each epoch, instead of moving it.
    """
    keras, _ = require()
    fixed = moved_views(train.x, shift) if views is None else views
    sides = fixed.shape[1:3]
    labels = train.y.astype(np.int32)
    size = min(batch, len(train))

    # Keras is imported when it is needed, so its classes have no type here
    class Batches(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.epoch = 0
            self.shuffle()

        def shuffle(self) -> None:
            random = np.random.default_rng((seed, self.epoch))
            self.order = random.permutation(len(labels))
            # square grids get any place, single columns any row
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


def cached(
    path: Path | None, shape: tuple[int, ...], dtype: str, make: Callable[[], Array]
) -> Array:
    """The array in ``path``, or the one that ``make`` returns, which is then stored there.

    Args:
        path: an .npy file with a name that depends on all inputs of the array; None: no caching.
        shape: its first dimensions; a file with others, or a damaged file, is replaced.
        dtype: the name of its type.
        make: computes it.

    Raises:
        StorageError: ``path`` cannot be written.
    """
    if path is None:
        return make()
    found = _read(path, shape, dtype)
    if found is not None:
        return found
    with files.locked(path.with_suffix(".lock")):
        found = _read(path, shape, dtype)  # another process may have stored it in the meantime
        if found is not None:
            return found
        made = make()
        with files.replacing(path) as part:
            np.save(part, made, allow_pickle=False)
    # mapped, as later processes get it: they share its memory
    found = _read(path, shape, dtype)
    return made if found is None else found


def _read(path: Path, shape: tuple[int, ...], dtype: str) -> Array | None:
    try:
        # mapped, because such an array may take more than a GB
        found: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape[: len(shape)] == shape and found.dtype == dtype else None
