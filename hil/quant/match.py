# SPDX-License-Identifier: Apache-2.0
"""Which layer of an int8 network is which layer of the float32 network it was made from.

Converters fuse activations, fold batch normalisation, insert QUANTIZE and DEQUANTIZE, and rename
tensors, in one of the two graphs or in both. Steps are matched by their tensor's name where both
graphs have it, then by order, operator and shape. A step is an operator, or the activation that is
fused into it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hil.core.errors import ModelError
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import INT8, INT16, RESHAPES, UINT8, layer

QUANTISED: Final = (INT8, UINT8, INT16)
INPUT, OUTPUT = "INPUT", "OUTPUT"  # instead of an operator's name
CONVERSIONS: Final = ("QUANTIZE", "DEQUANTIZE")
CONTROL: Final = frozenset(
    ("WHILE", "IF", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
)
_ACTIVATIONS: Final = {1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH"}
# of these, one graph may have fused what the other computes in a step
_FOLLOWING: Final = ("RELU", "RELU_N1_TO_1", "RELU6", "MUL", "ADD", "SUB", "DIV")
_LONGEST: Final = 1 << 22  # pairs of steps that are compared by order
_SAME_NAME, _SAME_WEIGHTS, _SAME_CODE = 3.0, 4.0, 2.0
_ALIKE: Final = 0.9  # correlation of weights of one layer


@dataclass(frozen=True, slots=True)
class Step:
    """What one operator computes, or the activation fused into it. ``tensor``: None where the
    value is never stored, as before a fused activation."""

    operator: Operator
    code: str
    shape: tuple[int, ...]
    tensor: int | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant that both graphs have: input ``position`` of ``operator`` (an index into the float
    graph's operators), tensor ``real`` there and tensor ``codes`` of the int8 graph."""

    operator: int
    position: int
    real: int
    codes: int


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that both graphs have.

    ``real``: the tensor of the float graph with its output; ``codes``: that of the int8 graph.
    Both are None where an output is stored in one of the graphs only. ``operators`` and
    ``integers``: positions of its operators in the two graphs; none of an input.
    """

    name: str
    code: str
    real: int | None
    codes: int | None
    operators: tuple[int, ...] = ()
    integers: tuple[int, ...] = ()
    constants: tuple[Constant, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """Two graphs of one network, and their layers in the float graph's order, inputs first.

    ``alone``, ``alone_int8``: steps that only one of them has. ``why``: why only inputs and
    outputs could be matched; empty if layers were. ``sources``: tensor of the int8 graph -> the
    float graph's tensor with the same values, for every tensor that was matched.
    """

    plain: Graph
    coded: Graph
    layers: tuple[Layer, ...]
    alone: tuple[str, ...]
    alone_int8: tuple[str, ...]
    sources: dict[int, int]
    why: str = ""


def match(plain: Graph, coded: Graph) -> Pair:
    """The layers of ``coded``, an int8 (or uint8, int16) network, in the float32 network ``plain``.

    ModelError if they are not two precisions of one network.
    """
    _check(plain, coded)
    ends = _ends(plain, coded)
    why = next((reason for graph in (plain, coded) if (reason := _beyond(graph))), "")
    if why:
        layers = [*ends, *_outputs(plain, coded)]
        return Pair(plain, coded, tuple(layers), (), (), _sources(coded, layers), why)
    ours, theirs = _steps(plain), _steps(coded)
    pairs = _aligned(plain, coded, ours, theirs)
    layers = [*ends, *_layers(plain, coded, ours, theirs, pairs)]
    alone, alone_int8 = (
        tuple(
            f"{layer(graph, [step.operator], step.operator.outputs[0]).name} ({step.code})"
            for i, step in enumerate(steps)
            if i not in found
        )
        for graph, steps, found in (
            (plain, ours, {i for i, _ in pairs}),
            (coded, theirs, {j for _, j in pairs}),
        )
    )
    return Pair(plain, coded, tuple(layers), alone, alone_int8, _sources(coded, layers))


def _check(plain: Graph, coded: Graph) -> None:
    if coded.precision.integer is False:
        what = (
            "has int8 weights and computes in float32 (dynamic range)"
            if any(t.dtype == INT8 and t.data is not None for t in coded.tensors)
            else "computes in float32"
        )
        raise ModelError(
            f"{coded.where} {what}", "give the float32 file first, then a fully quantised int8 file"
        )
    if plain.precision.integer:
        raise ModelError(
            f"{plain.where} computes in {plain.precision}",
            "give the float32 file first, then the int8 file",
        )
    for what, first, second in (
        ("inputs", plain.inputs, coded.inputs),
        ("outputs", plain.outputs, coded.outputs),
    ):
        shapes = [[_plain_shape(one.shape) for one in specs] for specs in (first, second)]
        if shapes[0] != shapes[1]:
            words = [", ".join(str(list(one.shape)) for one in specs) for specs in (first, second)]
            raise ModelError(
                f"{plain.where} and {coded.where} are not the same network: {what} of shape "
                f"{words[0]} and {words[1]}",
                "give two files that were converted from one model",
            )


def _plain_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without axes of 1."""
    return tuple(n for n in shape if n != 1)


