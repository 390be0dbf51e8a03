# SPDX-License-Identifier: Apache-2.0
"""The records of checks.json: what `hil.checks` found in a network, its data and its answers.

Keys are a contract, as in `hil.runs.schema`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from hil.runs.schema import Stored

CHECKS = "checks.json"
Severity: TypeAlias = Literal["warning", "note"]


class CheckFinding(Stored, frozen=True, kw_only=True):
    """One finding about the ``runs`` (their keys). ``code``: of `hil.checks.codes`; ``page``: where
    it is documented. ``right``: share of right answers among ``n`` samples; ``otherwise``: the
    share after the change that the finding names, with the ``p`` of McNemar's test times the
    number of ``hypotheses``; null where nothing was changed.
    """

    code: str
    severity: Severity
    runs: tuple[str, ...]
    what: str
    advice: str
    page: str
    n: int
    right: float
    otherwise: float | None = None
    p: float | None = None
    hypotheses: int | None = None

    @property
    def about_data(self) -> bool:
        """Whether it is about samples, labels or targets, not about answers or the network."""
        return self.code.split("-", 1)[0] not in ("answers", "layer", "outputs", "quant")

    @property
    def line(self) -> str:
        """The finding in one line."""
        return f"{self.what}. What to do: {self.advice} ({self.page})"
