# SPDX-License-Identifier: Apache-2.0
"""Copies: of a value that must be in two places, such as an output that is also an input, of
constants that an operator reads from RAM, and of new values to the end of a state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hil.engines.aot.nodes import Node
from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import CTYPES, Buffer
from hil.tflite import Graph, Operator
from hil.tflite.graph import WEIGHTED, data_input


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """``values``: a constant to copy from flash; None: the only source is copied."""

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    buffer: Buffer
    values: npt.NDArray[np.generic] | None = None

    @property
    def sources(self) -> tuple[Buffer, ...]:
        return () if self.values is not None else (self.buffer,)

    @property
    def targets(self) -> tuple[Buffer, ...]:
        return (self.buffer,)

    @property
    def leads(self) -> tuple[int | None, ...]:
        return tuple(None for _ in self.sources)


def emit_copy(step: Copy, prefix: str) -> Emitted:
    """The C code of a copy; its function is ``prefix(in, out)``, or ``prefix(out)``."""
    ctype, nbytes = step.buffer.ctype, step.buffer.nbytes
    w = Writer()
    if step.values is None:
        with w.block(f"static inline void {prefix}(const {ctype} *in, {ctype} *out)"):
            w(f"memcpy(out, in, {nbytes});")
        return Emitted([], str(w))
    array = Array(f"{prefix}_c", step.values, "a constant")
    with w.block(f"static inline void {prefix}({ctype} *out)"):
        value = read(array.ctype, array.name, "i")
        w(f"for (int i = 0; i < {step.values.size}; ++i) out[i] = {value};")
    return Emitted([array], str(w))


def copied_constants(
    graph: Graph, operators: Sequence[Operator]
) -> tuple[Graph, list[Operator], dict[int, Node]]:
    """The operators, of which those that read constants only read a copy of one in RAM.

    Such as the first time step of a recurrent layer. The third result has the copies by tensor.
    """
    tensors = list(graph.tensors)
    found = []
    copies: dict[int, int] = {}  # constant -> its copy
    nodes: dict[int, Node] = {}
    for operator in operators:
        read = [tensors[i] for i in operator.inputs if i >= 0]
        if read and all(t.data is not None for t in read):
            source = data_input(operator) if operator.code in WEIGHTED else operator.inputs[0]
            tensor = tensors[source]
            if source >= 0 and tensor.dtype in CTYPES:
                if source not in copies:
                    copies[source] = made = len(tensors)
                    tensors.append(replace(tensor, index=-1, data=None))
                    buffer = Buffer.of(tensors[-1])
                    step = Copy(f"constant_{source}", "a constant", buffer, tensor.data)
                    nodes[made] = Node(step, (), (made,))
                made = copies[source]
                inputs = tuple(made if i == source else i for i in operator.inputs)
                operator = replace(operator, inputs=inputs)
        found.append(operator)
    return replace(graph, tensors=tuple(tensors)), found, nodes


@dataclass(frozen=True, slots=True)
class Shift:
    """A state moves towards its start, and its last values become those of ``frame``."""

    scratch_bytes: ClassVar[int] = 0
    targets: ClassVar[tuple[Buffer, ...]] = ()
    leads: ClassVar[tuple[int | None, ...]] = (None, None)

    name: str
    note: str
    frame: Buffer
    state: Buffer

    @property
    def sources(self) -> tuple[Buffer, ...]:
        return (self.frame, self.state)


def plan_assignment(operator: Operator, graph: Graph, name: str, note: str) -> Copy | Shift:
    """An ASSIGN_VARIABLE as `with_states` writes it: of a value, or of a frame to append."""
    buffers = [Buffer.of(graph.tensors[i]) for i in operator.inputs]
    if operator.outputs:
        return Copy(name, note, buffers[0])
    return Shift(name, note, *buffers)


def emit_shift(step: Shift, prefix: str) -> Emitted:
    """The C code; its function is ``prefix(frame, state)``."""
    ctype, more = step.frame.ctype, step.frame.nbytes
    rest = step.state.nbytes - more
    w = Writer()
    with w.block(f"static inline void {prefix}(const {ctype} *in, {ctype} *state)"):
        w("uint8_t *const bytes = (uint8_t *)state;")
        words = more % 4 == 0 and more >= 16
        w(f"hil_shift{'_words' if words else ''}(bytes, {more}, {rest});")
        w(f"memcpy(bytes + {rest}, in, {more});")
    return Emitted([], str(w), ("shifting",))
