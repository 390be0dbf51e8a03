"""The write-ups' published figures, to stand beside a run's own.

Sources: the four write-ups on distillation this project starts from: MNIST on an ESP32
(EloquentTinyML, which is TFLM, on a DOIT ESP32 DevKit), `make_classification`, CIFAR-10, and random
labels; the latter three ran in Keras on a computer and published accuracy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_NOTHING = "not published"


@dataclass(frozen=True, slots=True)
class Published:
    model: str
    precision: str
    accuracy: str
    time: str = _NOTHING
    arena: str = _NOTHING


@dataclass(frozen=True, slots=True)
class WriteUp:
    """``whose`` and ``data`` head its rows; ``note`` says why they are not like for like."""

    whose: str
    data: str
    note: str
    rows: tuple[Published, ...]


_MNIST = WriteUp(
    "tutorial, ESP32",
    "mnist",
    "Not like for like. The tutorial trained on the first 6,000 images, one at a time, for five "
    "epochs, and timed a physical ESP32; its arena is what TFLM asked for as a whole. "
    "Ours are other weights, another engine and another processor, and an emulator has no latency.",
    (
        Published("teacher", "float32", "99.04%", "did not run", "108,160 B needed, 90,148 B free"),
        Published("student", "float32", "92.81%", "52 ms"),
    ),
)
_TABULAR = WriteUp(
    "write-up, Keras",
    "its own draw",
    "Not like for like. The write-up drew its data without a seed, so nobody can draw it again; "
    "its student distilled softmax outputs, in float32 on a computer.",
    (Published("student", "float32", "78.0%"),),
)
_CIFAR10 = WriteUp(
    "write-up, Keras",
    "cifar10",
    "Not like for like. The write-up measured in float32 on a computer, and trained one student on "
    "and on through alpha 0.5, 0.2 and 0.9, so that its later figures are of longer training too.",
    (
        Published("student", "float32", "62.7% (alpha 0.5), 63.7% (0.2), 66.9% (0.9)"),
        Published("student", "float32", "63% (without a teacher)"),
    ),
)
_NOISE = WriteUp(
    "write-up, Keras",
    "its own draw",
    "Labels drawn at random cannot be learnt: whatever differs from 50% here, in the write-up's "
    "figures as in ours, is chance.",
    (
        Published("teacher", "float32", "55.5%"),
        Published("student", "float32", "52.5%"),
    ),
)
# by name of the data set; a network of one's own has nothing published
WRITE_UPS: Mapping[str, WriteUp] = MappingProxyType(
    {
        "mnist": _MNIST,
        "digits": _MNIST,
        "tabular": _TABULAR,
        "cifar10": _CIFAR10,
        "cifar10-made": _CIFAR10,
        "noise": _NOISE,
    }
)
