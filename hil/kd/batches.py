"""What a network trains on: digits in a fixed random order, moved by whole pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hil.kd.backend import require
from hil.kd.settings import Schedule
from hil.records import Dataset

_PREDICT = 1000  # samples at a time where nothing is learnt


def as_input(x: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """What a network sees: pixels / 255 in float32, as the firmware scales them."""
    if x.dtype == np.uint8:
        return x.astype(np.float32) / np.float32(255)
    return x.astype(np.float32, copy=False)


def views(x: npt.NDArray[np.generic], reach: int) -> npt.NDArray[np.generic]:
    """Every digit moved by up to ``reach`` pixels each way, paper moving in.

    Args:
        x: (n, height, width, 1).

    Returns:
        (n, 2 reach + 1, 2 reach + 1, height, width), without a copy.
    """
    padded = np.pad(x[..., 0], ((0, 0), (reach, reach), (reach, reach)))
    return np.lib.stride_tricks.sliding_window_view(padded, x.shape[1:3], axis=(1, 2))


def logits(network: Any, x: npt.NDArray[np.generic], reach: int = 0) -> npt.NDArray[np.float32]:
    """What a network says of each of the ``views``: (n, 2 reach + 1, 2 reach + 1, classes).

    A teacher does not change while it teaches: asked once for each view, it need not run
    in every step.
    """
    moved = views(x, reach)
    side = 2 * reach + 1
    return np.stack(
        [
            np.stack([_predict(network, moved[:, down, right]) for right in range(side)], axis=1)
            for down in range(side)
        ],
        axis=1,
    )


def _predict(network: Any, pictures: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    inputs = as_input(pictures[..., None])
    return np.asarray(network.predict(inputs, batch_size=_PREDICT, verbose=0), np.float32)


def shifted(
    train: Dataset, schedule: Schedule, taught: npt.NDArray[np.float32] | None = None
) -> Any:
    """A ``keras.utils.PyDataset`` of (pixels / 255, labels), each digit moved at random.

    Order and moves follow from the seed and the epoch alone. The last, partial batch of
    an epoch is dropped; which digits that hits changes from epoch to epoch.

    Args:
        train: (n, height, width, 1) uint8 pixels and labels.
        schedule: shift, batch and seed.
        taught: a teacher's ``logits`` of every view; the inputs then are a dict of
            ``image`` and ``logits``.
    """
    keras, _ = require()
    moved = views(train.x, schedule.shift)
    labels = train.y.astype(np.int32)
    size = min(schedule.batch, len(train))

    class Shifted(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.epoch = 0
            self.shuffle()

        def shuffle(self) -> None:
            random = np.random.default_rng((schedule.seed, self.epoch))
            self.order = random.permutation(len(labels))
            self.moves = random.integers(0, 2 * schedule.shift + 1, (len(labels), 2))

        def __len__(self) -> int:
            return len(labels) // size

        def __getitem__(self, index: int) -> tuple[Any, Any]:
            rows = self.order[index * size : (index + 1) * size]
            down, right = self.moves[rows].T
            image = as_input(moved[rows, down, right][..., None])
            if taught is None:
                return image, labels[rows]
            return {"image": image, "logits": taught[rows, down, right]}, labels[rows]

        def on_epoch_end(self) -> None:
            self.epoch += 1
            self.shuffle()

    return Shifted()
