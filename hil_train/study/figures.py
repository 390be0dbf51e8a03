# SPDX-License-Identifier: Apache-2.0
"""What a study found: every figure of every network, as stored in ``study.json``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.core.records import Precision
from hil.report.text import count, listed, percent, points
from hil.stats import Estimate
from hil_train.provenance import Stored

SCHEMA = 1
FILE = "study.json"


class Device(Stored, frozen=True):
    """What a board said of one network, over the study's samples.

    ``wrong``: positions of the samples that it classifies wrong. ``time``: median of one
    inference in the study's ``unit``; None where the board has no clock. Bytes: ``arena`` is RAM
    of one inference, ``flash_model`` the network's weights and code, ``flash_code`` the rest of
    its image. ``unexpected``: output values that are not what they must be; None: nothing checked.
    """

    wrong: tuple[int, ...]
    time: float | None
    arena: int
    flash_model: int
    flash_code: int
    unexpected: int | None


class Row(Stored, frozen=True):
    """One network in one precision. ``seconds``: processor time of making it, ``total`` with
    that of every network it needs; None where a part was made elsewhere. ``why``: the reason
    where there is no ``device``."""

    method: str
    words: str
    precision: Precision
    parameters: int
    macs: int
    validation_accuracy: float  # of the float32 network, before conversion
    seconds: float | None
    total: float | None
    device: Device | None
    why: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.words} in {self.precision}"

    @property
    def key(self) -> str:
        return f"{self.method}_{self.precision}"


class Study(Stored, frozen=True):
    """``study.json``. ``n``: samples of the test split that each network was measured over.
    ``budget``: parameters of the student, and its multiplications."""

    schema: int
    recipe: str
    quick: bool
    epochs: int  # that schedules were cut to; 0: not cut
    dataset: str
    note: str
    test: int  # samples in the test split
    n: int
    board: str
    board_title: str
    unit: Literal["instructions", "us", "none"]
    budget_parameters: int
    budget_macs: int
    rows: tuple[Row, ...]
    versions: dict[str, str]
    command: str = ""


def accuracy(study: Study, row: Row) -> Estimate:
    """Of a row with device figures: the share of right answers with Wilson's interval."""
    assert row.device is not None
    return stats.proportion(study.n - len(row.device.wrong), study.n)


def right(study: Study, row: Row) -> npt.NDArray[np.bool_]:
    """(n,): which samples the device classifies right."""
    assert row.device is not None
    found = np.ones(study.n, np.bool_)
    found[list(row.device.wrong)] = False
    return found


def flash(row: Row) -> int:
    """Bytes of flash of a network's whole image."""
    assert row.device is not None
    return row.device.flash_model + row.device.flash_code


def measured(study: Study) -> tuple[Row, ...]:
    """The rows that a board answered for."""
    return tuple(row for row in study.rows if row.device is not None)


Cost: TypeAlias = Callable[[Row], float]


@dataclass(frozen=True, slots=True)
class Axis:
    """What is paid: ``noun`` in sentences, ``label`` on a drawing."""

    noun: str
    label: str
    cost: Cost


def axes(study: Study) -> tuple[Axis, ...]:
    """Time, where the board has a clock; RAM; flash."""
    found = []
    if study.unit != "none":
        noun, label = {
            "instructions": ("instructions", "instructions (emulated, not latency)"),
            "us": ("microseconds", "microseconds"),
        }[study.unit]
        found.append(Axis(noun, label, _time))
    found.append(Axis("bytes of RAM", "arena, bytes", _arena))
    found.append(Axis("bytes of flash", "flash, network and code, bytes", flash))
    return tuple(found)


def front(study: Study, cost: Cost) -> tuple[Row, ...]:
    """The measured rows that none beats, cheapest first.

    One beats another when it costs no more and is right no less often, and is not equal in both.
    """
    rows = measured(study)

    def place(row: Row) -> tuple[float, float]:
        return cost(row), accuracy(study, row).point

    def beaten(row: Row) -> bool:
        price, share = place(row)
        return any(
            other_price <= price
            and other_share >= share
            and (other_price, other_share) != (price, share)
            for other_price, other_share in map(place, rows)
        )

    return tuple(sorted((row for row in rows if not beaten(row)), key=place))


def cheapest(rows: Sequence[Row], cost: Cost) -> Row:
    """The row that costs least; of equals the first."""
    return min(rows, key=cost)


def _time(row: Row) -> float:
    assert row.device is not None
    return row.device.time or 0.0


