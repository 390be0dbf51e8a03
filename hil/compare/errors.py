# SPDX-License-Identifier: Apache-2.0
"""The figures of tasks without accuracy, in BASE and in NEW: rmse and mae, and the area under the
ROC curve. Like accuracy, they are beyond their limit only if the whole 95 % interval is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from hil.compare.judging import by_percent, finite, judge, one_sided, to_change
from hil.compare.limits import Growth
from hil.compare.records import ComparedFigure, Word
from hil.runs.cells import Cell
from hil.runs.scores import AUC
from hil.stats import Estimate
from hil.stats.errors import finite_rows, ratios
from hil.stats.roc import auc_difference

_OTHER = "other samples, so not paired"
Reals = npt.NDArray[np.float64]


def task_figures(base: Cell, new: Cell, growth: Growth) -> Iterator[ComparedFigure | None]:
    """The figures of both, over the samples that both answered; none of a classification."""
    yield _area(base, new, growth)
    yield from _errors(base, new, growth)


def _point(cell: Cell, name: str) -> float | None:
    found = cell.scores[name].device if name in cell.scores else None
    return found.point if found else None


def _errors(base: Cell, new: Cell, growth: Growth) -> Iterator[ComparedFigure | None]:
    """rmse and mae: ratios, paired by sample."""
    paired = _paired(base, new)
    found = ratios(*paired) if paired else {}
    for name in ("rmse", "mae"):
        one, other = _point(base, name), _point(new, name)
        limit = finite(getattr(growth, name))
        if one is None or other is None:
            yield one_sided(name, "real", one, other)
        elif paired and not one:
            yield by_percent(name, "real", one, other, limit)  # there is no ratio to 0
        else:
            ratio = found.get(name)
            yield _error(name, one, other, ratio, limit, n=new.n)


def _error(
    name: str, base: float, new: float, ratio: Estimate | None, limit: float | None, *, n: int
) -> ComparedFigure:
    word: Word = "undecided"
    if ratio:
        word = judge(ratio.low - 1, ratio.high - 1, (limit or 0) / 100)
    return ComparedFigure(
        name=name,
        kind="real",
        word=word,
        base=base,
        new=new,
        change=to_change("ratio", ratio) if ratio else None,
        limit=limit,
        beyond=bool(ratio and limit is not None and 100 * ratio.low > 100 + limit),
        n=n,
        note="" if ratio else _OTHER,
    )


def _paired(base: Cell, new: Cell) -> tuple[tuple[Reals, Reals], tuple[Reals, Reals]] | None:
    """Outputs and targets of NEW and of BASE, of the samples that are finite in both; None unless
    they are the same samples."""
    if base.ids != new.ids:
        return None
    known = [
        (cell.reals(cell.device), cell.targets)
        for cell in (new, base)
        if cell.device is not None and cell.targets is not None
    ]
    if len(known) < 2:
        return None
    rows = finite_rows(*known[0]) & finite_rows(*known[1])
    if not rows.any():
        return None
    one, other = ((outputs[rows], targets[rows]) for outputs, targets in known)
    return one, other


def _area(base: Cell, new: Cell, growth: Growth) -> ComparedFigure | None:
    """The area: a difference, paired by sample."""
    one, other, limit = _point(base, AUC), _point(new, AUC), finite(growth.auc)
    if one is None or other is None:
        return one_sided(AUC, "area", one, other)
    found = _difference(base, new)
    word: Word = judge(-found.high, -found.low, limit or 0.0) if found else "undecided"
    return ComparedFigure(
        name=AUC,
        kind="area",
        word=word,
        base=one,
        new=other,
        change=to_change("difference", found) if found else None,
        limit=limit,
        beyond=bool(found and limit is not None and found.high < -limit),
        n=new.n,
        note="" if found else _OTHER,
    )


def _difference(base: Cell, new: Cell) -> Estimate | None:
    if base.ids != new.ids or base.ranking is None or new.ranking is None or new.labels is None:
        return None
    rows = np.isfinite(base.ranking) & np.isfinite(new.ranking)
    return auc_difference(new.ranking[rows], base.ranking[rows], new.labels[rows])
