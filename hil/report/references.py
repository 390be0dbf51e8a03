# SPDX-License-Identifier: Apache-2.0
"""What a run is compared with: output values of the references, and published figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from hil.core.records import DType
from hil.report.blocks import Table
from hil.report.text import UNKNOWN, count, known, listed, magnitude, percent, plural
from hil.report.times import time_words
from hil.runs.agreement import Difference, difference, differing, is_ours, must_equal
from hil.runs.cells import Cell
from hil.runs.schema import Manifest, RunPlan
from hil.runs.task import classes_of

# --- output values ---


def host_of(plan: RunPlan) -> str:
    """Whose answers stand for the host's."""
    return plan.host or "LiteRT, reference kernels"


def differences(cells: Sequence[Cell]) -> Table:
    """One row per run and reference."""
    rows: list[tuple[str, ...]] = []
    for cell in cells:
        if not cell.n or cell.litert is None:
            continue
        by_oracle = must_equal(cell.plan) == "oracle"
        near = f"at most {cell.plan.tolerance:g}" if cell.plan.tolerance else "0"
        litert = near if must_equal(cell.plan) == "litert" else "1 step"
        if not is_ours(cell.plan) and by_oracle:
            litert = "–"
        rows.append(_difference(cell, host_of(cell.plan), cell.litert, cell.to_litert, litert))
        if cell.oracle is None:
            why = "it cannot run the model" if cell.plan.oracle_why else "none was run"
            rows.append((cell.name, f"oracle: {why}", *["–"] * 5))
        else:
            wanted = near if by_oracle else "–"
            rows.append(_difference(cell, cell.plan.oracle, cell.oracle, cell.to_oracle, wanted))
        if cell.xnnpack is not None:
            rows.append(_difference(cell, cell.plan.xnnpack, cell.xnnpack, cell.to_xnnpack, "any"))
        elif cell.plan.xnnpack_why:
            rows.append((cell.name, "XNNPACK: it cannot run the model", *["–"] * 5))
    head: tuple[str, ...] = (
        "Run",
        "Reference",
        "Values that differ",
        "In",
        "Largest difference",
        "Expected",
        "Answers changed",
    )
    note = (
        "Expected: what rounding explains. LiteRT's default kernels (XNNPACK) round and sum "
        "differently, depending on the processor. They are shown for those who compare with them, "
        "and are not used to judge a run."
    )
    shown = any(cell.xnnpack is not None for cell in cells)
    if rows and not any(cell.chooses for cell in cells):  # no answers that may change
        head, rows = head[:-1], [row[:-1] for row in rows]
    return Table("Output values against the references", head, tuple(rows), note if shown else "")


def _changed(cell: Cell, reference: npt.NDArray[np.generic]) -> int | None:
    """Samples with another answer than the reference's; None where outputs choose no class."""
    if not cell.chooses:
        return None
    return int((cell.answers != classes_of(cell.plan, reference)).sum())


def _difference(
    cell: Cell,
    name: str,
    reference: npt.NDArray[np.generic],
    found: Difference | None,
    expected: str,
) -> tuple[str, ...]:
    other = _changed(cell, reference)
    changed = "–" if other is None else count(other)
    if found is None:
        return (cell.name, name, *[UNKNOWN] * 3, "–", changed)
    return (
        cell.name,
        name,
        f"{count(found.elements)} of {count(cell.values)}",
        f"{count(found.samples)} of {count(cell.n)}",
        _reach(cell, found) if found.elements else "0",
        expected,
        changed,
    )


def _reach(cell: Cell, found: Difference) -> str:
    """The largest difference, in steps where outputs are integers."""
    if cell.plan.output.dtype == DType.FLOAT32:
        return magnitude(found.max_abs)
    return f"{magnitude(found.max_abs)} step{'s' * (found.max_abs != 1)}"


_TWICE = (
    "This is expected: LiteRT rounds once where TFLM and this device round twice, so a value is "
    "occasionally one step off. The oracle rounds as the device does."
)

_DEFAULTS = {
    "int8": "This is expected: XNNPACK rescales its sums in float32 and rounds once, halves to "
    "even, where TFLM and this device round twice in integers.",
    "int16": "They are not used to judge a run.",
    "float32": "This is expected: XNNPACK sums in another order, and multiplies and adds with one "
    "rounding (FMA) if the processor can, so the last bits differ between computers.",
}


def explanations(cells: Sequence[Cell]) -> tuple[str, ...]:
    """What differs and why, in the order of the runs; equal runs share one sentence."""
    answered = [cell for cell in cells if cell.n]
    equal = [
        cell.name
        for cell in answered
        if cell.to_litert
        and not cell.to_litert.elements
        and not (cell.to_oracle and cell.to_oracle.elements)
    ]
    ours = [cell for cell in answered if is_ours(cell.plan)]
    said = [line for cell in ours for line in (*_oracle(cell), *_litert(cell))]
    said += [line for cell in answered if not is_ours(cell.plan) for line in _sketch(cell)]
    said += _xnnpack(answered)
    said += _left_out(answered)
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
    if must_equal(cell.plan) == "oracle":
        yield f"{head} This is not expected. First: {_first(cell, 'oracle')}."
    else:
        yield f"{head} For float32 only LiteRT counts."


