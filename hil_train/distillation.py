# SPDX-License-Identifier: Apache-2.0
"""Losses of a student with a teacher, the Keras model that minimises them, and a teacher's answers.

With labels y, the student's logits s, the teacher's t, and CE(y, s) the cross-entropy:

    kd              alpha CE + (1 - alpha) T^2 KL(softmax(t/T) || softmax(s/T))   Hinton et al. 2015
    kl              the same without T^2, as in the CIFAR-10 write-up
    soft_ce         alpha CE + (1 - alpha) CE(softmax(t/T), softmax(s/T))         the tutorial's
    softmax_over_t  alpha CE + (1 - alpha) KL(softmax(p/T) || softmax(q/T)), with the probabilities
                    p = softmax(t) and q = softmax(s) in place of logits: the tabular write-up's
    feature         alpha CE + (1 - alpha) mean((P f - g)^2), with f and g the outputs of the named
                    layers of student and teacher, and P a linear map that is trained, too, and then
                    discarded (FitNets' hint, Romero et al. 2015)

A batch's loss is sum(w_i loss_i) / n: Keras's convention for sample weights, which Keras's own
Distiller ignores. A teacher answers every view of every sample once; the answers are cached.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from hil.core.records import Dataset
from hil_train.backend import known_warnings, require
from hil_train.batches import Floats, Views, Warp, as_input, cached, fixed_views, moved_views
from hil_train.networks import fingerprint
from hil_train.recipe import Loss

_PREDICT: Final = 1000  # samples at a time
_FORMAT: Final = b"hil-answers-1"  # changes with the content of the cached files


def per_sample(loss: Loss, labels: Any, student: Any, teacher: Any) -> Any:
    """(n,) losses of a batch.

    Args:
        loss: which one.
        labels: (n,) integers.
        student: (n, classes) logits; with kind ``feature``, a pair of logits and mapped features
            (n, width).
        teacher: its answers: logits; with kind ``feature``, its layer's output.
    """
    keras, _ = require()
    ops = keras.ops
    logits, features = student if loss.kind == "feature" else (student, None)
    hard = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    if loss.kind == "feature":
        soft = ops.mean(ops.square(features - teacher), axis=-1)
        return loss.alpha * hard + (1 - loss.alpha) * soft
    if loss.kind == "softmax_over_t":
        logits, teacher = ops.softmax(logits), ops.softmax(teacher)
    p, log_p = ops.softmax(teacher / loss.temperature), ops.log_softmax(teacher / loss.temperature)
    soft = -ops.sum(p * ops.log_softmax(logits / loss.temperature), axis=-1)
    if loss.kind != "soft_ce":
        soft = soft + ops.sum(p * log_p, axis=-1)
    if loss.kind == "kd":
        soft = loss.temperature**2 * soft
    return loss.alpha * hard + (1 - loss.alpha) * soft


def learner(student: Any, loss: Loss, width: int) -> Any:
    """The student as a Keras model that learns from stored answers (not compiled).

    Its inputs are a dict of ``sample``, the student's input, and ``answer``, the teacher's answer
    to it. Its predictions are (n, classes) logits.

    Args:
        student: a built network with one input that returns logits.
        loss: what to minimise.
        width: of a teacher's answer.
    """
    keras, _ = require()
    seen: Any = student
    if loss.kind == "feature":
        layer = student.get_layer(loss.student_layer).output
        mapped = keras.layers.Dense(width, use_bias=False, name="map")(
            keras.layers.Flatten(name="to_map")(layer)
        )
        seen = keras.Model(student.inputs, [student.outputs[0], mapped])

    # Keras is imported when it is needed, so its classes have no type here
    class Learner(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(name="learner")
            self.student = seen

        def call(self, inputs: Any, training: bool | None = None) -> Any:
            return self.student(inputs["sample"], training=training)

        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> Any:
            del training
            each = per_sample(loss, y, y_pred, x["answer"])
            if sample_weight is not None:
                each = each * keras.ops.cast(sample_weight, each.dtype)
            return keras.ops.mean(each)

        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            logits = y_pred[0] if loss.kind == "feature" else y_pred
            return super().compute_metrics(x, y, logits, sample_weight)

    return Learner()


@known_warnings()
def ask(network: Any, x: Any, reach: int = 0, layer: str = "") -> Floats:
    """A network's answers to each of the `moved_views`, without a cache.

    Args:
        network: one input, one output.
        x: (n, ...) samples.
        reach: pixels that pictures are moved at most.
        layer: return the output of this layer instead of the network's.

    Returns:
        (n, 2 reach + 1, 2 reach + 1, width): logits, or the layer's output in one row.
    """
    return _ask(network, moved_views(x, reach), layer)


def _ask(network: Any, views: Views, layer: str) -> Floats:
    keras, _ = require()
    if layer:
        network = keras.Model(network.inputs, network.get_layer(layer).output)
    n, rows, columns = views.shape[:3]
    answered = [_predict(network, views[:, i, j]) for i in range(rows) for j in range(columns)]
    return np.stack(answered, axis=1).reshape(n, rows, columns, -1)


def _predict(network: Any, x: Any) -> Floats:
    predicted = network.predict(as_input(x), batch_size=_PREDICT, verbose=0)
    return np.asarray(predicted, np.float32).reshape(len(x), -1)


def all_views(dataset: Dataset, reach: int, warp: Warp | None, *, cache: Path | None) -> Views:
    """All views of a data set's samples: moved ones, or warped ones (``warp.views`` rows, one
    column), which are kept in ``cache``; errors as `answers`."""
    if warp is None or not warp.views:
        return moved_views(dataset.x, reach)
    shape = (len(dataset), warp.views, 1, *dataset.x.shape[1:])
    path = _path(cache, dataset, f"views {warp}")
    return cached(path, shape, "uint8", lambda: fixed_views(np.asarray(dataset.x, np.uint8), warp))


def answers(
    network: Any,
    dataset: Dataset,
    reach: int = 0,
    layer: str = "",
    *,
    cache: Path | None,
    warp: Warp | None = None,
) -> Floats:
    """A network's answers, as `ask` returns them, cached under a hash of everything that they
    depend on: damaged files and those of another teacher, data or views are not used.

    With ``warp``, the answers to warped views instead of moved ones.

    Raises:
        StorageError: ``cache`` cannot be written.
    """
    path = _path(cache, dataset, f"{fingerprint(network)} {reach} {layer} {warp}")
    if warp is None:
        shape = (len(dataset), 2 * reach + 1, 2 * reach + 1)
        return cached(path, shape, "float32", lambda: ask(network, dataset.x, reach, layer))
    shape = (len(dataset), warp.views, 1)
    make = known_warnings()(lambda: _ask(network, all_views(dataset, 0, warp, cache=cache), layer))
    return cached(path, shape, "float32", make)


def _path(cache: Path | None, dataset: Dataset, about: str) -> Path | None:
    """The cache file of an array that depends on these samples and on ``about``."""
    if cache is None:
        return None
    ids = "\n".join(dataset.ids)  # a part of a data set has the fingerprint of the whole
    digest = hashlib.sha256(
        _FORMAT + f"{about} {dataset.name} {dataset.fingerprint}\n{ids}".encode()
    )
    digest.update(hashlib.sha256(dataset.x.tobytes()).digest())
    return cache / f"{digest.hexdigest()}.npy"
