"""Inference engines: each turns models into C behind firmware/lib/hil_engine/hil_engine.h."""

from hil.engines.image import Image, ImageModel
from hil.engines.registry import ENGINES, write_image

__all__ = ["ENGINES", "Image", "ImageModel", "write_image"]
