"""What a network trains on: samples in a fixed random order, pictures moved by whole pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hil.kd.backend import require
from hil.kd.warps import Warp, warped
from hil.records import Dataset

Floats = npt.NDArray[np.float32]
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
    y: npt.NDArray[np.int64], class_weight: tuple[float, ...] | str, own: Floats | None = None
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
