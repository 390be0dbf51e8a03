# SPDX-License-Identifier: Apache-2.0
"""Trials of changes: whether one makes answers right, by an exact test, and which explain them
equally well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.checks.codes import CODES

Bools: TypeAlias = npt.NDArray[np.bool_]

GAIN: Final = 0.05  # share of right answers that a change adds, at least
LEVEL: Final = 0.01
MOST: Final = 4  # causes that are named
_EQUAL: Final = 0.05  # p from which on two changes explain the answers equally well
_CLOSE: Final = 0.02  # shares of right answers that count as equal
_HALF: Final = 0.5  # share of right answers, at least, after a renaming


@dataclass(frozen=True, slots=True)
class Part:
    """One change; ``advice``: instead of the code's; ``rare``: see `hil.checks.inputs.Change`."""

    code: str
    how: str
    advice: str = ""
    rare: bool = False

    @property
    def words(self) -> str:
        """With what the answers are right."""
        return CODES[self.code].what.format(how=self.how)

    @property
    def to_do(self) -> str:
        return self.advice or CODES[self.code].advice


@dataclass(frozen=True, slots=True)
class Trial:
    """One or two changes that were tried: whether each answer is right then. ``half``: of every
    second sample, since the others chose the change. ``affected``: the samples whose labels a
    renaming changes; None: all."""

    parts: tuple[Part, ...]
    right: Bools
    half: bool = False
    affected: Bools | None = None

    def of(self, answers: Bools) -> Bools:
        """The answers to its samples."""
        return answers[1::2] if self.half else answers

    @property
    def share(self) -> float:
        return float(self.right.mean())

    @property
    def rare(self) -> bool:
        return any(part.rare for part in self.parts)

    @property
    def code(self) -> str:
        return self.parts[0].code if len(self.parts) == 1 else "two-causes"

    @property
    def words(self) -> str:
        return " and ".join(part.words for part in self.parts)

    @property
    def to_do(self) -> str:
        return "; ".join(dict.fromkeys(part.to_do for part in self.parts))

    def p(self, right: Bools) -> float:
        """McNemar's, against the answers ``right`` without the change."""
        return stats.mcnemar(self.right, self.of(right)).p


def helps(one: Trial, right: Bools, count: int) -> bool:
    """Whether a change explains wrong answers: it adds `GAIN`, closes half of the distance to
    100 %, and its p-value times ``count``, the number of changes tried, is below `LEVEL`.

    A renaming of few labels cannot close more than these: it has to close half of the distance
    among their samples, and to leave most answers right.
    """
    before = one.of(right)
    now = float(before.mean())
    if one.share - now < GAIN or one.p(right) * count >= LEVEL:
        return False
    if one.affected is None or not one.affected.any():
        return one.share >= (1 + now) / 2
    after, start = (float(some[one.affected].mean()) for some in (one.right, before))
    return after >= (1 + start) / 2 and one.share >= _HALF


def best_of(good: Sequence[Trial]) -> list[Trial]:
    """The best change, and the others that are as good, best first; rare ones only if they are
    better than all others."""
    ordered = sorted(good, key=lambda one: -one.share)
    equal = [one for one in ordered if _as_good(one, ordered[0])]
    plain = max((one.share for one in equal if not one.rare), default=-1.0)
    return [one for one in equal if not one.rare or one.share > plain]


def better(one: Trial, other: Trial, count: int) -> bool:
    """Whether ``one`` is right clearly more often than ``other``."""
    first, second = _both(one, other)
    gained = one.share - other.share
    closes = one.share >= (1 + other.share) / 2
    return gained >= GAIN and closes and stats.mcnemar(first, second).p * count < LEVEL


def _as_good(one: Trial, best: Trial) -> bool:
    """Whether ``one`` explains the answers as well as the best change, on the samples of both."""
    if one is best or best.share - one.share <= _CLOSE:
        return True
    first, second = _both(best, one)
    return stats.mcnemar(first, second).p >= _EQUAL


def _both(one: Trial, other: Trial) -> tuple[Bools, Bools]:
    """The answers of both to the samples that both were tried with."""
    half = one.half or other.half
    first, second = (x.right[1::2] if half and not x.half else x.right for x in (one, other))
    return first, second
