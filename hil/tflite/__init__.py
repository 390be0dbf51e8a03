# SPDX-License-Identifier: Apache-2.0
"""Read a ``.tflite`` file into an immutable, checked graph, without TensorFlow."""

from hil.tflite.graph import Graph, Operator, Tensor
from hil.tflite.reader import read_model

__all__ = ["Graph", "Operator", "Tensor", "read_model"]
