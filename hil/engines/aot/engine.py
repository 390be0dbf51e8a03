# SPDX-License-Identifier: Apache-2.0
"""Engine ``aot``: one model as one self-contained C header, and its adapter for the firmware.

The adapter is behind firmware/lib/hil_engine/hil_engine.h.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hil.core.errors import ModelError
from hil.core.records import DType, ModelInfo, TensorSpec
from hil.core.text import c_comment
from hil.engines.aot.conv import Conv, tile
from hil.engines.aot.conv_gather import emit_gather
from hil.engines.aot.conv_patch import emit_depthwise, emit_patch
from hil.engines.aot.conv_walk import emit_walk
from hil.engines.aot.faults import Fault
from hil.engines.aot.memory import ALIGNMENT, Layout, layout, scratch_offset
from hil.engines.aot.plan import plan, plan_with_operators
from hil.engines.aot.source import Array, Emitted, Writer, kernel_texts
from hil.engines.aot.steps import Step
from hil.engines.aot.unweighted import (
    Map,
    Pooling,
    Softmax,
    emit_map,
    emit_pooling,
    emit_softmax,
)
from hil.engines.image import CompiledModel, ConstantArray
from hil.tflite import Graph
from hil.tflite.graph import Layer, layer

CTYPES = {DType.FLOAT32: "float", DType.INT8: "int8_t", DType.UINT8: "uint8_t"}
_AVR_FLASH = 65_536 - 256  # bytes: what its LPM instruction reaches, less the interrupt vectors
_AVR_ARRAY = 32_767  # bytes: PTRDIFF_MAX


@dataclass(frozen=True, slots=True)
class Header:
    """A generated header: its text, the bytes of arena and constants it takes, its constants."""

    text: str
    arena: int
    flash: int
    arrays: tuple[ConstantArray, ...]


def generate(
    graph: Graph,
    name: str,
    source: str,
    *,
    layers: bool = False,
    fault: Fault | None = None,
    fused: bool = False,
) -> Header:
    """The header of a model; ``name`` prefixes everything in it, ``source`` names the file.

    With ``layers`` there is ``<name>_observe`` in place of ``<name>_invoke``, with the same kernels
    in the same places, which shows every step's output to an observer of hil_engine.h. ``fault``
    breaks a step on purpose. ``fused`` allows rounding a float32 product and the sum it is added
    to once, which is faster but not exact. Raises `ModelError` for what aot cannot run exactly (see
    `plan`), `UsageError` for a fault that this model cannot have.
    """
    steps = fault.apply(plan(graph)) if fault else plan(graph)
    if fused:
        steps = tuple(
            replace(s, fused=s.quant is None) if isinstance(s, Conv) else s for s in steps
        )
    near = any(isinstance(s, Conv) and s.fused for s in steps)
    places = layout(steps)
    emitted = [_EMITTERS[type(step)](step, f"{name}_{step.name}") for step in steps]
    arrays = [array for one in emitted for array in one.arrays]
    kernels = ("base", *(kernel for one in emitted for kernel in one.kernels))
    flash = sum(a.nbytes for a in arrays)
    parts = [
        _comment(graph, name, source, (places.arena, flash), near),
        f"#ifndef HIL_AOT_{name.upper()}_H\n#define HIL_AOT_{name.upper()}_H\n",
        "#include <math.h>\n#include <stdint.h>\n#include <string.h>\n",
        *(['#include "hil_engine.h"\n'] if layers else []),
        *_avr(arrays),
        *kernel_texts(kernels),
        _macros(graph, name, places.arena, flash),
        *map(str, arrays),
        *(f"/* {s.note} */\n{one.functions}" for s, one in zip(steps, emitted, strict=True)),
        _invoke(graph, name, steps, places, layers),
        f"#endif /* HIL_AOT_{name.upper()}_H */\n",
    ]
    constants = tuple(ConstantArray(a.name, a.ctype, a.nbytes, a.flash) for a in arrays)
    return Header("\n".join(parts), places.arena, flash, constants)


def _emit_conv(step: Conv, prefix: str) -> Emitted:
    shape = tile(step)
    if step.depthwise:
        return emit_depthwise(step, shape, prefix)
    if step.gathered:
        return emit_gather(step, shape, prefix)
    return (emit_patch if shape.patch else emit_walk)(step, shape, prefix)


# kind of step -> what writes its C code, from (step, prefix of its names)
_EMITTERS: Mapping[type, Callable[[Any, str], Emitted]] = {
    Conv: _emit_conv,
    Pooling: emit_pooling,
    Map: emit_map,
    Softmax: emit_softmax,
}


def _avr(arrays: list[Array]) -> list[str]:
    """The error of a build for an AVR that cannot reach all constants."""
    sizes = [a.nbytes for a in arrays if a.flash]
    if sum(sizes) <= _AVR_FLASH and max(sizes, default=0) <= _AVR_ARRAY:
        return []
    takes = f"{sum(sizes)} bytes of constants, {max(sizes)} of them in one array"
    return [
        f'#ifdef __AVR__\n#error "{takes}: an AVR reads {_AVR_FLASH} from flash, '
        f'and {_AVR_ARRAY} in one array"\n#endif\n'
    ]


def _spec(spec: TensorSpec) -> str:
    shape = "x".join(map(str, spec.shape))
    text = f"{CTYPES[spec.dtype]}[{spec.elements}], shape {shape}"
    if spec.dtype is DType.FLOAT32:
        return text
    return f"{text}, real = {spec.scale:.9g} * (q - ({spec.zero_point}))"


def _comment(graph: Graph, name: str, source: str, sizes: tuple[int, int], near: bool) -> str:
    arena, flash = sizes
    real = (
        "float32 equals TFLite's reference kernels bit for bit when built with -ffp-contract=off;"
    )
    if near:
        real = "float32 is close to TFLite's reference: a product and its sum are rounded once;"
    return f"""/* {name}: a neural network in C, generated by tinyml-hil's engine aot. Do not edit.
 *
 * source   {c_comment(source)}
 * sha256   {graph.sha256}
 * input    {_spec(graph.input)}
 * output   {_spec(graph.output)}
 * arena    {arena} bytes of RAM, aligned to {ALIGNMENT}; free for other use between calls
 * flash    {flash} bytes of constants
 * network  {graph.parameters} parameters, {graph.macs} multiply-accumulates
 *
 * C99, C++11 and later; needs only the standard headers below: no heap, no other library.
 * {real}
 * int8 equals TensorFlow Lite Micro byte for byte. Values must be finite.
 *
 *   static {CTYPES[graph.input.dtype]} input[{name.upper()}_INPUT_ELEMENTS];
 *   static {CTYPES[graph.output.dtype]} output[{name.upper()}_OUTPUT_ELEMENTS];
 *   static uint32_t arena[{name.upper()}_ARENA_BYTES / 4 + 1];
 *   {name}_invoke(input, output, arena);
 */"""


def _macros(graph: Graph, name: str, arena: int, flash: int) -> str:
    values = {
        "INPUT_ELEMENTS": graph.input.elements,
        "OUTPUT_ELEMENTS": graph.output.elements,
        "ARENA_BYTES": arena,
        "FLASH_BYTES": flash,
    }
    return "\n".join(f"#define {name.upper()}_{k} {v}" for k, v in values.items()) + "\n"


def _invoke(graph: Graph, name: str, steps: tuple[Step, ...], places: Layout, layers: bool) -> str:
    source, target = CTYPES[graph.input.dtype], CTYPES[graph.output.dtype]
    w = Writer()
    w("/* One inference. The three buffers must not overlap. The input does not change. */")
    buffers = f"const {source} *input, {target} *output, void *arena"
    head = f"static inline void {name}_invoke({buffers})"
    if layers:
        w("/* After each step, `observer`, if not null, is shown its output. */")
        head = f"static inline void {name}_observe({buffers}, hil_observer_t *observer)"
    with w.block(head):
        if places.arena:
            w("uint8_t *const a = (uint8_t *)arena;")
        else:
            w("(void)arena;")
        if not steps:
            w(f"memcpy(output, input, {graph.input.nbytes});")
            if layers:
                w("(void)observer;")
        for i, step in enumerate(steps):
            here = "input" if i == 0 else _at(step.ctypes[0], places.offsets[i - 1], "const ")
            there = "output" if i == len(steps) - 1 else _at(step.ctypes[1], places.offsets[i])
            more = ""
            if step.scratch_bytes:
                more = f", {_at('int16_t', scratch_offset(step, places.offsets[i - 1]))}"
            w(f"{name}_{step.name}({here}, {there}{more});")
            if layers:
                kind = "HIL_FLOAT32" if step.ctypes[1] == "float" else "HIL_INT8"
                told = f"observer, {i}, {kind}, {there}, {step.output_bytes}u"
                w(f"if (observer) observer->layer({told});")
    return str(w)


def _at(ctype: str, offset: int, const: str = "") -> str:
    return (
        f"({const}{ctype} *)(const void *)(a + {offset})"
        if const
        else f"({ctype} *)(void *)(a + {offset})"
    )


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
