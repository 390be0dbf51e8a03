# SPDX-License-Identifier: Apache-2.0
"""The C function of a whole inference, which calls the functions of all steps in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil.core.records import TensorSpec
from hil.engines.aot.nodes import Arena, Plan
from hil.engines.aot.source import Array, Writer, read
from hil.engines.aot.states.variables import initial_byte
from hil.engines.aot.steps import CTYPES, Buffer, item_bytes

_CODES = {"float": "HIL_FLOAT32"} | {
    f"{name}_t": f"HIL_{name.upper()}" for name in ("int32", "uint8", "int64", "int16", "int8")
}


def buffer_names(side: str, specs: Sequence[TensorSpec]) -> list[str]:
    """``input``, or ``input0``, ``input1``, ... where there are several."""
    return [side] if len(specs) == 1 else [f"{side}{i}" for i in range(len(specs))]


def parameters(plan: Plan) -> str:
    """The buffers as C parameters: all inputs, all outputs, the arena."""
    graph = plan.graph
    taken = zip(buffer_names("input", graph.inputs), graph.inputs, strict=True)
    made = zip(buffer_names("output", graph.outputs), graph.outputs, strict=True)
    return ", ".join(
        [
            *(f"const {CTYPES[spec.dtype]} *{name}" for name, spec in taken),
            *(f"{CTYPES[spec.dtype]} *{name}" for name, spec in made),
            "void *arena",
        ]
    )


@dataclass(frozen=True, slots=True)
class Invoke:
    """The C functions of a network called ``name``; ``called``: the function of each node."""

    plan: Plan
    arena: Arena
    name: str
    called: Sequence[str]

    def function(self, *, layers: bool) -> str:
        """``<name>_invoke``, or with ``layers`` ``<name>_observe``."""
        w = Writer()
        w("/* One inference. The buffers must not overlap. The inputs do not change. */")
        head = f"static inline void {self.name}_invoke({parameters(self.plan)})"
        if layers:
            w("/* After each step, `observer`, if not null, is shown its outputs. */")
            head = (
                f"static inline void {self.name}_observe({parameters(self.plan)}, "
                "hil_observer_t *observer)"
            )
        with w.block(head):
            if self.arena.nbytes:
                w("uint8_t *const a = (uint8_t *)arena;")
            else:
                w("(void)arena;")
            for unused in self._unused():
                w(f"(void){unused};")
            shown = 0
            for number, node in enumerate(self.plan.nodes):
                step = node.step
                taken = zip(node.inputs, step.sources, strict=True)
                made = [
                    self._at(tensor, buffer, write=True)
                    for tensor, buffer in zip(node.outputs, step.targets, strict=True)
                ]
                places = [*(self._at(t, b, write=b.kept) for t, b in taken), *made]
                if step.scratch_bytes:
                    places.append(_cast("int16_t", self.arena.scratch[number]))
                w(f"{self.called[number]}({', '.join(places)});")
                seen = self.plan.shown(node)
                for tensor, place, buffer in zip(node.outputs, made, step.targets, strict=True):
                    if tensor not in seen:
                        continue
                    if layers:
                        told = f"{shown}, {_CODES[buffer.ctype]}, {place}, {buffer.nbytes}u"
                        w(f"if (observer) observer->layer(observer, {told});")
                    shown += 1
        return str(w)

    def reset(self) -> str:
        """``<name>_reset``, which clears the states; empty if there are none."""
        if not self.plan.states:
            return ""
        w = Writer()
        w("/* Forgets all earlier inferences. */")
        with w.block(f"static inline void {self.name}_reset(void *arena)"):
            w("uint8_t *const a = (uint8_t *)arena;")
            for i in self.plan.states:
                tensor, offset = self.plan.graph.tensors[i], self.arena.tensors[i]
                byte = initial_byte(tensor)
                if byte is not None:
                    w(f"memset(a + {offset}, {byte}, {Buffer.of(tensor).nbytes});")
                    continue
                array = self._initial(i)
                value = read("int8_t", array.name, "i")
                w(f"for (int i = 0; i < {array.nbytes}; ++i) a[{offset} + i] = (uint8_t){value};")
        return str(w)

    @property
    def arrays(self) -> list[Array]:
        """The first values of states, as bytes."""
        tensors = self.plan.graph.tensors
        return [self._initial(i) for i in self.plan.states if initial_byte(tensors[i]) is None]

    def _initial(self, state: int) -> Array:
        values = self.plan.graph.tensors[state].initial
        assert values is not None
        raw = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.int8)
        return Array(f"{self.name}_state_{state}", raw, "the first values of a state")

    def _unused(self) -> list[str]:
        """Inputs that no step reads."""
        graph = self.plan.graph
        read = {self.plan.root(i) for node in self.plan.nodes for i in node.inputs}
        names = buffer_names("input", graph.inputs)
        pairs = zip(names, graph.input_indices, strict=True)
        return [name for name, index in pairs if index not in read]

    def _at(self, tensor: int, buffer: Buffer, *, write: bool = False) -> str:
        """A pointer to the bytes of a tensor."""
        graph = self.plan.graph
        root, offset = self.plan.root(tensor), self.plan.offsets.get(tensor, 0)
        more = f" + {offset // item_bytes(buffer.ctype)}" if offset else ""
        if root in graph.input_indices:
            name = buffer_names("input", graph.inputs)[graph.input_indices.index(root)]
            first = graph.tensors[root].dtype
            if CTYPES[first] != buffer.ctype:
                name = f"(const {buffer.ctype} *){name}"
            return name + more
        if root in self.plan.written:
            return buffer_names("output", graph.outputs)[self.plan.written[root]] + more
        place = self.arena.tensors[root] + offset
        return _cast(buffer.ctype, place, "" if write else "const ")


def _cast(ctype: str, offset: int, const: str = "") -> str:
    return (
        f"({const}{ctype} *)(const void *)(a + {offset})"
        if const
        else f"({ctype} *)(void *)(a + {offset})"
    )
