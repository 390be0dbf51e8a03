"""A teacher's answers: asked once for each sample and each view of it, and kept on disk.

A teacher does not change while it teaches, so it need not run in every step, nor in the next
training, nor in a sweep's next trial.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from hil.kd.backend import known_warnings, require
from hil.kd.batches import Floats, Views, as_input, views
from hil.kd.kept import kept
from hil.kd.networks import fingerprint
from hil.kd.warps import Warp, fixed
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
    return _ask(network, views(x, reach), layer)


def _ask(network: Any, shown: Views, layer: str) -> Floats:
    keras, _ = require()
    if layer:
        network = keras.Model(network.inputs, network.get_layer(layer).output)
    n, rows, columns = shown.shape[:3]
    asked = [_predict(network, shown[:, i, j]) for i in range(rows) for j in range(columns)]
    return np.stack(asked, axis=1).reshape(n, rows, columns, -1)


def _predict(network: Any, x: Any) -> Floats:
    answers = network.predict(as_input(x), batch_size=_PREDICT, verbose=0)
    return np.asarray(answers, np.float32).reshape(len(x), -1)


def shown(dataset: Dataset, reach: int, warp: Warp | None, *, cache: Path | None) -> Views:
    """All views of a data set's samples, (n, rows, columns, ...): moved ones, or warped ones
    (``warp.views`` rows, one column), which are kept in ``cache``; errors as `answers`."""
    if warp is None or not warp.views:
        return views(dataset.x, reach)
    shape = (len(dataset), warp.views, 1, *dataset.x.shape[1:])
    path = _path(cache, dataset, f"views {warp}")
    return kept(path, shape, "uint8", lambda: fixed(np.asarray(dataset.x, np.uint8), warp))


def answers(
    network: Any,
    dataset: Dataset,
    reach: int = 0,
    layer: str = "",
    *,
    cache: Path | None,
    warp: Warp | None = None,
) -> Floats:
    """As `ask`, kept in ``cache`` under the hash of all that it depends on.

    A file that is damaged, or of another teacher, data or view, is not taken. With ``warp``
    of warped views instead of moved ones.

    Raises:
        StorageError: ``cache`` cannot be written.
    """
    path = _path(cache, dataset, f"{fingerprint(network)} {reach} {layer} {warp}")
    if warp is None:
        shape = (len(dataset), 2 * reach + 1, 2 * reach + 1)
        return kept(path, shape, "float32", lambda: ask(network, dataset.x, reach, layer))
    shape = (len(dataset), warp.views, 1)
    make = known_warnings()(lambda: _ask(network, shown(dataset, 0, warp, cache=cache), layer))
    return kept(path, shape, "float32", make)


def _path(cache: Path | None, dataset: Dataset, about: str) -> Path | None:
    """Where an array is kept that follows from these samples and what ``about`` says."""
    if cache is None:
        return None
    ids = "\n".join(dataset.ids)  # a split of a split has its whole's fingerprint
    digest = hashlib.sha256(
        FORMAT + f"{about} {dataset.name} {dataset.fingerprint}\n{ids}".encode()
    )
    digest.update(hashlib.sha256(dataset.x.tobytes()).digest())
    return cache / f"{digest.hexdigest()}.npy"