def _litert(cell: Cell) -> Iterator[str]:
    found, plan = cell.to_litert, cell.plan
    if found is None or cell.litert is None or not found.elements:
        return
    answers = _answers(cell.changed)
    head = f"{cell.name}: {_amount(cell, found.elements)} from LiteRT"
    first = f"First: {_first(cell, 'litert')}."
    if must_equal(plan) != "litert":
        if found.max_abs == 1:
            yield f"{head}, each by one step{answers}. {_TWICE}"
        else:
            yield (
                f"{head}, by up to {magnitude(found.max_abs)} steps{answers}. Rounding twice "
                f"explains one step, not this. {first}"
            )
        return
    head = f"{head}, by up to {magnitude(found.max_abs)}{answers}."
    why = f": {plan.tolerance_why}" if plan.tolerance_why else ""
    if not cell.unexpected:
        yield f"{head} Up to {plan.tolerance:g} is expected{why}."
    elif plan.tolerance:
        yield f"{head} Only {plan.tolerance:g} is expected{why}. {first}"
    else:
        yield f"{head} This is not expected: float32 must be equal bit for bit. {first}"


def _sketch(cell: Cell) -> Iterator[str]:
    """What a user's sketch must equal, and where it does not."""
    name, plan = must_equal(cell.plan), cell.plan
    reference = cell.oracle if name == "oracle" else cell.litert
    if name is None or reference is None:
        return
    who = f"the oracle ({plan.oracle})" if name == "oracle" else "LiteRT"
    changed = _changed(cell, reference)
    if cell.device is None:
        if not changed:
            yield f"{cell.name}: every answer is that of {who}. Its output values are not known."
            return
        near = ""
        if plan.tolerance:
            near = f", {count(cell.unexpected or 0)} of them by more than {plan.tolerance:g}"
        yield f"{cell.name}: {plural(changed, 'answer')} of the sketch differ from {who}{near}."
        return
    found = difference(cell.device, reference)
    if not found.elements:
        return
    head = (
        f"{cell.name}: {_amount(cell, found.elements)} from {who}, by up to "
        f"{_reach(cell, found)}{_answers(changed)}."
    )
    why = f": {plan.tolerance_why}" if plan.tolerance_why else ""
    if not cell.unexpected:
        yield f"{head} Up to {plan.tolerance:g} is expected{why}."
    else:
        expected = f"only {plan.tolerance:g} is expected{why}" if plan.tolerance else "none should"
        yield (
            f"{head} Of these, {count(cell.unexpected)} are not as expected ({expected}), so the "
            f"sketch computes something else. First: {_first(cell, name, plan.tolerance)}."
        )


def _xnnpack(cells: Sequence[Cell]) -> list[str]:
    """One sentence per precision on LiteRT's default kernels, with the answers they change."""
    said = []
    for precision, why in _DEFAULTS.items():
        differ = [
            (cell, cell.xnnpack, cell.to_xnnpack)
            for cell in cells
            if cell.plan.precision == precision
            and cell.xnnpack is not None
            and cell.to_xnnpack
            and cell.to_xnnpack.elements
        ]
        if not differ:
            continue
        known = [_changed(cell, values) for cell, values, _ in differ]
        counted = [one for one in known if one is not None]
        changed = sum(counted) if counted else None
        most = max(found.max_abs for _, _, found in differ)
        integers = all(cell.plan.output.dtype != DType.FLOAT32 for cell, *_ in differ)
        reach = f"{magnitude(most)} step{'s' * (most != 1)}" if integers else f"{most:.2g}"
        said.append(
            f"{listed([cell.name for cell, _, _ in differ])}: LiteRT's default kernels (XNNPACK) "
            f"give other values, by up to {reach}{_answers(changed)}. {why}"
        )
    return said


def _left_out(cells: Sequence[Cell]) -> list[str]:
    """One sentence per interpreter and reason: what could not run which networks."""
    refused: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        plan = cell.plan
        for who, why in (
            ("TFLM", plan.oracle_why),
            ("LiteRT's reference kernels", plan.litert_why),
            ("LiteRT's default kernels (XNNPACK)", plan.xnnpack_why),
        ):
            if why:
                refused.setdefault((who, why), []).append(cell.name)
    return [
        f"{listed(names)}: {who} cannot run the model ({why}), so no row compares with it."
        for (who, why), names in refused.items()
    ]


def _answers(changed: int | None) -> str:
    """How many answers changed, as the end of a sentence; nothing where there are none."""
    if changed is None:
        return ""
    return "; no answer changes" if not changed else f"; {plural(changed, 'answer')} changed"


def _amount(cell: Cell, elements: int) -> str:
    verb = "differs" if elements == 1 else "differ"
    return f"{count(elements)} of {count(cell.values)} output values {verb}"


