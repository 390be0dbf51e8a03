# SPDX-License-Identifier: Apache-2.0
"""Engine ``aot``: one model as one self-contained C header, and its adapter for the firmware.

The adapter is behind firmware/lib/TinymlHil/src/hil_engine/hil_engine.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from hil.core.errors import ModelError
from hil.core.records import ModelInfo, TensorSpec, offsets_of
from hil.core.text import c_comment
from hil.engines.aot.faults import Fault
from hil.engines.aot.invoke import Invoke, buffer_names
from hil.engines.aot.memory import ALIGNMENT
from hil.engines.aot.nodes import Plan
from hil.engines.aot.operators import emit
from hil.engines.aot.places import arrange
from hil.engines.aot.plan import plan_nodes
from hil.engines.aot.source import Array, kernel_texts
from hil.engines.aot.steps import CTYPES
from hil.engines.aot.weighted.conv import Conv
from hil.engines.aot.written_once import written_once
from hil.engines.image import CompiledModel, ConstantArray
from hil.tflite import Graph
from hil.tflite.graph import Layer

_AVR_FLASH = 65_536 - 256  # bytes: what its LPM instruction reaches, less the interrupt vectors
_AVR_ARRAY = 32_767  # bytes: PTRDIFF_MAX


@dataclass(frozen=True, slots=True)
class Header:
    """A generated header: its text, the bytes of its arena and constants, its constants.

    ``stateful``: it keeps values in the arena from one inference to the next.
    """

    text: str
    arena: int
    flash: int
    arrays: tuple[ConstantArray, ...]
    stateful: bool = False


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
    to once, which is faster but not exact. Raises `ModelError` if aot cannot run it exactly (see
    `plan`), `UsageError` for a fault that this model cannot have.
    """
    planned = _planned(graph, layers or fault is not None)
    steps = fault.apply(planned) if fault else planned.steps
    if fused:
        steps = tuple(
            replace(s, fused=s.quant is None) if isinstance(s, Conv) else s for s in steps
        )
    near = any(isinstance(s, Conv) and s.fused for s in steps)
    planned = planned.with_steps(steps)
    places = arrange(planned)
    prefixes = [f"{name}_{step.name}" for step in steps]
    written, called = written_once(
        [emit(s, p) for s, p in zip(steps, prefixes, strict=True)], prefixes
    )
    emitted = [(s.note, one) for s, one in zip(steps, written, strict=True) if one is not None]
    arrays = [array for _, one in emitted for array in one.arrays]
    kernels = ("base", *(kernel for _, one in emitted for kernel in one.kernels))
    invoke = Invoke(planned, places, name, called)
    arrays += invoke.arrays
    flash = sum(a.nbytes for a in arrays)
    parts = [
        _comment(graph, name, source, (places.nbytes, flash), near, bool(planned.states)),
        f"#ifndef HIL_AOT_{name.upper()}_H\n#define HIL_AOT_{name.upper()}_H\n",
        "#include <math.h>\n#include <stdint.h>\n#include <string.h>\n",
        *(['#include "hil_engine.h"\n'] if layers else []),
        *_avr(arrays),
        *kernel_texts(kernels),
        _macros(graph, name, places.nbytes, flash),
        *map(str, arrays),
        *(f"/* {note} */\n{one.functions}" for note, one in emitted),
        invoke.reset(),
        invoke.function(layers=layers),
        f"#endif /* HIL_AOT_{name.upper()}_H */\n",
    ]
    constants = tuple(ConstantArray(a.name, a.ctype, a.nbytes, a.flash) for a in arrays)
    return Header("\n".join(parts), places.nbytes, flash, constants, stateful=bool(planned.states))


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
    if not spec.scale:
        return text
    return f"{text}, real = {spec.scale:.9g} * (q - ({spec.zero_point}))"


