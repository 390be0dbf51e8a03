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

_DEFAULTS = {
    "int8": "That is expected: XNNPACK rescales its sums in float32 and rounds once, halves to "
    "even, where TFLM, and this device, round twice in integers.",
    "float32": "That is expected: XNNPACK sums in another order and multiplies and adds in one "
    "rounding (FMA) where the processor has it, so the last bits differ between computers.",
}


def explanations(cells: Sequence[Cell]) -> tuple[str, ...]:
    """What differs and why, in the order of the runs; what is equal is said together."""
    answered = [cell for cell in cells if cell.n]
    equal = [
        cell.name
        for cell in answered
        if not cell.to_litert.elements and not (cell.to_oracle and cell.to_oracle.elements)
    ]
    said = [line for cell in answered for line in (*_oracle(cell), *_litert(cell))]
    said += _xnnpack(answered)
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


def _xnnpack(cells: Sequence[Cell]) -> list[str]:
    """One sentence a precision on LiteRT's default kernels, with what came of it."""
    said = []
    for precision, why in _DEFAULTS.items():
        differ = [
            cell
            for cell in cells
            if cell.plan.precision == precision and cell.to_xnnpack and cell.to_xnnpack.elements
        ]
        if not differ:
            continue
        flips = sum(
            int((cell.answers != cell.xnnpack.argmax(axis=1)).sum())
            for cell in differ
            if cell.xnnpack is not None
        )
        most = max(cell.to_xnnpack.max_abs for cell in differ if cell.to_xnnpack)
        reach = (
            f"{magnitude(most)} step{'s' * (most != 1)}" if precision == "int8" else f"{most:.2g}"
        )
        answers = "no answer changes" if not flips else f"{plural(flips, 'answer')} changed"
        said.append(
            f"{listed([cell.name for cell in differ])}: LiteRT's default kernels (XNNPACK) give "
            f"other values, by up to {reach}; {answers}. {why}"
        )
    return said


def _amount(cell: Cell, elements: int) -> str:
    verb = "differs" if elements == 1 else "differ"
    return f"{count(elements)} of {count(cell.device.size)} output values {verb}"


def _first(cell: Cell, reference: npt.NDArray[np.generic]) -> str:
    i, j = np.argwhere(differing(cell.device, reference))[0]
    return (
        f"sample {cell.ids[i]}, output {j}: device {cell.device[i, j]}, reference {reference[i, j]}"
    )
