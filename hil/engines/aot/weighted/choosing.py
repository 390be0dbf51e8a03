# SPDX-License-Identifier: Apache-2.0
"""Which weighted layers get a buffer or planes: those where it is free, or saves enough work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hil.engines.aot.nodes import Arenas
from hil.engines.aot.steps import Step
from hil.engines.aot.weighted.conv import (
    GATHERED_CHANNELS,
    QUAD,
    Conv,
    arranged,
    pools_all,
    tile,
)
from hil.engines.aot.weighted.conv_gather import in_one_call, shareable
from hil.engines.aot.weighted.conv_planes import candidates, cost
from hil.engines.aot.weighted.finish import Finish
from hil.engines.aot.weighted.gather_layout import portions, products

WORTH = 128  # instructions to save per byte by which the arena grows
_SAVED = 0.5  # instructions saved per multiplication, on a Cortex-M7
_DEPTHWISE = 5.5  # instructions per multiplication of a depthwise one without planes
_DIRECT = 0.4  # the same without a buffer


def choose_gathered(steps: Sequence[Step], arenas: Arenas) -> tuple[Step, ...]:
    """``steps``, with buffers (`Conv.gathered`) or planes where they are free or save enough."""
    chosen = [arranged(s) if isinstance(s, Conv) else s for s in steps]
    arenas.keep(chosen)
    for i, step in enumerate(chosen):
        if not isinstance(step, Conv):
            continue
        best: tuple[float, Step] = (0, step)
        for saved, trial in _ways(step):
            grown = arenas.grown([*chosen[:i], trial, *chosen[i + 1 :]])
            best = max(best, (saved - WORTH * grown, trial), key=lambda one: one[0])
        if best[1] is not step:
            chosen[i] = best[1]
            arenas.keep(chosen)
    return tuple(chosen)


def _ways(step: Conv) -> Iterator[tuple[float, Step]]:
    """Other ways to compute ``step``, and about how many instructions they save."""
    if step.depthwise:
        for planar in candidates(step):
            yield _DEPTHWISE * products(step) - cost(planar), planar
        return
    if pools_all(step) and step.post.limits is not None:
        averaged = replace(step, gathered=True, averaged=True)
        if _possible(averaged) and in_one_call(averaged, Finish(averaged, "", False)):
            yield _SAVED * products(step), averaged
    if not _possible(step):
        return
    gathered = replace(step, gathered=True)
    yield _SAVED * products(step), gathered
    if shareable(gathered, Finish(gathered, "", wide=False)):
        saved = _SAVED * products(step) + _sharing(step)
        yield saved, replace(gathered, shared=True)
    one = step.rows.count * step.columns.count == step.rows.window * step.columns.window == 1
    if (
        one
        and step.pool is None
        and step.cin % 4 == 0
        and in_one_call(step, Finish(step, "", False))
    ):
        yield _DIRECT * products(step), replace(step, direct=True)


def _sharing(conv: Conv) -> float:
    """About how many instructions are saved by computing four points at a time, not two."""
    count, cin = conv.rows.count * conv.columns.count, conv.cin
    pairs = -(-count // 2) * (conv.cout / 4 * (6.1 * cin + 63) + 3.1 * cin)
    quads = -(-count // QUAD) * (conv.cout / 2 * (5.1 * cin + 86) + 8 * cin)
    return pairs - quads


def _possible(conv: Conv) -> bool:
    """Whether two channels fit one word, and a tile of channels the registers."""
    return (
        conv.quant is not None
        and not conv.depthwise
        and (conv.pool is None or not tile(conv).patch)
        and conv.cout % GATHERED_CHANNELS == 0
        and bool((conv.weights != -128).all())
        and bool(portions(conv))
    )