def _comment(
    graph: Graph, name: str, source: str, sizes: tuple[int, int], near: bool, stateful: bool
) -> str:
    arena, flash = sizes
    real = (
        "float32 equals TFLite's reference kernels bit for bit when built with -ffp-contract=off;"
    )
    if near:
        real = "float32 is close to TFLite's reference: a product and its sum are rounded once;"
    sides = (("input", graph.inputs), ("output", graph.outputs))
    named = [
        (side, buffer, spec)
        for side, specs in sides
        for buffer, spec in zip(buffer_names(side, specs), specs, strict=True)
    ]
    specs = "\n".join(f" * {buffer:8} {_spec(spec)}" for _, buffer, spec in named)
    buffers = "\n".join(
        f" *   static {CTYPES[spec.dtype]} {buffer}[{name.upper()}_{buffer.upper()}_ELEMENTS];"
        for _, buffer, spec in named
    )
    free = "it keeps the state between calls" if stateful else "free for other use between calls"
    reset = f"\n *   {name}_reset(arena); // before the first call, and to forget"
    return f"""/* {name}: a neural network in C, generated by tinyml-hil's engine aot. Do not edit.
 *
 * source   {c_comment(source)}
 * sha256   {graph.sha256}
{specs}
 * arena    {arena} bytes of RAM, aligned to {ALIGNMENT}; {free}
 * flash    {flash} bytes of constants
 * network  {graph.parameters} parameters, {graph.macs} multiply-accumulates
 *
 * C99, C++11 and later; needs only the standard headers below: no heap, no other library.
 * {real}
 * int8 equals TensorFlow Lite Micro byte for byte. Values must be finite.
 *
{buffers}
 *   static uint32_t arena[{name.upper()}_ARENA_BYTES / 4 + 1];{reset if stateful else ""}
 *   {name}_invoke({", ".join(buffer for _, buffer, _ in named)}, arena);
 */"""


def _macros(graph: Graph, name: str, arena: int, flash: int) -> str:
    sides = (("input", graph.inputs), ("output", graph.outputs))
    values = {
        f"{buffer.upper()}_ELEMENTS": spec.elements
        for side, specs in sides
        for buffer, spec in zip(buffer_names(side, specs), specs, strict=True)
    }
    values |= {"ARENA_BYTES": arena, "FLASH_BYTES": flash}
    return "\n".join(f"#define {name.upper()}_{k} {v}" for k, v in values.items()) + "\n"


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
        name,
        engine,
        graph.sha256,
        graph.input,
        graph.output,
        header.arena,
        header.flash,
        graph.inputs[1:],
        graph.outputs[1:],
        stateful=header.stateful,
    )
    functions = _functions(name, graph, layers=layers, stateful=header.stateful)
    count = len(layers_of(graph)) if layers else 0
    return CompiledModel(
        info,
        header.text,
        functions,
        header.arrays,
        count,
        probabilities=graph.ends_in_probabilities,
    )


@lru_cache(maxsize=16)
def _planned(graph: Graph, whole: bool) -> Plan:
    """`plan_nodes`: seconds for a network with many states, and a bench asks several times."""
    return plan_nodes(graph, whole=whole)


def layers_of(graph: Graph) -> tuple[Layer, ...]:
    """The layers that generated code shows, in order. Raises `ModelError`, see `plan`."""
    return _planned(graph, True).layers


def arena_bytes(graph: Graph) -> int:
    """The arena of a model, without generating it. Raises `ModelError`, see `plan`."""
    return arrange(_planned(graph, False)).nbytes


def _functions(name: str, graph: Graph, *, layers: bool, stateful: bool) -> str:
    if max(len(spec.shape) for spec in (*graph.inputs, *graph.outputs)) > _MAX_RANK:
        raise ModelError(f"a tensor of more than {_MAX_RANK} dimensions", "reshape it")
    taken, made = _pointers("input", graph.inputs), _pointers("output", graph.outputs)
    buffers = ", ".join([*taken, *made, "arena"])
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
    ready = f"  {name}_reset(arena);\n" if stateful else "  (void)arena;\n"
    return f"""{watched}static hil_engine_status_t {name}_prepare(const hil_model_t *self,
    void *arena, uint32_t arena_size, uint32_t *needed) {{
  *needed = self->arena_bytes;
  if (arena_size < self->arena_bytes) return HIL_ENGINE_ARENA;
{ready}  return HIL_ENGINE_OK;
}}

static hil_engine_status_t {name}_run(const hil_model_t *self, const void *input, void *output,
    void *arena, uint32_t *needed) {{
  (void)self;
  (void)needed;
  {call};
  return HIL_ENGINE_OK;
}}
"""


def _pointers(side: str, specs: Sequence[TensorSpec]) -> list[str]:
    """Each of the tensors in the firmware's one buffer, as its C type."""
    const = "const " if side == "input" else ""
    found = []
    for offset, spec in zip(offsets_of(specs), specs, strict=True):
        place = f"({const}uint8_t *){side} + {offset}" if offset else side
        place = f"(const void *)({place})" if offset and const else place
        place = f"(void *)({place})" if offset and not const else place
        found.append(f"({const}{CTYPES[spec.dtype]} *){place}")
    return found
