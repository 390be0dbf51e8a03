"""A teacher's answers: asked once for each sample and each view of it, and kept on disk.

A teacher does not change while it teaches, so it need not run in every step, nor in the next
training, nor in a sweep's next trial.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from hil import files
from hil.kd.backend import known_warnings, require
from hil.kd.batches import Floats, as_input, views
from hil.records import Dataset

_PREDICT = 1000  # samples at a time where nothing is learnt
FORMAT = b"hil-answers-1"


@known_warnings()
def ask(network: Any, x: Any, reach: int = 0, layer: str = "") -> Floats:
    """What a network says of each of the ``views``, without a cache.

    Args:
        network: one input, one output.
        x: (n, ...) samples.
        reach: pixels that pictures are moved at most.
        layer: instead of the output, what this layer gives.

    Returns:
        (n, 2 reach + 1, 2 reach + 1, width): logits, or the layer's values in one row.
    """
    keras, _ = require()
    if layer:
        network = keras.Model(network.inputs, network.get_layer(layer).output)
    moved = views(x, reach)
    side = 2 * reach + 1
    asked = [
        _predict(network, moved[:, down, right]) for down in range(side) for right in range(side)
    ]
    return np.stack(asked, axis=1).reshape(len(x), side, side, -1)


def _predict(network: Any, x: Any) -> Floats:
    answers = network.predict(as_input(x), batch_size=_PREDICT, verbose=0)
    return np.asarray(answers, np.float32).reshape(len(x), -1)


def answers(
    network: Any, dataset: Dataset, reach: int = 0, layer: str = "", *, cache: Path | None
) -> Floats:
    """As `ask`, kept in ``cache`` under the hash of all that it depends on.

    A file that is damaged, or of another teacher, data or view, is not taken.

    Raises:
        StorageError: ``cache`` cannot be written.
    """
    if cache is None:
        return ask(network, dataset.x, reach, layer)
    path = cache / f"{_key(network, dataset, reach, layer)}.npy"
    found = _read(path, len(dataset), 2 * reach + 1)
    if found is not None:
        return found
    given = ask(network, dataset.x, reach, layer)
    with files.replacing(path) as part:
        np.save(part, given, allow_pickle=False)
    return given


def fingerprint(network: Any) -> str:
    """SHA-256 of a network's structure and weights: equal for equal networks, while two
    saved files of one network differ by their dates."""
    digest = hashlib.sha256(network.to_json().encode())
    for weight in network.get_weights():
        digest.update(str((weight.shape, weight.dtype)).encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _key(network: Any, dataset: Dataset, reach: int, layer: str) -> str:
    digest = hashlib.sha256(FORMAT + fingerprint(network).encode())
    ids = "\n".join(dataset.ids)  # a split of a split has its whole's fingerprint
    digest.update(f"{dataset.name} {dataset.fingerprint} {reach} {layer}\n{ids}".encode())
    digest.update(hashlib.sha256(dataset.x.tobytes()).digest())
    return digest.hexdigest()


def _read(path: Path, n: int, side: int) -> Floats | None:
    try:
        # mapped: every view of 54,000 samples in a wide layer is more than a GB
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    good = found.ndim == 4 and found.shape[:3] == (n, side, side) and found.dtype == np.float32
    return found if good else None
