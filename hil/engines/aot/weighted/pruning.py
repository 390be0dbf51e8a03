# SPDX-License-Identifier: Apache-2.0
"""Leave out channels that no input can change, and those that only they need.

Training with a regularisation leaves channels whose output is the same for every input. What such
a channel adds to the next convolution is a constant, which belongs to its bias. Then neither layer
has to compute the channel, nor a depthwise convolution between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hil.engines.aot import arithmetic
from hil.engines.aot.nodes import Plan
from hil.engines.aot.steps import Step
from hil.engines.aot.weighted.conv import Conv, Requantization, without_constant_sums

Constants = dict[int, int]  # channel -> its value everywhere
_TOGETHER = 4  # channels of a block of the fast kernels: what stays is a multiple of this


def pruned(plan: Plan) -> Plan:
    """The same network with fewer channels between its convolutions."""
    before = _producers(plan)
    while True:
        fewer = plan.with_steps(_once(list(plan.steps), before))
        if _channels(fewer) == _channels(plan):
            return plan
        plan = fewer  # which may have made more channels constant


def _channels(plan: Plan) -> list[int]:
    return [step.cin for step in plan.steps if isinstance(step, Conv)]


def _once(steps: list[Step], before: Mapping[int, int]) -> list[Step]:
    constant: dict[int, Constants] = {}  # number of a step -> of its output
    for i, step in enumerate(steps):
        if not isinstance(step, Conv) or step.quant is None:
            continue
        known = constant.get(before.get(i, -1), {})
        if step.depthwise:
            steps[i] = step = _with_constants(step, known)
        constant[i] = _constants(step)
    dropped: dict[int, list[int]] = {}  # number of a step -> channels of its output
    for i in reversed(range(len(steps))):
        step = steps[i]
        if i not in before or not isinstance(step, Conv):
            continue
        if step.depthwise:
            dropped[before[i]] = dropped.get(i, [])
        elif _removable(before[i], steps, before):
            unused = _unused(step, constant[before[i]])
            left = max(step.cin - len(unused), 1)
            left += -left % _TOGETHER
            dropped[before[i]] = unused[: max(step.cin - left, 0)]
    for i, step in enumerate(steps):
        if isinstance(step, Conv):
            taken = dropped.get(before.get(i, -1), [])
            known = constant.get(before.get(i, -1), {})
            steps[i] = _smaller(step, taken, known, dropped.get(i, []))
    return steps


def _removable(i: int, steps: Sequence[Step], before: Mapping[int, int]) -> bool:
    """Whether step ``i`` can do without some of its outputs."""
    step = steps[i]
    if not isinstance(step, Conv) or not step.depthwise:
        return True
    # it then needs fewer inputs
    return step.cin == step.cout and i in before and _removable(before[i], steps, before)


def _producers(plan: Plan) -> dict[int, int]:
    """Convolutions that read the output of another one, which nothing else reads -> that one."""
    writer = {tensor: i for i, node in enumerate(plan.nodes) for tensor in node.outputs}
    uses = Counter(plan.root(t) for node in plan.nodes for t in node.inputs)
    found = {}
    for i, node in enumerate(plan.nodes):
        if not isinstance(node.step, Conv) or len(node.inputs) != 1:
            continue
        root = plan.root(node.inputs[0])
        producer = writer.get(root, -1)
        if producer < 0 or uses[root] != 1 or root in plan.written:
            continue
        made = plan.nodes[producer].step
        if not isinstance(made, Conv) or made.quant is None or node.step.quant is None:
            continue
        if made.cout == node.step.cin:
            found[i] = producer
    return found


def _constants(conv: Conv) -> Constants:
    """The channels of its output that have the same value for every input."""
    quant = conv.quant
    assert quant is not None
    idle = ~conv.weights.reshape(conv.cout, -1).any(axis=1)
    found = {}
    for c in np.flatnonzero(idle).tolist():
        total, multiplier, shift = int(quant.bias[c]), quant.multipliers[c], quant.shifts[c]
        code = arithmetic.requantized(total, int(multiplier), int(shift), quant.output_zero)
        code = conv.pre.table[code + 128]
        found[c] = conv.post.table[code + 128] if conv.pool else code
    return found


def _folds(conv: Conv, value: int) -> bool:
    """Whether an input channel of this value is the same below every window."""
    assert conv.quant is not None
    return not conv.padded or value == conv.quant.input_zero


def _with_constants(conv: Conv, known: Constants) -> Conv:
    """A depthwise convolution without the weights of channels whose inputs are constant."""
    assert conv.quant is not None
    weights, bias = conv.weights.copy(), conv.quant.bias.copy()
    times = conv.cout // conv.cin
    for c, value in known.items():
        if _folds(conv, value):
            outputs = slice(c * times, (c + 1) * times)
            bias[outputs] += value * weights[outputs].astype(np.int64).reshape(times, -1).sum(
                axis=1
            )
            weights[outputs] = 0
    weights, quant = without_constant_sums(weights, replace(conv.quant, bias=bias))
    return replace(conv, weights=weights, quant=quant)


def _unused(conv: Conv, known: Constants) -> list[int]:
    """The input channels that a convolution can do without."""
    idle = np.abs(conv.weights.astype(np.int64)).reshape(-1, conv.cin).sum(axis=0) == 0
    return [c for c in range(conv.cin) if idle[c] or (c in known and _folds(conv, known[c]))]


def _smaller(conv: Conv, taken: list[int], known: Constants, made: list[int]) -> Conv:
    """``conv`` without the input channels ``taken`` and the output channels ``made``."""
    if not taken and not made:
        return conv
    assert conv.quant is not None
    weights, quant = conv.weights, conv.quant
    if not conv.depthwise and taken:
        lost = weights[..., taken].astype(np.int64).reshape(conv.cout, -1, len(taken)).sum(axis=1)
        values = np.array([known.get(c, 0) for c in taken], np.int64)
        quant = replace(quant, bias=quant.bias + lost @ values)
        weights = np.delete(weights, taken, axis=3)
    weights = np.delete(weights, made, axis=0)
    weights, quant = without_constant_sums(weights, _without(quant, made))
    cin, cout = conv.cin - len(taken), conv.cout - len(made)
    note = f"{conv.note}, {cin} -> {cout} channels are not constant"
    return replace(
        conv, weights=np.ascontiguousarray(weights), quant=quant, cin=cin, cout=cout, note=note
    )


def _without(quant: Requantization, channels: list[int]) -> Requantization:
    def left(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.delete(values, channels)

    return replace(
        quant,
        bias=left(quant.bias),
        multipliers=left(quant.multipliers),
        shifts=left(quant.shifts),
    )
