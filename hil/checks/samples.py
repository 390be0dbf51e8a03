# SPDX-License-Identifier: Apache-2.0
"""Samples that cannot be what a network was trained on, whatever it is: never filled, copies of
each other, or cut off."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from hil.checks.answers import FEW
from hil.checks.codes import CODES, page_of
from hil.checks.inputs import Array
from hil.runs.schema_checks import CheckFinding

_LONG: Final = 16  # values of a sample, at least
_BLANK: Final = 0.1  # share of samples with one value
_DIFFERENT: Final = 0.5  # share of samples that should be different
_CUT: Final = 0.4  # share of a sample's values


def of_samples(name: str, x: Array, share: float, runs: tuple[str, ...] = ()) -> list[CheckFinding]:
    """Findings about the samples ``x`` of the network ``name``, of which ``share`` are right."""
    flat = x.reshape(len(x), -1)
    if len(flat) < FEW or flat.shape[1] < _LONG:
        return []
    n = len(flat)

    def finding(code: str, **fields: str) -> CheckFinding:
        words = CODES[code].what.format(**fields)
        return CheckFinding(
            code=code,
            severity=CODES[code].severity,
            runs=runs,
            what=f"{name}: {words}; {share:.1%} of {n:,} samples are answered right",
            advice=CODES[code].advice,
            page=page_of(code),
            n=n,
            right=share,
        )

    blank = float((flat == flat[:, :1]).all(axis=1).mean())
    if blank >= _BLANK:
        return [finding("samples-constant", share=f"{blank:.1%}")]
    different = len({hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in flat})
    if different < _DIFFERENT * n:
        return [finding("samples-repeated", different=f"{different:,}", n=f"{n:,}")]
    changing = np.flatnonzero((flat != flat[0]).any(axis=0))
    left = 1 - (changing[-1] + 1) / flat.shape[1]
    tail = flat[0, changing[-1] + 1 :]
    if left >= _CUT and (tail == tail[0]).all():
        return [finding("samples-cut", share=f"{left:.0%}", value=f"{tail[0]:g}")]
    return []
