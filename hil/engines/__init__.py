# SPDX-License-Identifier: Apache-2.0
"""Inference engines: each turns models into C for the interface hil_engine.h.

It is in firmware/lib/TinymlHil/src/hil_engine/hil_engine.h.
"""

from hil.engines.image import CompiledModel, ConstantArray, Image
from hil.engines.registry import (
    ENGINES,
    Models,
    Special,
    check,
    compile_alone,
    model_name,
    takers,
    write_image,
)
from hil.tflite.graph import Layer

__all__ = [
    "ENGINES",
    "CompiledModel",
    "ConstantArray",
    "Image",
    "Layer",
    "Models",
    "Special",
    "check",
    "compile_alone",
    "model_name",
    "takers",
    "write_image",
]
