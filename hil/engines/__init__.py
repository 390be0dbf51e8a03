"""Inference engines: each turns models into C behind firmware/lib/hil_engine/hil_engine.h."""

from hil.engines.describe import Layer
from hil.engines.image import Image
from hil.engines.registry import ENGINES, Special, model_name, write_image

__all__ = ["ENGINES", "Image", "Layer", "Special", "model_name", "write_image"]
