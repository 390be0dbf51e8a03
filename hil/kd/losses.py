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

from typing import Any

from hil.kd.backend import require
from hil.kd.recipe import Loss


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
