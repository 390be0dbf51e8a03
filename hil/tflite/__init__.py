"""Read a ``.tflite`` file into a frozen, checked graph. Needs no TensorFlow."""

from hil.tflite.graph import Graph, Operator, Tensor
from hil.tflite.reader import read_model

__all__ = ["Graph", "Operator", "Tensor", "read_model"]