def _beyond(graph: Graph) -> str:
    """Why the layers of a graph cannot be taken one by one; empty if they can."""
    if found := sorted({op.code for op in graph.operators} & CONTROL):
        return f"{graph.where} has {', '.join(found)}: values that it keeps, or loops"
    if graph.others:
        return f"{graph.where} has loops or several subgraphs"
    return ""


def _ends(plain: Graph, coded: Graph) -> list[Layer]:
    """The inputs, as layers that only quantise."""
    after = {op.inputs[0]: op.outputs[0] for op in coded.operators if op.code == "QUANTIZE"}
    found = []
    for name, real, given in zip(
        plain.names_in, plain.input_indices, coded.input_indices, strict=True
    ):
        codes = given if coded.tensors[given].dtype in QUANTISED else after.get(given, given)
        found.append(Layer(_called(name) or "input", INPUT, real, codes))
    return found


def _outputs(plain: Graph, coded: Graph) -> list[Layer]:
    return [
        Layer(_called(name) or "output", OUTPUT, real, codes)
        for name, real, codes in zip(
            plain.names_out, plain.output_indices, coded.output_indices, strict=True
        )
    ]


def _called(name: str) -> str:
    """A tensor's name without what converters add to it."""
    plain = name.removeprefix("serving_default_").split(";")[0]
    return re.sub(r"(:\d+|_u?int8|_int16|_requantized|_dequantized?)+$", "", plain)


def _steps(graph: Graph) -> list[Step]:
    """The operators of a graph in order, a fused activation as a step of its own; conversions
    between float32 and integers are not counted."""
    found = []
    for op in graph.operators:
        if op.code in CONVERSIONS:
            continue
        for number, index in enumerate(op.outputs):
            tensor = graph.tensors[index]
            code = op.code if not number else f"{op.code}:{number}"
            activation = _ACTIVATIONS.get(int(op.options.get("activation", 0)))
            if activation and not op.code.startswith("UNIDIRECTIONAL"):
                found.append(Step(op, code, tensor.shape, None))
                code = activation
            found.append(Step(op, code, tensor.shape, index, _called(tensor.name)))
    return found


def _code(step: Step) -> str:
    return RESHAPES[0] if step.code in RESHAPES else step.code


def _aligned(
    plain: Graph, coded: Graph, ours: Sequence[Step], theirs: Sequence[Step]
) -> list[tuple[int, int]]:
    """Positions of steps that are the same in both."""
    pairs = _by_name(ours, theirs)
    left = [i for i in range(len(ours)) if i not in {i for i, _ in pairs}]
    right = [j for j in range(len(theirs)) if j not in {j for _, j in pairs}]
    if left and right and len(left) * len(right) <= _LONGEST:
        rank = {i: sum(a < i for a, _ in pairs) for i in left}
        other = {j: sum(b < j for _, b in pairs) for j in right}

        def score(i: int, j: int) -> float:
            one, two = ours[i], theirs[j]
            if _plain_shape(one.shape) != _plain_shape(two.shape):
                return 0.0
            same = _code(one) == _code(two)
            if not same and (not one.name or one.name != two.name):
                return 0.0
            found = _SAME_CODE * same + _SAME_NAME * (one.name == two.name)
            if same and _alike(plain, coded, one.operator, two.operator):
                found += _SAME_WEIGHTS
            return found + (rank[i] == other[j])

        pairs += _by_order(left, right, score)
    return sorted(pairs)


