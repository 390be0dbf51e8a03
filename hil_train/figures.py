# SPDX-License-Identifier: Apache-2.0
"""What a study found: the figures of every network, as stored in ``study.json``, and sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.core.records import Precision, TimeUnit
from hil.report.text import count, listed, percent, points
from hil.stats import Estimate
from hil_train.provenance import Stored

SCHEMA: Final = 1
FILE: Final = "study.json"


class DeviceFigures(Stored, frozen=True):
    """What a board measured for one network, over the study's samples.

    ``wrong``: positions of the samples that it classifies wrongly. ``time``: median of one
    inference in the study's ``unit``; None if the board has no clock. In bytes: ``arena`` is the
    RAM of one inference, ``flash_model`` the network's weights and code, ``flash_code`` the rest of
    its image. ``unexpected``: output values that are not as expected; None if nothing checked them.
    """

    wrong: tuple[int, ...]
    time: float | None
    arena: int
    flash_model: int
    flash_code: int
    unexpected: int | None


class Variant(Stored, frozen=True):
    """One network in one precision. ``seconds``: processor time of making it. ``total``: the same
    including every network that it needs; None if one was made elsewhere. ``why``: the reason if
    there is no ``device``."""

    method: str
    words: str
    precision: Precision
    parameters: int
    macs: int
    validation_accuracy: float  # of the float32 network, before conversion
    seconds: float | None
    total: float | None
    device: DeviceFigures | None
    why: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.words} in {self.precision}"

    @property
    def key(self) -> str:
        return f"{self.method}_{self.precision}"


class CompressionStudy(Stored, frozen=True):
    """``study.json``. ``n``: samples of the test split that each network was measured with.
    ``budget``: the student's parameters and multiplications."""

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
    unit: TimeUnit
    budget_parameters: int
    budget_macs: int
    rows: tuple[Variant, ...]
    versions: dict[str, str]
    command: str = ""


def accuracy(study: CompressionStudy, row: Variant) -> Estimate:
    """Share of correct answers of a measured variant, with Wilson's interval."""
    assert row.device is not None
    return stats.proportion(study.n - len(row.device.wrong), study.n)


def correct(study: CompressionStudy, row: Variant) -> npt.NDArray[np.bool_]:
    """(n,): which samples the device classifies correctly."""
    assert row.device is not None
    found = np.ones(study.n, np.bool_)
    found[list(row.device.wrong)] = False
    return found


def flash(row: Variant) -> int:
    """Bytes of flash of a variant's whole image."""
    assert row.device is not None
    return row.device.flash_model + row.device.flash_code


def measured(study: CompressionStudy) -> tuple[Variant, ...]:
    """The variants that ran on the board."""
    return tuple(row for row in study.rows if row.device is not None)


@dataclass(frozen=True, slots=True)
class Cost:
    """Something that an inference costs: ``noun`` in sentences, ``label`` in a drawing."""

    noun: str
    label: str
    of: Callable[[Variant], float]


def costs(study: CompressionStudy) -> tuple[Cost, ...]:
    """Time, if the board has a clock; RAM; flash."""
    found = []
    if study.unit != "none":
        noun, label = {
            "instructions": ("instructions", "instructions (emulated, not latency)"),
            "cycles": ("cycles", "cycles (emulated core)"),
            "us": ("microseconds", "microseconds"),
        }[study.unit]
        found.append(Cost(noun, label, _time))
    found.append(Cost("bytes of RAM", "arena, bytes", _arena))
    found.append(Cost("bytes of flash", "flash, network and code, bytes", flash))
    return tuple(found)


def front(study: CompressionStudy, cost: Cost) -> tuple[Variant, ...]:
    """The measured variants on the Pareto front of cost and accuracy, cheapest first.

    A variant is dominated if another costs no more, is correct no less often, and differs in one.
    """
    variants = measured(study)
    points = np.array([_place(study, cost, each) for each in variants]) * (1, -1)
    kept = [
        each
        for each, point in zip(variants, points, strict=True)
        if not ((points <= point).all(axis=1) & (points < point).any(axis=1)).any()
    ]
    return tuple(sorted(kept, key=lambda each: _place(study, cost, each)))


