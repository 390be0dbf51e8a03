# SPDX-License-Identifier: Apache-2.0
"""A model on the host.

interpreters  answers: LiteRT with either set of kernels, and TFLM, the byte oracle
cache         answers stored on disk
latency       how long LiteRT takes
trial         which interpreters run a model at all
"""

from hil.reference.cache import BATCH, Encode, cache_folder, predict_cached
from hil.reference.interpreters import (
    Progress,
    Reference,
    Values,
    activations,
    arena_bytes,
    convert_outputs,
    encodable,
    encode_inputs,
    layer_tensors,
    litert,
    litert_version,
    oracle,
    oracle_version,
    quantize,
    read,
    sample_types,
    xnnpack,
    xnnpack_version,
)
from hil.reference.latency import (
    KERNELS,
    Invokes,
    Kernels,
    threads_of,
    time_invokes,
    version_of,
)
from hil.reference.trial import host_interpreter, is_missing, nothing_runs, refusals

__all__ = [
    "BATCH",
    "KERNELS",
    "Encode",
    "Invokes",
    "Kernels",
    "Progress",
    "Reference",
    "Values",
    "activations",
    "arena_bytes",
    "cache_folder",
    "convert_outputs",
    "encodable",
    "encode_inputs",
    "host_interpreter",
    "is_missing",
    "layer_tensors",
    "litert",
    "litert_version",
    "nothing_runs",
    "oracle",
    "oracle_version",
    "predict_cached",
    "quantize",
    "read",
    "refusals",
    "sample_types",
    "threads_of",
    "time_invokes",
    "version_of",
    "xnnpack",
    "xnnpack_version",
]