def _by_name(ours: Sequence[Step], theirs: Sequence[Step]) -> list[tuple[int, int]]:
    """Steps with a tensor name that each graph has once, the same operator and the same shape; and
    the values before their fused activations."""
    places: list[dict[str, list[int]]] = [defaultdict(list), defaultdict(list)]
    for found, steps in zip(places, (ours, theirs), strict=True):
        for i, step in enumerate(steps):
            if step.name:
                found[step.name].append(i)
    pairs = []
    for name, (i, *more) in places[0].items():
        j, *others = places[1].get(name, [-1])
        if more or others or j < 0:
            continue
        one, two = ours[i], theirs[j]
        if _code(one) != _code(two) or _plain_shape(one.shape) != _plain_shape(two.shape):
            continue
        pairs.append((i, j))
        before, prior = ours[max(i - 1, 0)], theirs[max(j - 1, 0)]
        if before.tensor is None and prior.tensor is None and before.code == prior.code:
            pairs.append((i - 1, j - 1))
    return pairs


def _by_order(
    left: Sequence[int], right: Sequence[int], score: Callable[[int, int], float]
) -> list[tuple[int, int]]:
    """The pairs in order with the largest sum of scores (Needleman and Wunsch's alignment, with
    gaps that cost nothing)."""
    best = np.zeros((len(left) + 1, len(right) + 1))
    values = np.array([[score(i, j) for j in right] for i in left])
    for a in range(len(left)):
        for b in range(len(right)):
            pair = best[a, b] + values[a, b] if values[a, b] else 0.0
            best[a + 1, b + 1] = max(pair, best[a, b + 1], best[a + 1, b])
    a, b = len(left), len(right)
    pairs = []
    while a and b:
        value = values[a - 1, b - 1]
        if value and best[a, b] == best[a - 1, b - 1] + value:
            a, b = a - 1, b - 1
            pairs.append((left[a], right[b]))
        elif best[a, b] == best[a - 1, b]:
            a -= 1
        else:
            b -= 1
    return pairs


def _alike(plain: Graph, coded: Graph, one: Operator, two: Operator) -> bool:
    """Whether the first constants of two operators are the same numbers, quantisation aside."""
    for first, second in zip(one.inputs, two.inputs, strict=False):
        if first < 0 or second < 0:
            continue
        real, codes = plain.tensors[first], coded.tensors[second]
        if real.data is None or codes.data is None or real.shape != codes.shape:
            continue
        if real.elements < 2 or real.data.dtype.kind != "f" or not codes.scales:
            return False
        x, y = real.data.reshape(-1).astype(float), real_values(codes).reshape(-1).astype(float)
        if not x.std() or not y.std():
            return False
        return bool(np.corrcoef(x, y)[0, 1] > _ALIKE)
    return False


def real_values(tensor: Tensor) -> npt.NDArray[np.float32]:
    """A constant's values as real numbers."""
    assert tensor.data is not None
    if not tensor.scales:
        return tensor.data.astype(np.float32)
    shape = [1] * len(tensor.shape)
    if len(tensor.scales) > 1:
        shape[tensor.axis] = -1
    scales = np.array(tensor.scales, np.float32).reshape(shape if shape else ())
    zeros = np.array(tensor.zero_points, np.int64).reshape(shape if shape else ())
    return ((tensor.data.astype(np.int64) - zeros).astype(np.float32) * scales).astype(np.float32)


