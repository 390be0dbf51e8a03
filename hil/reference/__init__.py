# SPDX-License-Identifier: Apache-2.0
"""A model's answers on the host: LiteRT with either set of kernels, and TFLM, the byte oracle."""

from hil.reference.cache import predict_cached
from hil.reference.interpreters import (
    Progress,
    Reference,
    encode_inputs,
    layer_tensors,
    litert,
    oracle,
    oracle_version,
    xnnpack,
    xnnpack_version,
)

__all__ = [
    "Progress",
    "Reference",
    "encode_inputs",
    "layer_tensors",
    "litert",
    "oracle",
    "oracle_version",
    "predict_cached",
    "xnnpack",
    "xnnpack_version",
]