def _arena(row: Row) -> float:
    assert row.device is not None
    return float(row.device.arena)


SIGNIFICANT = 0.05
_NEAR = 1.01  # of a cost: more is not the same


def advice(study: Study) -> tuple[str, ...]:
    """All sentences, those of `choices` first."""
    return (*choices(study), *worth(study), *absent(study))


def choices(study: Study) -> tuple[str, ...]:
    """Which to choose when."""
    rows = measured(study)
    best = max(rows, key=lambda row: accuracy(study, row).point)
    as_good = [row for row in rows if alike(study, row, best)]
    lines = [_best(study, best, as_good)]
    lines += [_for(study, axis, as_good) for axis in axes(study)]
    if small := [row for row in rows if row.parameters <= study.budget_parameters]:
        lines.append(_within(study, small, f"{study.budget_parameters:,} parameters"))
    light = [row for row in rows if row.macs <= study.budget_macs]
    if light and light != small:
        lines.append(_within(study, light, f"{study.budget_macs:,} multiplications"))
    lines += _training(study, rows)
    return tuple(lines)


def worth(study: Study) -> tuple[str, ...]:
    """What each way did, against the same without it."""
    return tuple(
        line
        for line in (
            _quantisation(study),
            *_steps(study),
            *(_front(study, axis) for axis in axes(study)),
        )
        if line
    )


def absent(study: Study) -> tuple[str, ...]:
    """Networks that the board has no figures of."""
    return tuple(
        f"The {row.name} was not measured ({row.parameters:,} parameters): {row.why}."
        for row in study.rows
        if row.device is None
    )


def unexpected(study: Study) -> tuple[str, ...]:
    """Networks whose outputs are not what they must be."""
    return tuple(
        f"{row.name}: {count(row.device.unexpected)} output values"
        for row in study.rows
        if row.device is not None and row.device.unexpected
    )


def alike(study: Study, one: Row, other: Row) -> bool:
    """Whether McNemar's test cannot tell two rows' answers apart."""
    return stats.mcnemar(right(study, one), right(study, other)).p >= SIGNIFICANT


def _best(study: Study, best: Row, as_good: Sequence[Row]) -> str:
    others = _grouped(study, [row for row in as_good if row is not best])
    said = f"Most accurate: the {best.name} ({_share(study, best)})"
    if not others:
        return f"{said}; every other network is told apart from it."
    return f"{said}; over {study.n:,} samples these cannot be told apart from it: {listed(others)}."


def _grouped(study: Study, rows: Sequence[Row]) -> list[str]:
    """Names of rows; a network that is there in every measured precision by its words alone."""
    held = {row.method: [r for r in rows if r.method == row.method] for row in rows}
    total = {row.method: 0 for row in rows}
    for row in measured(study):
        if row.method in total:
            total[row.method] += 1
    return [
        name
        for method, found in held.items()
        for name in (
            [found[0].words] if len(found) == total[method] > 1 else [row.name for row in found]
        )
    ]


def _for(study: Study, axis: Axis, as_good: Sequence[Row]) -> str:
    """The cheapest as good as the best, and the cheapest of all."""
    first = cheapest(as_good, axis.cost)
    # of those that cost the least to within a hundredth, the most accurate
    price = _NEAR * min(axis.cost(row) for row in measured(study))
    least = [row for row in front(study, axis.cost) if axis.cost(row) <= price][-1]
    line = f"Where {axis.noun} count, and no loss against it may be seen: the {first.name} "
    line += f"({count(axis.cost(first))}, {_share(study, first)})."
    if axis.cost(least) < axis.cost(first):
        lost = accuracy(study, least).point - accuracy(study, first).point
        line += f" Fewest of all: the {least.name} ({count(axis.cost(least))}, "
        line += f"{_points(lost, study.n)})."
    return line


def _within(study: Study, rows: Sequence[Row], budget: str) -> str:
    best = max(rows, key=lambda row: (accuracy(study, row).point, -flash(row)))
    line = f"Within {budget}: the {best.name} is right most often ({_share(study, best)})"
    rivals = [row for row in rows if row.method != best.method]
    if not rivals:
        return f"{line}; there is no other network."
    second = max(rivals, key=lambda row: accuracy(study, row).point)
    found = stats.mcnemar(right(study, best), right(study, second))
    told = "ahead of" if found.p < SIGNIFICANT else "not told apart from"
    next_one = f"the {second.name} ({_share(study, second)}, {_p(found.p)})"
    return f"{line}, {told} the next network, {next_one}."


