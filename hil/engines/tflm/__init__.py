"""The engine ``tflm``: the ``.tflite`` file itself, run by TensorFlow Lite Micro."""

from hil.engines.tflm.engine import compile_model, shared_files

__all__ = ["compile_model", "shared_files"]
