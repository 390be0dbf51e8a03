# SPDX-License-Identifier: Apache-2.0
"""From a failing network to the smallest one that still fails.

Each round asks one image with many smaller networks, since on a board every image is a flash: for
each failing network, every parameter is made simpler by itself; so are many of them at once, and
all of those that still failed in the round before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from hil.conform.cases import Case
from hil.conform.kernel import SIZED, Value
from hil.conform.verdicts import Verdict
from hil.core.records import packed_bytes
from hil.tflite.graph import constant_bytes

ROUNDS: Final = 8
PER_KERNEL: Final = 2  # failing networks of a kernel and type that are shrunk: the smallest ones
Ask: TypeAlias = Callable[[Sequence[Case]], Iterator[Verdict]]


@dataclass
class _Shrinking:
    """A failing network on its way. ``tried``: shapes that were asked, or are not smaller."""

    best: Verdict
    tried: set[tuple[tuple[str, Value], ...]] = field(default_factory=set)
    joint: dict[str, Value] = field(default_factory=dict)
    number: int = 0

    def candidates(self) -> list[Case]:
        """Smaller networks that were not asked yet."""
        now = self.best.case.recipe.values
        together = [self.joint] if len(self.joint) > 1 else []
        together += list(_many(self.best.case))
        changes = [{**now, **one} for one in together]
        changes += [{**now, name: value} for name, value in _simpler(self.best.case)]
        found = []
        for values in changes:
            self.number += 1
            name = f"{self.best.case.origin}_c{self.number}"
            case = self.best.case.with_values(MappingProxyType(values), name)
            key = tuple(sorted(case.recipe.values.items()))
            if key not in self.tried and size(case) < size(self.best.case):
                self.tried.add(key)
                found.append(case)
        return found

    def take(self, verdicts: Sequence[Verdict]) -> bool:
        """Go on with the smallest network that fails; whether there is one."""
        failing = [one for one in verdicts if one.failed]
        now = self.best.case.recipe.values
        self.joint = {}
        for one in sorted(failing, key=lambda one: size(one.case), reverse=True):
            changed = {k: v for k, v in one.case.recipe.values.items() if now[k] != v}
            self.joint |= changed if len(changed) == 1 else {}
        if failing:
            self.best = min(failing, key=lambda one: size(one.case))
        return bool(failing)


def size(case: Case) -> tuple[int, int]:
    """What is to become small: first bytes, then how far the parameters are from the simplest."""
    graph = case.graph
    total = constant_bytes(graph) + packed_bytes(graph.inputs) + packed_bytes(graph.outputs)
    parameters = case.kernel.parameters
    return total, sum(
        abs(value - int(parameters[name][0]))
        if isinstance(value, int)
        else parameters[name].index(value)
        for name, value in case.recipe.values.items()
    )


def smallest(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Of each kernel and type, the failing networks that are worth shrinking."""
    found: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in sorted((one for one in verdicts if one.failed), key=lambda v: size(v.case)):
        group = found.setdefault((verdict.case.kernel.name, verdict.case.recipe.dtype), [])
        if len(group) < PER_KERNEL:
            group.append(verdict)
    return [verdict for group in found.values() for verdict in group]


def shrink(
    failing: Sequence[Verdict], ask: Ask, rounds: int, told: Callable[[Sequence[Verdict]], None]
) -> tuple[Verdict, ...]:
    """The smallest network that fails for each of ``failing``. ``told``: after every round."""
    shrinking = [_Shrinking(verdict) for verdict in failing]
    active = list(shrinking)
    for _ in range(rounds):
        wanted = {one.best.case.origin: (one, one.candidates()) for one in active}
        cases = [case for _, found in wanted.values() for case in found]
        if not cases:
            break
        said: dict[str, list[Verdict]] = {}
        for verdict in ask(cases):
            said.setdefault(verdict.case.origin, []).append(verdict)
        active = [one for one, _ in wanted.values() if one.take(said.get(one.best.case.origin, []))]
        told([one.best for one in shrinking])
    return tuple(one.best for one in shrinking)


def _many(case: Case) -> Iterator[dict[str, Value]]:
    """Many parameters at once: the simplest quantisation, the smallest sizes, sizes halved."""
    plain = {name: choices[0] for name, choices in case.kernel.parameters.items()}
    sizes = {name: value for name, value in plain.items() if name in SIZED}
    yield {name: value for name, value in plain.items() if name not in SIZED}
    yield sizes
    yield {
        name: (int(case.recipe.values[name]) + least) // 2
        for name, least in sizes.items()
        if isinstance(least, int)
        and (name in ("height", "width", "inputs", "outputs", "channels", "length"))
    }


def _simpler(case: Case) -> Iterator[tuple[str, Value]]:
    """Each parameter with up to three simpler values."""
    for name, value in case.recipe.values.items():
        plain = case.kernel.parameters[name][0]
        if value == plain:
            continue
        if isinstance(value, int) and isinstance(plain, int):
            if name == "skew" or name.startswith("zero"):
                yield name, plain
                continue
            step = 1 if value > plain else -1
            yield from (
                (name, v) for v in dict.fromkeys((plain, (value + plain) // 2, value - step))
            )
        else:
            yield name, plain