def _place(study: CompressionStudy, cost: Cost, variant: Variant) -> tuple[float, float]:
    return cost.of(variant), accuracy(study, variant).point


def _time(row: Variant) -> float:
    assert row.device is not None
    return row.device.time or 0.0


def _arena(row: Variant) -> float:
    assert row.device is not None
    return float(row.device.arena)


SIGNIFICANT: Final = 0.05
_NEAR: Final = 1.01  # a ratio of costs up to this counts as equal


def advice(study: CompressionStudy) -> tuple[str, ...]:
    """All sentences, `choices` first."""
    return (*choices(study), *worth(study), *absent(study))


def choices(study: CompressionStudy) -> tuple[str, ...]:
    """Which network to choose for what."""
    rows = measured(study)
    best = max(rows, key=lambda row: accuracy(study, row).point)
    as_good = [row for row in rows if alike(study, row, best)]
    lines = [_best(study, best, as_good)]
    lines += [_for(study, cost, as_good) for cost in costs(study)]
    if small := [row for row in rows if row.parameters <= study.budget_parameters]:
        lines.append(_within(study, small, f"{study.budget_parameters:,} parameters"))
    light = [row for row in rows if row.macs <= study.budget_macs]
    if light and light != small:
        lines.append(_within(study, light, f"{study.budget_macs:,} multiplications"))
    lines += _training(study, rows)
    return tuple(lines)


def worth(study: CompressionStudy) -> tuple[str, ...]:
    """What each method changed, compared with the same network without it."""
    return tuple(
        line
        for line in (
            _quantisation(study),
            *_steps(study),
            *(_front(study, cost) for cost in costs(study)),
        )
        if line
    )


def absent(study: CompressionStudy) -> tuple[str, ...]:
    """Networks that did not run on the board."""
    return tuple(
        f"The {row.name} was not measured ({row.parameters:,} parameters): {row.why}."
        for row in study.rows
        if row.device is None
    )


def unexpected(study: CompressionStudy) -> tuple[str, ...]:
    """Networks with outputs that are not as expected."""
    return tuple(
        f"{row.name}: {count(row.device.unexpected)} output values"
        for row in study.rows
        if row.device is not None and row.device.unexpected
    )


def alike(study: CompressionStudy, one: Variant, other: Variant) -> bool:
    """Whether two variants do not differ significantly (McNemar's test)."""
    return stats.mcnemar(correct(study, one), correct(study, other)).p >= SIGNIFICANT


def _best(study: CompressionStudy, best: Variant, as_good: Sequence[Variant]) -> str:
    others = _grouped(study, [row for row in as_good if row is not best])
    said = f"Most accurate: the {best.name} ({_share(study, best)})"
    if not others:
        return f"{said}; every other network is significantly worse."
    return f"{said}; over {study.n:,} samples, not significantly worse: {listed(others)}."


def _grouped(study: CompressionStudy, rows: Sequence[Variant]) -> list[str]:
    """Names of variants; without precision if all measured precisions of a network are among
    them."""
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


def _for(study: CompressionStudy, cost: Cost, as_good: Sequence[Variant]) -> str:
    """The cheapest of those that are as good as the best, and the cheapest of all."""
    first = min(as_good, key=cost.of)
    # the most accurate of those within a hundredth of the lowest cost
    price = _NEAR * min(cost.of(row) for row in measured(study))
    least = [row for row in front(study, cost) if cost.of(row) <= price][-1]
    line = f"Fewest {cost.noun} without a significant loss of accuracy: the {first.name} "
    line += f"({count(cost.of(first))}, {_share(study, first)})."
    if cost.of(least) < cost.of(first):
        lost = accuracy(study, least).point - accuracy(study, first).point
        line += f" Fewest of all: the {least.name} ({count(cost.of(least))}, "
        line += f"{_points(lost, study.n)})."
    return line


def _within(study: CompressionStudy, rows: Sequence[Variant], budget: str) -> str:
    best = max(rows, key=lambda row: (accuracy(study, row).point, -flash(row)))
    line = f"Within {budget}: the {best.name} is correct most often ({_share(study, best)})"
    rivals = [row for row in rows if row.method != best.method]
    if not rivals:
        return f"{line}; there is no other network."
    second = max(rivals, key=lambda row: accuracy(study, row).point)
    found = stats.mcnemar(correct(study, best), correct(study, second))
    told = "ahead of" if found.p < SIGNIFICANT else "not significantly ahead of"
    next_one = f"the {second.name} ({_share(study, second)}, {_p(found.p)})"
    return f"{line}, {told} the next network, {next_one}."


