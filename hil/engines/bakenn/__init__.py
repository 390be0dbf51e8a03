"""The engine ``bakenn``: C that PyPI's bakenn generates, with the kernels of chips' own makers."""

from hil.engines.bakenn.engine import compile_model

__all__ = ["compile_model"]
