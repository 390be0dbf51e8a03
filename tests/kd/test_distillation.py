"""The distillation loss against NumPy: Keras's default would leave out softmax and T^2."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hil.kd import training
from hil.kd.backend import require
from hil.kd.settings import Distillation
from tests.kd.support import needs_tensorflow

pytestmark = needs_tensorflow

Floats = npt.NDArray[np.float64]


def softmax(z: Floats) -> Floats:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def reference(t: Floats, s: Floats, y: npt.NDArray[np.int64], temperature: float, alpha: float):  # type: ignore[no-untyped-def]
    """alpha * CE(y, softmax(s)) + (1 - alpha) * T^2 * KL(softmax(t/T) || softmax(s/T))."""
    hard = -np.log(softmax(s)[np.arange(len(y)), y]).mean()
    p, q = softmax(t / temperature), softmax(s / temperature)
    soft = (p * np.log(p / q)).sum(axis=1).mean()
    return alpha * hard + (1 - alpha) * temperature**2 * soft


def measured(t: Floats, s: Floats, y: npt.NDArray[np.int64], settings: Distillation) -> float:
    """The loss the trainer minimises, for networks that give the logits ``t`` and ``s``."""
    keras, _ = require()

    def fixed(logits: Floats, name: str) -> object:
        layer = keras.layers.Dense(logits.shape[1], use_bias=False, name=name)
        network = keras.Sequential([keras.Input((len(logits),)), layer], name=f"net_{name}")
        layer.set_weights([logits.astype(np.float32)])
        return network

    distiller = training.distiller(fixed(t, "t"), fixed(s, "s"), settings)
    distiller.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.eye(len(t), dtype=np.float32)  # row i asks for the i-th logits
    return float(distiller.compute_loss(x=x, y=y))


T_LOGITS = np.array([[8.0, 1.0, -3.0], [-2.0, 6.0, 4.5], [0.5, -1.0, 3.0], [9.0, -9.0, 0.0]])
S_LOGITS = np.array([[1.0, 2.0, 0.0], [0.0, 3.0, -1.0], [-4.0, 1.0, 2.0], [2.0, 2.0, 2.0]])
LABELS = np.array([0, 1, 2, 0])


@pytest.mark.parametrize("temperature", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 1.0])
def test_the_loss_is_the_formula(temperature: float, alpha: float) -> None:
    settings = Distillation(temperature, alpha)
    expected = reference(T_LOGITS, S_LOGITS, LABELS, temperature, alpha)
    assert measured(T_LOGITS, S_LOGITS, LABELS, settings) == pytest.approx(expected, rel=1e-5)


def test_the_project_s_settings_give_this_number() -> None:
    """By hand, one sample, two classes: q = 1/2, p = sigmoid(10/5) = 0.880797.

    CE = ln 2 = 0.693147; KL = 0.880797 ln 1.761594 + 0.119203 ln 0.238406 = 0.327812;
    0.1 * 0.693147 + 0.9 * 25 * 0.327812 = 7.4451
    """
    t, s = np.array([[10.0, 0.0]]), np.array([[0.0, 0.0]])
    value = measured(t, s, np.array([0]), Distillation())
    assert value == pytest.approx(7.4451, abs=2e-4)


def test_equal_logits_leave_the_hard_loss_alone() -> None:
    expected = 0.1 * reference(T_LOGITS, T_LOGITS, LABELS, 1.0, 1.0)
    assert measured(T_LOGITS, T_LOGITS, LABELS, Distillation()) == pytest.approx(expected, abs=1e-5)