def _layers(
    plain: Graph,
    coded: Graph,
    ours: Sequence[Step],
    theirs: Sequence[Step],
    pairs: Sequence[tuple[int, int]],
) -> list[Layer]:
    """Matched steps, those of one operator together."""
    groups: list[tuple[set[int], set[int]]] = []  # steps of either graph
    readers = [_readers(plain), _readers(coded)]
    for i, j in pairs:
        first = {i, *_following(ours, i, {i for i, _ in pairs}, plain, readers[0])}
        second = {j, *_following(theirs, j, {j for _, j in pairs}, coded, readers[1])}
        same = [
            group
            for group in groups
            if {ours[k].operator.index for k in group[0]} & {ours[k].operator.index for k in first}
            or {theirs[k].operator.index for k in group[1]}
            & {theirs[k].operator.index for k in second}
        ]
        groups = [group for group in groups if group not in same]
        groups.append((first.union(*(g[0] for g in same)), second.union(*(g[1] for g in same))))
    paired = dict(pairs)
    return [
        _layer(plain, coded, ours, theirs, sorted(first), sorted(second), paired)
        for first, second in sorted(groups, key=lambda group: min(group[0]))
    ]


def _layer(
    plain: Graph,
    coded: Graph,
    ours: Sequence[Step],
    theirs: Sequence[Step],
    first: Sequence[int],
    second: Sequence[int],
    paired: dict[int, int],
) -> Layer:
    operators = list({ours[i].operator.index: ours[i].operator for i in first}.values())
    integers = list(dict.fromkeys(theirs[j].operator.index for j in second))
    last, end = ours[first[-1]], theirs[second[-1]]
    output = last.operator.outputs[0] if last.tensor is None else last.tensor
    found = layer(plain, operators, output)
    constants = {
        (c.operator, c.position): c
        for i in first
        if i in paired
        for c in _constants(plain, coded, ours[i].operator, theirs[paired[i]].operator)
    }
    return Layer(
        found.name,
        found.ops,
        last.tensor,
        end.tensor,
        tuple(op.index for op in operators),
        tuple(integers),
        tuple(constants.values()),
    )


def _constants(plain: Graph, coded: Graph, one: Operator, two: Operator) -> Iterable[Constant]:
    if one.code != two.code:
        return
    # weights that are stored in float16
    widened = {op.outputs[0]: op.inputs[0] for op in plain.operators if op.code == "DEQUANTIZE"}
    for position, (real, codes) in enumerate(zip(one.inputs, two.inputs, strict=False)):
        if real < 0 or codes < 0:
            continue
        real = widened.get(real, real)
        first, second = plain.tensors[real], coded.tensors[codes]
        if first.data is None or second.data is None or not second.scales:
            continue
        if first.shape == second.shape and first.data.dtype.kind == "f":
            yield Constant(one.index, position, real, codes)


def _readers(graph: Graph) -> Counter[int]:
    return Counter(i for op in graph.operators for i in op.inputs if i >= 0)


def _following(
    steps: Sequence[Step], at: int, matched: set[int], graph: Graph, readers: Counter[int]
) -> list[int]:
    """Steps after one that only this graph has, and that the other has fused into the step."""
    found: list[int] = []
    for i in range(at + 1, len(steps)):
        step, before = steps[i], steps[i - 1]
        if i in matched or step.code not in _FOLLOWING or step.shape != before.shape:
            break
        if before.operator is not step.operator:
            data = [k for k in step.operator.inputs if k >= 0 and graph.tensors[k].data is None]
            if data != [before.tensor] or readers[data[0]] != 1:
                break
        found.append(i)
    return found


def _sources(coded: Graph, layers: Iterable[Layer]) -> dict[int, int]:
    """See `Pair.sources`."""
    found = {
        one.codes: one.real for one in layers if one.codes is not None and one.real is not None
    }
    for op in coded.operators:
        if op.code in CONVERSIONS and op.inputs[0] in found:
            found.setdefault(op.outputs[0], found[op.inputs[0]])
    for op in reversed(coded.operators):  # an input that is float32, before its QUANTIZE
        if op.code in CONVERSIONS and op.outputs[0] in found:
            found.setdefault(op.inputs[0], found[op.outputs[0]])
    return found
