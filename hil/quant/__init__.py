# SPDX-License-Identifier: Apache-2.0
"""Where an int8 network loses to the float32 network that it was made from.

match     which layer of one file is which of the other
edit      changed copies of a file, for LiteRT
layers    the error of each layer: its own, and inherited
weights   weights, biases and sums
trials    layers replaced one by one, and cures, on the host
evidence  how right each of these is
advice    causes, and what to do
pair      all of it
"""

from hil.quant.evidence import OFF, Judge
from hil.quant.match import Pair, match
from hil.quant.pair import SAMPLES, Budget, Samples, compare, samples_for
from hil.quant.weights import same_weights

__all__ = [
    "OFF",
    "SAMPLES",
    "Budget",
    "Judge",
    "Pair",
    "Samples",
    "compare",
    "match",
    "same_weights",
    "samples_for",
]
