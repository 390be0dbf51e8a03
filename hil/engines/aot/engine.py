# SPDX-License-Identifier: Apache-2.0
"""Engine ``aot`` behind the firmware's interface (firmware/lib/hil_engine/hil_engine.h)."""

from __future__ import annotations

from hil.core.errors import ModelError
from hil.core.records import ModelInfo, TensorSpec
from hil.engines.aot.faults import Fault
from hil.engines.aot.header import CTYPES, generate
from hil.engines.aot.memory import layout
from hil.engines.aot.plan import plan, plan_with_operators
from hil.engines.describe import Layer, layer
from hil.engines.image import CompiledModel
from hil.tflite import Graph

_MAX_RANK = 6  # HIL_MAX_RANK


def compile_model(
    graph: Graph,
    name: str,
    source: str,
    *,
    engine: str = "aot",
    layers: bool = False,
    fault: Fault | None = None,
    fused: bool = False,
) -> CompiledModel:
    """A model as aot's header and its adapter; arguments and errors as in `generate`.

    ``engine`` is the name that the firmware reports.
    """
    header = generate(graph, name, source, layers=layers, fault=fault, fused=fused)
    info = ModelInfo(
        name, engine, graph.sha256, graph.input, graph.output, header.arena, header.flash
    )
    functions = _functions(name, graph.input, graph.output, layers=layers)
    count = len(plan(graph)) if layers else 0
    return CompiledModel(
        info,
        header.text,
        functions,
        header.arrays,
        count,
        probabilities=graph.ends_in_probabilities,
    )


def layers_of(graph: Graph) -> tuple[Layer, ...]:
    """The layers of the generated code, in order. Raises `ModelError`, see `plan`."""
    return tuple(layer(graph, operators) for _, operators in plan_with_operators(graph))


def arena_bytes(graph: Graph) -> int:
    """The arena of a model, without generating it. Raises `ModelError`, see `plan`."""
    return layout(plan(graph)).arena


def _functions(name: str, source: TensorSpec, target: TensorSpec, *, layers: bool) -> str:
    if max(len(source.shape), len(target.shape)) > _MAX_RANK:
        raise ModelError(f"a tensor of more than {_MAX_RANK} dimensions", "reshape it")
    buffers = f"(const {CTYPES[source.dtype]} *)input, ({CTYPES[target.dtype]} *)output, arena"
    call = f"{name}_invoke({buffers})"
    watched = ""
    if layers:
        call = f"{name}_layers(self, input, output, arena, needed, 0)"
        # one body for both, so that the kernels are inlined as in firmware without layers
        watched = f"""#if defined(__GNUC__) && !defined(__clang__)
__attribute__((noinline, noclone))
#endif
static hil_engine_status_t {name}_layers(const hil_model_t *self,
    const void *input, void *output, void *arena, uint32_t *needed, hil_observer_t *observer) {{
  (void)self;
  (void)needed;
  {name}_observe({buffers}, observer);
  return HIL_ENGINE_OK;
}}

"""
    return f"""{watched}static hil_engine_status_t {name}_prepare(const hil_model_t *self,
    void *arena, uint32_t arena_size, uint32_t *needed) {{
  (void)arena;
  *needed = self->arena_bytes;
  return arena_size < self->arena_bytes ? HIL_ENGINE_ARENA : HIL_ENGINE_OK;
}}

static hil_engine_status_t {name}_run(const hil_model_t *self, const void *input, void *output,
    void *arena, uint32_t *needed) {{
  (void)self;
  (void)needed;
  {call};
  return HIL_ENGINE_OK;
}}
"""
