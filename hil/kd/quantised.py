"""Quantisation-aware finish: a trained network learns on while seeing what int8 will do to it.

Weights, inputs and outputs pass through ``keras.quantizers.fake_quant_with_min_max_vars`` with
the ranges that TFLite's converter would choose now: a symmetric one for each output channel of a
kernel, one for the whole of each tensor, looked at anew before every epoch. Rounding has no slope,
so it is passed over in the backward step (Jacob et al., CVPR 2018, section 3). The weights stay
those of the plain network: that one is saved and exported as ever, so the graph and the exact
``pixel - 128`` stay too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hil.errors import ModelError
from hil.kd.backend import require

_FOLDED = ("BatchNormalization",)
# these hand on values that their input's range holds already: TFLite gives them that range
_SAME_RANGE = ("MaxPooling2D", "Flatten", "Reshape", "Dropout", "InputLayer")
_OVER_CHANNELS = ("Conv2D", "Dense")  # the last axis of whose kernel are the outputs
_BITS = 8


def quantised(network: Any, samples: npt.NDArray[np.float32]) -> Any:
    """A Keras model that answers as ``network`` will in int8, and trains its very weights.

    Args:
        network: a ``keras.Sequential``, trained; of Conv2D, Dense and layers without weights.
        samples: (n, ...) real inputs that set the ranges, those that the export uses.

    Returns:
        A model of the same input and output shapes, not compiled. Training it changes
        ``network``, which is then what to save; `follow` keeps its ranges up with it.

    Raises:
        ModelError: a layer that this cannot imitate.
    """
    keras, tf = require()
    for layer in network.layers:
        _refuse(layer)
    taken = _limits(samples)
    # variables: a range that the weights have outgrown would clip here and not when exported
    given = [limits and tuple(map(tf.Variable, limits)) for limits in _ranges(network, samples)]
    fake = keras.quantizers.fake_quant_with_min_max_vars

    class Quantised(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(name=network.name)
            self.plain = network

        def observe(self) -> None:
            """Take the ranges of the network as it is now."""
            for kept, limits in zip(given, _ranges(self.plain, samples), strict=True):
                for variable, value in zip(kept or (), limits or (), strict=True):
                    variable.assign(value)

        def call(self, x: Any, training: bool = False) -> Any:
            x = fake(x, *taken, num_bits=_BITS)
            for layer, limits in zip(self.plain.layers, given, strict=True):
                if layer.weights:
                    kernel = _rounded(layer.kernel)
                    values = [kernel if v is layer.kernel else v for v in layer.trainable_variables]
                    x, _ = layer.stateless_call(values, [], x)
                else:
                    x = layer(x, training=training)
                if limits is not None:
                    x = fake(x, *limits, num_bits=_BITS)
            return x

    def _rounded(kernel: Any) -> Any:
        kernel = tf.convert_to_tensor(kernel)
        # no slope through the range: it would pull at the largest weight alone
        most = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), axis=range(kernel.ndim - 1)))
        most = tf.maximum(most, np.finfo(np.float32).tiny * 2**24)  # a channel of zeros
        return fake(kernel, -most, most, num_bits=_BITS, narrow_range=True, axis=-1)

    model = Quantised()
    model.build((None, *network.input_shape[1:]))
    return model


def follow(model: Any) -> Any:
    """The Keras callback that looks at the ranges of a `quantised` model before each epoch."""
    keras, _ = require()
    return keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: model.observe())


def _refuse(layer: Any) -> None:
    kind = type(layer).__name__
    if layer.weights and kind not in _OVER_CHANNELS:
        reason = "fold it into the layer before" if kind in _FOLDED else "train without this finish"
        raise ModelError(f"{layer.name} is a {kind}, whose int8 form is not imitated", reason)


def _ranges(network: Any, samples: npt.NDArray[np.float32]) -> list[tuple[float, float] | None]:
    """The least and greatest value of each layer's outputs, 0 within them.

    None where a layer keeps the range of its input.
    """
    found: list[tuple[float, float] | None] = []
    x: Any = samples
    for layer in network.layers:
        x = layer(x, training=False)
        keeps = type(layer).__name__ in _SAME_RANGE
        found.append(None if keeps else _limits(np.asarray(x)))
    return found


def _limits(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    return min(float(values.min()), 0.0), max(float(values.max()), 0.0)