def _training(study: Study, rows: Sequence[Row]) -> Iterator[str]:
    """What is there without another training, once there is a teacher."""
    ready = [row for row in rows if row.method == "teacher"]
    if ready and study.unit != "none":
        axis = axes(study)[0]
        first = cheapest(ready, axis.cost)
        yield (
            f"Where nothing more can be trained: the {first.name} "
            f"({count(axis.cost(first))} {axis.noun}, {_share(study, first)})."
        )


def _quantisation(study: Study) -> str:
    pairs = [
        (plain, small)
        for method in dict.fromkeys(row.method for row in measured(study))
        if (plain := _row(study, method, Precision.FLOAT32))
        and (small := _row(study, method, Precision.INT8))
    ]
    if not pairs:
        return ""
    changed = [accuracy(study, b).point - accuracy(study, a).point for a, b in pairs]
    told = [b.words for a, b in pairs if not alike(study, a, b)]
    parts = [
        f"{_range([axis.cost(b) / axis.cost(a) for a, b in pairs])} of the {axis.noun}"
        for axis in axes(study)
        if all(axis.cost(a) for a, _ in pairs)
    ]
    line = f"Quantisation: int8 takes {listed(parts)} of the same network in float32 and changes "
    line += f"its accuracy by {_spread(changed, study.n)}"
    line += f"; the two are told apart for {listed(told)}." if told else "; no pair is told apart."
    return line


def _steps(study: Study) -> Iterator[str]:
    """Each step against the same network without it."""
    comparisons = (
        ("Distillation", "student", "alone"),
        ("Fine-tuning the teacher", "finetuned", "teacher"),
        ("Pruning without fine-tuning", "pruned", "teacher"),
        ("Fine-tuning after pruning", "pruned_tuned", "pruned"),
        (
            "The teacher's logits while a pruned network is fine-tuned",
            "pruned_distilled",
            "pruned_tuned",
        ),
        ("A pruned teacher instead of a student from fresh weights", "pruned_tuned", "alone"),
        (
            "A pruned, distilled teacher instead of a distilled student",
            "pruned_distilled",
            "student",
        ),
        ("The same at equal multiplications", "thin_distilled", "student"),
    )
    for title, one, other in comparisons:
        a, b = _row(study, one, Precision.INT8), _row(study, other, Precision.INT8)
        if a and b:
            yield f"{title} ({a.words} against {b.words}, int8): {_against(study, a, b)}."


def _against(study: Study, a: Row, b: Row) -> str:
    found = stats.mcnemar(right(study, a), right(study, b))
    difference = stats.paired_difference(right(study, a), right(study, b))
    said = f"{_points(difference.point, study.n)} ({points(difference.low, study.n)} to "
    said += f"{points(difference.high, study.n)}), {_p(found.p)}"
    said += "" if found.p < SIGNIFICANT else ", not told apart"
    costs = [
        f"{axis.cost(a) / axis.cost(b):.2f} times the {axis.noun}"
        for axis in axes(study)
        if axis.cost(b) and not 1 / _NEAR <= axis.cost(a) / axis.cost(b) <= _NEAR
    ]
    return f"{said}; {listed(costs)}" if costs else f"{said}; the cost is the same"


def _front(study: Study, axis: Axis) -> str:
    rows = front(study, axis.cost)
    names = [f"{row.name} ({count(axis.cost(row))})" for row in rows]
    return f"Accuracy against {axis.noun}: no other network beats {listed(names)}."


def _row(study: Study, method: str, precision: Precision) -> Row | None:
    found = (r for r in measured(study) if (r.method, r.precision) == (method, precision))
    return next(found, None)


def _p(value: float) -> str:
    return f"p = {value:.2g}" if value >= 1e-6 else "p < 0.000001"


def _share(study: Study, row: Row) -> str:
    return percent(accuracy(study, row).point, study.n)


def _points(difference: float, n: int) -> str:
    return f"{points(difference, n)} points of accuracy"


def _spread(values: Sequence[float], n: int) -> str:
    low, high = points(min(values), n), points(max(values), n)
    return f"{low} points" if low == high else f"{low} to {high} points"


def _range(ratios: Sequence[float]) -> str:
    low, high = f"{min(ratios):.2f}", f"{max(ratios):.2f}"
    return low if low == high else f"{low} to {high}"
