"""Why outputs differ: a sentence a run, that says whether it was to be expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from hil.records import DType
from hil.report.cells import Cell
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
    said = [line for cell in answered for line in _lines(cell)]
    if equal:
        said.append(f"{listed(equal)}: every output equals LiteRT's, bit for bit.")
    return tuple(said)


def _lines(cell: Cell) -> Iterator[str]:
    if cell.to_oracle and cell.to_oracle.elements and cell.oracle is not None:
        yield (
            f"{cell.name}: {_amount(cell, cell.to_oracle.elements)} from the oracle "
            f"({cell.plan.oracle}), by up to {magnitude(cell.to_oracle.max_abs)}. This is not "
            f"expected. First: {_first(cell, cell.oracle)}."
        )
    found = cell.to_litert
    if not found.elements:
        return
    changed = cell.n - cell.same_answer
    answers = "no answer changes" if not changed else f"{plural(changed, 'answer')} changed"
    head = f"{cell.name}: {_amount(cell, found.elements)} from LiteRT"
    if cell.plan.output.dtype == DType.FLOAT32:
        yield (
            f"{head}, by up to {magnitude(found.max_abs)}; {answers}. Floating point gives other "
            "bits when sums are ordered or contracted (FMA) in another way."
        )
    elif found.max_abs == 1:
        yield f"{head}, each by one step; {answers}. {_TWICE}"
    else:
        yield (
            f"{head}, by up to {magnitude(found.max_abs)} steps; {answers}. Rounding twice "
            f"explains one step, not this. First: {_first(cell, cell.litert)}."
        )


def _amount(cell: Cell, elements: int) -> str:
    verb = "differs" if elements == 1 else "differ"
    return f"{count(elements)} of {count(cell.device.size)} output values {verb}"


def _first(cell: Cell, reference: npt.NDArray[np.generic]) -> str:
    bits = f"u{cell.device.dtype.itemsize}"
    i, j = np.argwhere(cell.device.view(bits) != reference.view(bits))[0]
    return (
        f"sample {cell.ids[i]}, output {j}: device {cell.device[i, j]}, reference {reference[i, j]}"
    )
