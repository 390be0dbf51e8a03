# SPDX-License-Identifier: Apache-2.0
"""Engine ``bakenn``: C code that the PyPI package bakenn generates, with chip vendors' kernels.

The generated code depends on the chip, which is not known here. So bakenn generates code once for
each kind of chip, and the build uses one of the folders (firmware/scripts/bakenn.py).
"""

from __future__ import annotations

import importlib.util
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from hil.core.errors import ModelError, ToolMissing
from hil.core.records import ModelInfo, Precision
from hil.engines.image import CompiledModel
from hil.tflite import Graph

_DYNAMIC = ("SHAPE", "STRIDED_SLICE", "PACK")  # operators that an open batch size needs

# raised by flatbuffers' accessors, which follow any offset without checks
_DAMAGED = (
    struct.error,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,
    UnicodeError,
)


def check(graph: Graph) -> None:
    """Raise `ModelError` for models that cannot be patched: float32, or an open batch size."""
    if graph.precision is not Precision.INT8:
        raise ModelError(
            f"a {graph.precision} model: the engine bakenn computes in int8 only",
            "use the model's int8 version, or the engine aot",
        )
    if found := next((one for one in graph.operators if one.code in _DYNAMIC), None):
        raise ModelError(
            f"{found}: the engine bakenn does not support sizes computed at run time",
            "export it with a fixed batch, keras.Input(batch_shape=(1, ...)), or use aot",
        )


def acceptable(data: bytes) -> bytes:
    """The same model in a form that bakenn 1.0 accepts; `hil.tflite.read_model` accepted ``data``.

    bakenn needs two things that TensorFlow 2.21 does not write, and that do not change any value:
    the options of a RESHAPE, which repeat its output's shape, and tensors without a signature of
    dynamic sizes. Raises ModelError for damage in parts that the reader does not check: signatures
    and metadata.
    """
    try:
        return _rewritten(data)
    except (*_DAMAGED, flatbuffers.builder.BuilderSizeError) as problem:
        raise ModelError(
            f"the model's metadata is damaged ({type(problem).__name__}: {problem})",
            "export the model again",
        ) from None


def _rewritten(data: bytes) -> bytes:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex].builtinCode
            if code == schema.BuiltinOperator.RESHAPE and operator.builtinOptions is None:
                options = schema.ReshapeOptionsT()
                options.newShape = [int(n) for n in graph.tensors[operator.outputs[0]].shape]
                operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
                operator.builtinOptions = options
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


FOLDER: Final = "bakenn"
# folder -> (bakenn's target, option for the vendor's kernels; empty: portable C)
KINDS: Final = {
    "portable": ("portable32", ""),
    "cmsis_nn": ("cortex-m4", "enable_cmsis_nn"),
    "esp32": ("esp32", "enable_esp_nn"),
    "esp32s3": ("esp32s3", "enable_esp_nn"),
}
_SOURCES = (".c", ".S", ".h")


@dataclass(frozen=True, slots=True)
class _Generated:
    """bakenn's output for one kind of chip: files by name, and the bytes it reports."""

    files: dict[str, str]
    arena: int
    flash: int


def compile_model(graph: Graph, name: str) -> CompiledModel:
    """A model compiled by bakenn for every kind of chip, and the functions that call it.

    ``arena`` and ``flash`` of the result are the largest of all kinds; the firmware reports in
    HELLO how much of the arena it takes. The constants are in bakenn's own files, so ``arrays`` is
    empty. Raises `ToolMissing` without the package, `ModelError` for a model that bakenn does not
    accept.
    """
    check(graph)
    if any(importlib.util.find_spec(package) is None for package in ("bakenn", "tflite")):
        raise ToolMissing(
            "the engine bakenn needs the package bakenn, which is not installed",
            "pip install 'tinyml-hil[bakenn]', or bakenn[tflite]==1.0.0",
        )
    accepted = acceptable(graph.data)
    made = {kind: _generate(accepted, name, graph.where, kind) for kind in KINDS}
    info = ModelInfo(
        name,
        "bakenn",
        graph.sha256,
        graph.input,
        graph.output,
        max(one.arena for one in made.values()),
        max(one.flash for one in made.values()),
    )
    files = {
        f"{FOLDER}/{kind}/{file}": text
        for kind, one in made.items()
        for file, text in one.files.items()
    }
    return CompiledModel(
        info,
        _header(graph, name),
        _functions(name),
        files=files,
        probabilities=graph.ends_in_probabilities,
    )


def _generate(data: bytes, name: str, where: str, kind: str) -> _Generated:
    import bakenn  # an extra, and half a second

    target, option = KINDS[kind]
    # without packing: packed constants would be a second copy
    options: dict[str, Any] = {option: True} if option else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            done = bakenn.compile_tflite(
                data,
                folder,
                name=name,
                backend_options=bakenn.CBackendOptions(
                    kernel_policy=bakenn.KernelPolicy.STATIC_PRIORITY,
                    enable_weight_packing=False,
                    target=bakenn.resolve_target(target),
                    **options,
                ),
            )
        except bakenn.BakeNNError as problem:
            why = str(problem).splitlines()[0]
            raise ModelError(
                f"{where}: bakenn does not accept it: {why}", "use the engine aot"
            ) from None
        made = done.artifacts
        own = [made.model_source, made.weights_source, made.kernels_source]
        build = {
            "sources": [*own, *made.support_sources],
            "include": [folder, *made.support_include_dirs],
        }
        texts = {
            str(file.relative_to(folder)): file.read_text("utf-8")
            for file in sorted(folder.rglob("*"))
            if file.suffix in _SOURCES or file in made.third_party_licenses
        }
        for what, paths in build.items():
            texts[f"{name}.{what}"] = "".join(f"{p.relative_to(folder)}\n" for p in paths)
    report = done.memory_report
    return _Generated(texts, report.arena_bytes, report.emitted_constant_payload_bytes)


def _header(graph: Graph, name: str) -> str:
    return f"""/* {name}: generated by bakenn at build time; its own files are in {FOLDER}/.
 *
 * sha256   {graph.sha256}
 * network  {graph.parameters} parameters, {graph.macs} multiply-accumulates
 */
#include "bknn_{name}.h"
"""


def _functions(name: str) -> str:
    size = f"BKNN_{name.upper()}_ARENA_SIZE"
    return f"""static hil_engine_status_t {name}_prepare(const hil_model_t *self,
    void *arena, uint32_t arena_size, uint32_t *needed) {{
  (void)self;
  (void)arena;
  *needed = {size};
  return arena_size < *needed ? HIL_ENGINE_ARENA : HIL_ENGINE_OK;
}}

static hil_engine_status_t {name}_run(const hil_model_t *self, const void *input, void *output,
    void *arena, uint32_t *needed) {{
  (void)self;
  (void)needed;
  bknn_{name}_infer({size} > 0 ? (uint8_t *)arena : 0, (const int8_t *)input, (int8_t *)output);
  return HIL_ENGINE_OK;
}}
"""
