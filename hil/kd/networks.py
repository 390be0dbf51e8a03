"""The tutorial's two networks, logits out (pixel / 255 in).

Layers are named: names that Keras counts up would make each export differ.
"""

from __future__ import annotations

from typing import Any

from hil.kd.backend import require

INPUT = (28, 28, 1)
CLASSES = 10


def teacher() -> Any:
    """Two convolutions and a wide dense layer: 225,034 parameters, 2.63 M MACs."""
    keras, _ = require()
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(INPUT),
            layers.Conv2D(32, 3, activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(64, 3, activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(128, activation="relu", name="hidden"),
            layers.Dense(CLASSES, name="logits"),
        ],
        name="teacher",
    )


def student() -> Any:
    """One convolution and a narrow dense layer: 21,898 parameters, 70,464 MACs."""
    keras, _ = require()
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(INPUT),
            layers.Conv2D(8, 3, activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Flatten(name="flatten"),
            layers.Dense(16, activation="relu", name="hidden"),
            layers.Dense(CLASSES, name="logits"),
        ],
        name="student",
    )
