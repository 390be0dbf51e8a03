# SPDX-License-Identifier: Apache-2.0
"""What a student minimises, sample by sample, and the Keras model that minimises it.

With labels y, the student's logits s, the teacher's t, CE(y, s) the cross-entropy of softmax(s):

    kd              alpha CE + (1 - alpha) T^2 KL(softmax(t/T) || softmax(s/T))   Hinton et al. 2015
    kl              the same without T^2, as the CIFAR-10 write-up has it
    soft_ce         alpha CE + (1 - alpha) CE(softmax(t/T), softmax(s/T))         the tutorial's
    softmax_over_t  alpha CE + (1 - alpha) KL(softmax(p/T) || softmax(q/T)), with the
                    probabilities p = softmax(t), q = softmax(s) where logits belong: the
                    tabular write-up's
    feature         alpha CE + (1 - alpha) mean((P f - g)^2), f and g what the named layers of
                    student and teacher give, P a linear map learnt along and thrown away
                    (FitNets' hint, Romero et al. 2015)

A batch's loss is sum(w_i loss_i) / n: Keras's own convention for sample weights, which its
Distiller leaves out.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from hil.core.records import Dataset
from hil_train.backend import known_warnings, require
from hil_train.batches import Floats, Views, Warp, as_input, fixed, kept, views
from hil_train.networks import fingerprint
from hil_train.recipe import Loss


def per_sample(loss: Loss, labels: Any, student: Any, teacher: Any) -> Any:
    """(n,) losses of a batch.

    Args:
        loss: what to compute.
        labels: (n,) integers.
        student: (n, classes) logits, or with kind ``feature`` a pair of logits and the
            mapped features (n, width).
        teacher: what it gives: logits, or with kind ``feature`` its layer's output.
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

    Its inputs are a dict: ``sample``, what the student sees, and ``answer``, what the teacher
    said of it; a prediction is (n, classes) logits.

    Args:
        student: built, one input, logits out.
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
