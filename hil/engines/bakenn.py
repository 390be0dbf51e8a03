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

_WITHOUT_BIAS = 6  # the version of FULLY_CONNECTED that may leave out the bias
# what bakenn 1.0 imports (frontends/tflite/importer.py of the package)
OPERATORS: Final = (
    "ADD",
    "AVERAGE_POOL_2D",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "MAX_POOL_2D",
    "PAD",
    "PADV2",
    "RESHAPE",
)
_DYNAMIC: Final = ("SHAPE", "STRIDED_SLICE", "PACK")  # operators that an open batch size needs

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
    """Raise `ModelError` that names all that bakenn does not have, or its own reason."""
    check_operators(graph)
    if not lacking():
        _generate(acceptable(graph.data), "model", graph.where, "portable")


def check_operators(graph: Graph) -> None:
    """Raise `ModelError` that names the types and operators that bakenn does not have."""
    faults, hints = [], []
    if graph.precision is not Precision.INT8:
        faults.append(f"a {graph.precision} model: the engine bakenn computes in int8 only")
        hints.append("use the model's int8 version")
    codes = dict.fromkeys(operator.code for operator in graph.operators)
    if missing := [code for code in codes if code not in OPERATORS]:
        faults.append(f"the engine bakenn does not have {', '.join(missing)}")
        hints.append(f"it has {', '.join(OPERATORS)}")
        if set(missing) & set(_DYNAMIC):
            hints.append("export with a fixed batch: keras.Input(batch_shape=(1, ...))")
    if faults:
        raise ModelError(f"{graph.where}: {'; '.join(faults)}", "; ".join(hints))


def lacking() -> tuple[str, ...]:
    """The packages that this engine needs and that are not installed."""
    return tuple(one for one in ("bakenn", "tflite") if importlib.util.find_spec(one) is None)


def acceptable(data: bytes) -> bytes:
    """The same model in a form that bakenn 1.0 accepts; `hil.tflite.read_model` accepted ``data``.

    Nothing changes a value: a RESHAPE gets its options, which repeat its output's shape; tensors
    lose a signature of dynamic sizes; a bias is quantised along its only axis; and a
    FULLY_CONNECTED without bias has the version that may omit it. TFLM runs such files
    as they are. Raises ModelError for damage in parts that the reader does not check: signatures
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
            if tensor.quantization is not None and len(tensor.shape) == 1:
                tensor.quantization.quantizedDimension = 0
        for operator in graph.operators:
            opcode = model.operatorCodes[operator.opcodeIndex]
            # codes above 127 are in the newer field; old files have only the older one
            code = max(opcode.builtinCode, opcode.deprecatedBuiltinCode)
            no_bias = len(operator.inputs) < 3 or operator.inputs[2] < 0
            if code == schema.BuiltinOperator.FULLY_CONNECTED and no_bias:
                opcode.version = max(opcode.version, _WITHOUT_BIAS)
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
    if lacking():
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
                f"{where}: bakenn does not accept it: {why}", "see its limits in docs/engines.md"
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
