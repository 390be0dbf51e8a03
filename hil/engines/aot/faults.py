# SPDX-License-Identifier: Apache-2.0
"""Faults injected into generated code, to prove that a bench locates each of them.

The network's file stays as it is, so the host still expects the right answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hil.core.errors import UsageError
from hil.engines.aot.nodes import Plan
from hil.engines.aot.steps import Step
from hil.engines.aot.weighted.conv import Conv

KINDS = ("weight", "shift", "padding")


@dataclass(frozen=True, slots=True)
class Fault:
    """What breaks in layer number ``layer``, from 0, of the network called ``model``.

    weight: the largest weight of output channel ``channel`` becomes 0, as if a flash cell lost its
    charge. shift: the requantisation of ``channel`` shifts one bit further, which halves its
    outputs. padding: the windows start one row lower, as if the picture had one row of padding
    less above it and one more below it.
    """

    kind: str
    model: str
    layer: int
    channel: int = 0

    @staticmethod
    def parse(text: str) -> Fault:
        """``KIND:MODEL:LAYER[:CHANNEL]``; UsageError for anything else."""
        kind, _, rest = text.partition(":")
        model, _, numbers = rest.partition(":")
        parts = numbers.split(":")
        if (
            kind not in KINDS
            or not model
            or len(parts) > 2
            or not all(p.isdecimal() for p in parts)
        ):
            raise UsageError(
                f"{text!r} is not a fault",
                f"write KIND:MODEL:LAYER[:CHANNEL], kinds {', '.join(KINDS)}",
            )
        return Fault(kind, model, *map(int, parts))

    def apply(self, plan: Plan) -> tuple[Step, ...]:
        """The steps with this fault; UsageError if the layer has no part of that ``kind``."""
        steps = plan.steps
        numbers = [i for i, node in enumerate(plan.nodes) for _ in plan.shown(node)]
        number = numbers[self.layer] if self.layer < len(numbers) else -1
        step = steps[number] if number >= 0 else None
        if not isinstance(step, Conv) or self.channel >= step.cout:
            raise self._nothing("no weighted layer, or no channel, of that number")
        broken = {"weight": self._weight, "shift": self._shift, "padding": self._padding}[self.kind]
        return (*steps[:number], broken(step), *steps[number + 1 :])

    def _weight(self, step: Conv) -> Conv:
        weights = step.weights.copy()
        flat = weights.reshape(step.cout, -1)[self.channel]
        heaviest = int(np.abs(flat.astype(np.float64)).argmax())
        if not flat[heaviest]:
            raise self._nothing("all weights are 0 there")
        lost = int(flat[heaviest]) if step.quant else 0
        flat[heaviest] = 0
        if step.quant is None:
            return replace(step, weights=weights)
        bias = step.quant.bias.copy()  # has the input's zero point folded in
        bias[self.channel] += step.quant.input_zero * lost
        return replace(step, weights=weights, quant=replace(step.quant, bias=bias))

    def _shift(self, step: Conv) -> Conv:
        if step.quant is None:
            raise self._nothing("float32 has no shift")
        shifts = step.quant.shifts.copy()
        shifts[self.channel] -= 1
        return replace(step, quant=replace(step.quant, shifts=shifts))

    def _padding(self, step: Conv) -> Conv:
        if not step.rows.before:
            raise self._nothing("it has no padding above")
        rows = replace(step.rows, before=step.rows.before - 1)
        return replace(step, rows=rows)

    def _nothing(self, why: str) -> UsageError:
        return UsageError(f"no {self.kind} to break in layer {self.layer} of {self.model}: {why}")
