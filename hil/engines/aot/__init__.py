"""The ahead-of-time engine: a ``.tflite`` file becomes one readable, exact C header."""

from hil.engines.aot.header import Header, generate

__all__ = ["Header", "generate"]
