# SPDX-License-Identifier: Apache-2.0
"""Lists of tensors in the rounds of a loop, so that a round writes one element and not all of them.

The converter writes Keras' lists of results as one tensor: each round cuts it before and after an
element (SLICE) and joins both pieces with the new element (CONCATENATION). Here such a tensor is
known as its pieces along the first axis.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hil.tflite.graph import RESHAPES, Operator, Tensor

_MAX_RANK = 6


class Lists:
    """What is known of the tensors of a growing graph."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self.tensors = tensors
        self._pieces: dict[int, tuple[int, ...]] = {}

    def simplified(self, operator: Operator) -> Operator | int:
        """An operator with the same result, or the tensor that already has it.

        The shapes of slices are those of their constant sizes: the file has only placeholders.
        """
        if operator.code == "SLICE":
            return self._slice(operator)
        if operator.code == "CONCATENATION":
            return self._concatenation(operator)
        if operator.code == "GATHER":
            return self._gather(operator)
        return operator

    def _of(self, tensor: int) -> tuple[int, ...]:
        return self._pieces.get(tensor, (tensor,))

    def _numbers(self, tensor: int) -> list[int] | None:
        data = self.tensors[tensor].data if tensor >= 0 else None
        if data is None or data.dtype.kind not in "iu" or data.size > _MAX_RANK:
            return None
        return [int(v) for v in data.reshape(-1)]

    def _slice(self, operator: Operator) -> Operator | int:
        if len(operator.inputs) != 3 or len(operator.outputs) != 1:
            return operator
        x = self.tensors[operator.inputs[0]]
        begins, sizes = (self._numbers(i) for i in operator.inputs[1:])
        if begins is None or sizes is None or not len(begins) == len(sizes) == len(x.shape):
            return operator
        shape = tuple(
            n - begin if size == -1 else size
            for n, begin, size in zip(x.shape, begins, sizes, strict=True)
        )
        if any(
            not 0 <= begin <= begin + size <= n
            for n, begin, size in zip(x.shape, begins, shape, strict=True)
        ):
            return operator
        result = operator.outputs[0]
        self.tensors[result] = replace(self.tensors[result], shape=shape)
        if not shape or shape[1:] != x.shape[1:] or not shape[0]:
            return operator
        found = self._cut(operator.inputs[0], begins[0], begins[0] + shape[0])
        return operator if found is None else self._joined(operator, found)

    def _cut(self, tensor: int, first: int, last: int) -> tuple[int, ...] | None:
        """The pieces from ``first`` to before ``last``; None if that cuts a computed one."""
        found = []
        at = 0
        for piece in self._of(tensor):
            one = self.tensors[piece]
            low, high = max(first - at, 0), min(last - at, one.shape[0])
            at += one.shape[0]
            if low >= high:
                continue
            if (low, high) == (0, one.shape[0]):
                found.append(piece)
            elif one.data is not None:
                values = np.ascontiguousarray(one.data[low:high])
                self.tensors.append(replace(one, index=-1, shape=values.shape, data=values))
                found.append(len(self.tensors) - 1)
            else:
                return None
        return tuple(found)

    def _joined(self, operator: Operator, pieces: tuple[int, ...]) -> Operator | int:
        if len(pieces) == 1:
            return pieces[0]
        self._pieces[operator.outputs[0]] = pieces
        options = {"axis": 0, "activation": 0}
        return replace(operator, code="CONCATENATION", inputs=pieces, options=options)

    def _concatenation(self, operator: Operator) -> Operator | int:
        """Without inputs that are empty, and with the pieces of the others."""
        if min(operator.inputs, default=-1) < 0 or len(operator.outputs) != 1:
            return operator
        given = [i for i in operator.inputs if self.tensors[i].elements]
        rank = len(self.tensors[operator.outputs[0]].shape)
        shapes = [self.tensors[i].shape for i in given]
        first = int(operator.options["axis"]) in (0, -rank) and rank > 0
        if not given or not first or operator.options["activation"]:
            return replace(operator, inputs=tuple(given))
        if any(len(shape) != rank or shape[1:] != shapes[0][1:] for shape in shapes):
            return operator
        return self._joined(operator, tuple(p for i in given for p in self._of(i)))

    def _gather(self, operator: Operator) -> Operator | int:
        """One element of a list."""
        if len(operator.inputs) != 2 or -1 in operator.inputs or len(operator.outputs) != 1:
            return operator
        numbers = self._numbers(operator.inputs[1])
        x = self.tensors[operator.inputs[0]]
        plain = not operator.options["axis"] and not operator.options["batch_dims"]
        if not plain or not x.shape or numbers is None or len(numbers) != 1:
            return operator
        if not 0 <= numbers[0] < x.shape[0] or operator.inputs[0] not in self._pieces:
            return operator
        found = self._cut(operator.inputs[0], numbers[0], numbers[0] + 1)
        y = self.tensors[operator.outputs[0]]
        if found is None or self.tensors[found[0]].elements != y.elements:
            return operator
        return replace(operator, code=RESHAPES[0], inputs=found, options={})
