"""What the host says about a model: LiteRT, and TFLM as the byte oracle of devices."""

from hil.reference.cache import predict_cached
from hil.reference.encode import encode_inputs
from hil.reference.interpreters import Progress, Reference, litert, oracle

__all__ = ["Progress", "Reference", "encode_inputs", "litert", "oracle", "predict_cached"]
