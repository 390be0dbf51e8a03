# SPDX-License-Identifier: Apache-2.0
"""The records of cycles.json: estimated cycles of one inference, by a scheduling model of LLVM's.

Keys are a contract, as in `hil.runs.schema`.
"""

from __future__ import annotations

from hil.runs.schema import Stored


class CyclePart(Stored, frozen=True, omit_defaults=True):
    """A function or one of its basic blocks: exact ``instructions``, estimated ``cycles``.

    Of a block: how often it ran, and its code in LLVM's syntax. ``bottleneck``: what limits the
    block, or the most cycles of the function: issue, load, multiply, shift, float or dependency;
    empty in older runs.
    """

    function: str
    instructions: int
    cycles: float
    runs: int = 0
    code: tuple[str, ...] = ()
    bottleneck: str = ""


class CycleLayer(Stored, frozen=True, omit_defaults=True):
    """One layer: its names as in `hil.runs.schema_layers.LayerSeen`, and what it takes.

    ``functions``: those that ran in it, most cycles first.
    """

    name: str
    op: str
    macs: int  # multiply-accumulates, padding included; 0: none
    instructions: int
    cycles: int
    functions: tuple[CyclePart, ...] = ()


class CycleEstimate(Stored, frozen=True, omit_defaults=True):
    """The estimate of one run for one sample; or ``why`` there is none.

    ``instructions``: what the basic blocks add up to, exact. ``assumptions``: of the model, in
    words. ``unknown``: instructions of the code that the model cannot time. ``functions`` and
    ``hottest`` blocks: most cycles first. ``layers``: first to last, in firmware built to show its
    layers; or ``layers_why`` there are none.
    """

    run: str  # RunPlan.key
    id: str  # Sample.id
    core: str = ""  # as LLVM names it
    llvm: str = ""  # version
    instructions: int = 0
    cycles: int = 0
    assumptions: tuple[str, ...] = ()
    unknown: int = 0
    functions: tuple[CyclePart, ...] = ()
    hottest: tuple[CyclePart, ...] = ()
    why: str = ""
    layers: tuple[CycleLayer, ...] = ()
    layers_why: str = ""
