"""Engine ``aot`` behind the interface of the firmware."""

from __future__ import annotations

from hil.engines.aot.header import generate
from hil.engines.aot.memory import layout
from hil.engines.aot.plan import plan
from hil.engines.image import CompiledModel
from hil.errors import ModelError
from hil.records import DType, ModelInfo, TensorSpec
from hil.tflite import Graph

_CTYPES = {DType.FLOAT32: "float", DType.INT8: "int8_t"}
_MAX_RANK = 6  # HIL_MAX_RANK


def compile_model(graph: Graph, name: str, source: str) -> CompiledModel:
    """A model as aot's header plus its adapter. Raises `ModelError`, see `generate`."""
    header = generate(graph, name, source)
    info = ModelInfo(
        name, "aot", graph.sha256, graph.input, graph.output, header.arena, header.flash
    )
    return CompiledModel(info, header.text, _functions(name, graph.input, graph.output))


def arena_bytes(graph: Graph) -> int:
    """The arena of a model, without generating it. Raises `ModelError`, see `plan`."""
    return layout(plan(graph)).arena


def _functions(name: str, source: TensorSpec, target: TensorSpec) -> str:
    if max(len(source.shape), len(target.shape)) > _MAX_RANK:
        raise ModelError(f"a tensor of more than {_MAX_RANK} dimensions", "reshape it")
    return f"""static hil_engine_status_t {name}_prepare(const hil_model_t *self, void *arena,
    uint32_t arena_size, uint32_t *needed) {{
  (void)arena;
  *needed = self->arena_bytes;
  return arena_size < self->arena_bytes ? HIL_ENGINE_ARENA : HIL_ENGINE_OK;
}}

static hil_engine_status_t {name}_run(const hil_model_t *self, const void *input, void *output,
    void *arena, uint32_t *needed) {{
  (void)self;
  (void)needed;
  {name}_invoke((const {_CTYPES[source.dtype]} *)input, ({_CTYPES[target.dtype]} *)output, arena);
  return HIL_ENGINE_OK;
}}
"""
