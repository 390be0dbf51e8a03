# SPDX-License-Identifier: Apache-2.0
"""The result of `hil.compare` for a notebook: records, and one frame of all figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape

import pandas as pd

from hil.compare.records import Comparison
from hil.core.text import printable, visible
from hil.runs.notebook import number

_COLUMNS = ("run", "figure", "base", "new", "word", "change", "low", "high", "limit", "beyond")


@dataclass(frozen=True, repr=False)
class Compared:
    """Two runs compared. ``record`` is what ``hil compare --json`` prints."""

    record: Comparison

    @property
    def regression(self) -> bool:
        """Whether a figure is missing, or worse than its limit allows."""
        return self.record.regression

    @property
    def problems(self) -> tuple[str, ...]:
        """Every figure, run or limit that makes it a regression, one line each."""
        return self.record.problems

    @cached_property
    def figures(self) -> pd.DataFrame:
        """One row per figure of each run that both have.

        Columns: run, its key in NEW; figure; base, new; ``word``: better, worse, same, undecided,
        missing or new; ``change`` with its interval ``low`` to ``high``: a ratio or a difference,
        see `hil.compare.records.Change`; ``limit``, and whether the figure is ``beyond`` it.
        """
        rows = [
            (
                run.key,
                one.name,
                one.base,
                one.new,
                one.word,
                one.change and one.change.point,
                one.change and one.change.low,
                one.change and one.change.high,
                one.limit,
                one.beyond,
            )
            for run in self.record.runs
            for one in run.figures
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def __repr__(self) -> str:
        base, new = self.record.base.run_id, self.record.new.run_id
        return printable(f"<hil.compare {base} with {new}: {self.record.sentence}>")

    def _repr_html_(self) -> str:
        """The sentence, what makes it a regression, and the figures that are not the same."""
        found = self.figures[self.figures["word"] != "same"]
        table = found.to_html(index=False, na_rep="", escape=True, border=0, float_format=number)
        faults = "".join(f"<li>{escape(line)}</li>" for line in self.problems)
        return visible(
            f"<p><b>{escape(self.record.sentence)}</b></p>"
            + (f"<ul>{faults}</ul>" if faults else "")
            + (table if len(found) else "")
        )
