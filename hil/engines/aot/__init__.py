# SPDX-License-Identifier: Apache-2.0
"""Engine ``aot``, ahead of time: turns a ``.tflite`` file into one readable, exact C header."""

from hil.engines.aot.engine import Header, generate

__all__ = ["Header", "generate"]
