# SPDX-License-Identifier: Apache-2.0
"""The records of cycles.json: estimated cycles of one inference, by a scheduling model of LLVM's.

Keys are a contract, as in `hil.runs.schema`.
"""

from __future__ import annotations

from hil.runs.schema import Stored


class CyclePart(Stored, frozen=True, omit_defaults=True):
    """A function or one of its basic blocks: exact ``instructions``, estimated ``cycles``.

    Of a block: how often it ran, and its code in LLVM's syntax.
    """

    function: str
    instructions: int
    cycles: float
    runs: int = 0
    code: tuple[str, ...] = ()


class CycleEstimate(Stored, frozen=True, omit_defaults=True):
    """The estimate of one run for one sample; or ``why`` there is none.

    ``instructions``: what the basic blocks add up to, exact. ``assumptions``: of the model, in
    words. ``unknown``: instructions of the code that the model cannot time. ``functions`` and
    ``hottest`` blocks: most cycles first.
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