def _training(study: CompressionStudy, rows: Sequence[Variant]) -> Iterator[str]:
    """The best without another training."""
    ready = [row for row in rows if row.method == "teacher"]
    if ready and study.unit != "none":
        cost = costs(study)[0]
        first = min(ready, key=cost.of)
        yield (
            f"Without another training: the {first.name} "
            f"({count(cost.of(first))} {cost.noun}, {_share(study, first)})."
        )


def _quantisation(study: CompressionStudy) -> str:
    pairs = [
        (plain, small)
        for method in dict.fromkeys(row.method for row in measured(study))
        if (plain := _variant(study, method, Precision.FLOAT32))
        and (small := _variant(study, method, Precision.INT8))
    ]
    if not pairs:
        return ""
    changed = [accuracy(study, b).point - accuracy(study, a).point for a, b in pairs]
    told = [b.words for a, b in pairs if not alike(study, a, b)]
    parts = [
        f"{_range([cost.of(b) / cost.of(a) for a, b in pairs])} of the {cost.noun}"
        for cost in costs(study)
        if all(cost.of(a) for a, _ in pairs)
    ]
    line = f"Quantisation: int8 takes {listed(parts)} of the same network in float32 and changes "
    line += f"its accuracy by {_spread(changed, study.n)}"
    line += f"; significantly for {listed(told)}." if told else "; never significantly."
    return line


def _steps(study: CompressionStudy) -> Iterator[str]:
    """Each step, compared with the same network without it."""
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
        ("A pruned teacher instead of a student from random weights", "pruned_tuned", "alone"),
        (
            "A pruned, distilled teacher instead of a distilled student",
            "pruned_distilled",
            "student",
        ),
        ("The same with equal multiplications", "thin_distilled", "student"),
    )
    for title, one, other in comparisons:
        a, b = _variant(study, one, Precision.INT8), _variant(study, other, Precision.INT8)
        if a and b:
            yield f"{title} ({a.words} compared with {b.words}, int8): {_compared(study, a, b)}."


def _compared(study: CompressionStudy, a: Variant, b: Variant) -> str:
    found = stats.mcnemar(correct(study, a), correct(study, b))
    difference = stats.paired_difference(correct(study, a), correct(study, b))
    said = f"{_points(difference.point, study.n)} ({points(difference.low, study.n)} to "
    said += f"{points(difference.high, study.n)}), {_p(found.p)}"
    said += "" if found.p < SIGNIFICANT else ", not significant"
    ratios = [
        f"{cost.of(a) / cost.of(b):.2f} times the {cost.noun}"
        for cost in costs(study)
        if cost.of(b) and not 1 / _NEAR <= cost.of(a) / cost.of(b) <= _NEAR
    ]
    return f"{said}; {listed(ratios)}" if ratios else f"{said}; the cost is the same"


def _front(study: CompressionStudy, cost: Cost) -> str:
    rows = front(study, cost)
    names = [f"{row.name} ({count(cost.of(row))})" for row in rows]
    return f"Pareto front of accuracy and {cost.noun}: {listed(names)}."


def _variant(study: CompressionStudy, method: str, precision: Precision) -> Variant | None:
    found = (r for r in measured(study) if (r.method, r.precision) == (method, precision))
    return next(found, None)


def _p(value: float) -> str:
    return f"p = {value:.2g}" if value >= 1e-6 else "p < 0.000001"


def _share(study: CompressionStudy, row: Variant) -> str:
    return percent(accuracy(study, row).point, study.n)


def _points(difference: float, n: int) -> str:
    return f"{points(difference, n)} points of accuracy"


def _spread(values: Sequence[float], n: int) -> str:
    low, high = points(min(values), n), points(max(values), n)
    return f"{low} points" if low == high else f"{low} to {high} points"


def _range(ratios: Sequence[float]) -> str:
    low, high = f"{min(ratios):.2f}", f"{max(ratios):.2f}"
    return low if low == high else f"{low} to {high}"