def _first(cell: Cell, name: Literal["oracle", "litert"], allowed: float = 0.0) -> str:
    """The first value that differs from a reference, of the first output that has one."""
    oracle = name == "oracle"
    every = [("", cell.device, cell.oracle if oracle else cell.litert)]
    every += [(o.name, o.device, o.oracle if oracle else o.litert) for o in cell.others]
    for output, device, reference in every:
        if device is None or reference is None:
            continue
        found = np.argwhere(differing(device, reference, allowed))
        if len(found):
            i, j = found[0]
            where = f"output {output}, value {j}" if output else f"output {j}"
            return (
                f"sample {cell.ids[i]}, {where}: device {device[i, j]}, reference {reference[i, j]}"
            )
    raise AssertionError("only called where a value differs")


# --- published figures ---

_NOTHING = "not published"


@dataclass(frozen=True, slots=True)
class Published:
    """Published figures of one network, as text."""

    model: str
    precision: str
    accuracy: str
    time: str = _NOTHING
    arena: str = _NOTHING


@dataclass(frozen=True, slots=True)
class WriteUp:
    """A tutorial or write-up, as ``kind`` says. ``source`` and ``data`` begin its rows; ``note``
    says why its figures and ours are not directly comparable."""

    kind: str
    source: str
    data: str
    note: str
    rows: tuple[Published, ...]


_MNIST = WriteUp(
    "tutorial",
    "tutorial, ESP32",
    "mnist",
    "Not directly comparable. The tutorial trained on the first 6,000 images, one at a time, for "
    "five epochs, and timed a physical ESP32; its arena is all that TFLM asked for. Ours are "
    "other weights, another engine and another processor, and an emulator has no latency.",
    (
        Published("teacher", "float32", "99.04%", "did not run", "108,160 B needed, 90,148 B free"),
        Published("student", "float32", "92.81%", "52 ms"),
    ),
)
_TABULAR = WriteUp(
    "write-up",
    "write-up, Keras",
    "its own draw",
    "Not directly comparable. The write-up drew its data without a seed, so nobody can draw it "
    "again; its student distilled softmax outputs, in float32 on a computer.",
    (Published("student", "float32", "78.0%"),),
)
_CIFAR10 = WriteUp(
    "write-up",
    "write-up, Keras",
    "cifar10",
    "Not directly comparable. The write-up measured in float32 on a computer. It kept "
    "training one student through alpha 0.5, 0.2 and 0.9, so its later figures are also of longer "
    "training.",
    (
        Published("student", "float32", "62.7% (alpha 0.5), 63.7% (0.2), 66.9% (0.9)"),
        Published("student", "float32", "63% (without a teacher)"),
    ),
)
_NOISE = WriteUp(
    "write-up",
    "write-up, Keras",
    "its own draw",
    "Random labels cannot be learnt: any difference from 50%, in the write-up's figures as in "
    "ours, is chance.",
    (
        Published("teacher", "float32", "55.5%"),
        Published("student", "float32", "52.5%"),
    ),
)
# by name of the data set; nothing is published about a network of one's own
WRITE_UPS: Mapping[str, WriteUp] = MappingProxyType(
    {
        "mnist": _MNIST,
        "digits": _MNIST,
        "tabular": _TABULAR,
        "cifar10": _CIFAR10,
        "cifar10-made": _CIFAR10,
        "noise": _NOISE,
    }
)


def published(manifest: Manifest, cells: Sequence[Cell]) -> Table | None:
    """The write-up on this data beside this run; None if there is none, if none of the networks
    that this project trained for it took part, or without an accuracy."""
    judged = any(cell.accuracy for cell in cells)
    write_up = WRITE_UPS.get(manifest.dataset.name) if judged else None
    rows = list(_rows(manifest, cells, write_up)) if write_up else []
    if write_up is None or not rows:
        return None
    note, ours = write_up.note, manifest.dataset.name
    if write_up.data in WRITE_UPS and write_up.data != ours:
        theirs = {"mnist": "MNIST", "cifar10": "CIFAR-10"}[write_up.data]
        note += f" And the data differ: this run is on '{ours}', not on {theirs}."
    head = ("Network", "Source", "Data", "Accuracy", "Time per inference", "Arena")
    return Table(f"Figures published by the {write_up.kind}", head, tuple(rows), note)


def _rows(
    manifest: Manifest, cells: Sequence[Cell], write_up: WriteUp
) -> Iterator[tuple[str, ...]]:
    said: set[str] = set()
    for row in write_up.rows:
        ours = [
            cell
            for cell in cells
            if cell.plan.role is UNSET and cell.plan.model == row.model and cell.n
        ]
        if not ours:
            continue
        name = f"{row.model} {row.precision}"
        yield (name, write_up.source, write_up.data, row.accuracy, row.time, row.arena)
        if row.model in said:
            continue
        said.add(row.model)
        for cell in ours:
            arena = known(cell.memory.arena)
            data = f"{manifest.dataset.name}, {count(cell.n)}"
            accuracy = percent(cell.accuracy.point, cell.n) if cell.accuracy else "–"
            source = f"this run, {cell.plan.board}"
            time = " ".join(time_words(cell)[:2]).strip()
            yield (cell.name, source, data, accuracy, time, arena)
