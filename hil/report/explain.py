"""Why outputs differ: a sentence or two a run, that say whether it was to be expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from hil.report.cells import Cell, differing
from hil.report.text import count, listed, magnitude, plural

_TWICE = (
    "That is expected: LiteRT rounds once where TFLM, and this device, round twice, so a value "
    "now and then lands one step away. The oracle rounds as the device does."
)


def explanations(cells: Sequence[Cell]) -> tuple[str, ...]:
    """What differs and why, in the order of the runs; what is equal is said together."""
    answered = [cell for cell in cells if cell.n]
    equal = [
        cell.name
        for cell in answered
        if not cell.to_litert.elements and not (cell.to_oracle and cell.to_oracle.elements)
    ]
    said = [line for cell in answered for line in (*_oracle(cell), *_litert(cell))]
    if equal:
        said.append(f"{listed(equal)}: every output equals LiteRT's, bit for bit.")
    return tuple(said)


def _oracle(cell: Cell) -> Iterator[str]:
    found = cell.to_oracle
    if cell.oracle is None or found is None or not found.elements:
        return
    head = (
        f"{cell.name}: {_amount(cell, found.elements)} from the oracle ({cell.plan.oracle}), "
        f"by up to {magnitude(found.max_abs)}."
    )
    if cell.plan.precision == "int8":
        yield f"{head} This is not expected. First: {_first(cell, cell.oracle)}."
    else:
        yield f"{head} In float32 it is LiteRT that counts."


def _litert(cell: Cell) -> Iterator[str]:
    found, plan = cell.to_litert, cell.plan
    if not found.elements:
        return
    changed = cell.n - cell.same_answer
    answers = "no answer changes" if not changed else f"{plural(changed, 'answer')} changed"
    head = f"{cell.name}: {_amount(cell, found.elements)} from LiteRT"
    first = f"First: {_first(cell, cell.litert)}."
    if plan.precision == "int8":
        if found.max_abs == 1:
            yield f"{head}, each by one step; {answers}. {_TWICE}"
        else:
            yield (
                f"{head}, by up to {magnitude(found.max_abs)} steps; {answers}. Rounding twice "
                f"explains one step, not this. {first}"
            )
        return
    head = f"{head}, by up to {magnitude(found.max_abs)}; {answers}."
    why = f": {plan.tolerance_why}" if plan.tolerance_why else ""
    if not cell.unexpected:
        yield f"{head} Up to {plan.tolerance:g} is expected{why}."
    elif plan.tolerance:
        yield f"{head} Only {plan.tolerance:g} is expected{why}. {first}"
    else:
        yield f"{head} This is not expected: float32 must be equal bit for bit. {first}"


def _amount(cell: Cell, elements: int) -> str:
    verb = "differs" if elements == 1 else "differ"
    return f"{count(elements)} of {count(cell.device.size)} output values {verb}"


def _first(cell: Cell, reference: npt.NDArray[np.generic]) -> str:
    i, j = np.argwhere(differing(cell.device, reference))[0]
    return (
        f"sample {cell.ids[i]}, output {j}: device {cell.device[i, j]}, reference {reference[i, j]}"
    )
