"""Did anything learn, and did the teacher help? Answers on the test set -> sentences. Pure.

A guess reaches the larger of 1 / classes and the most frequent class's share; a network beats
it when the Wilson interval of its accuracy lies above. Distillation gained something when
McNemar's exact test, student against the same network alone on the same samples, says so.
Seeds are compared in pairs, by Student's t.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats as scipy_stats

from hil import stats
from hil.kd.provenance import Verdict

Right = npt.NDArray[np.bool_]
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over seeds with its 95 % interval (Student's t); ``p``: of a mean of 0."""

    mean: float
    low: float
    high: float
    n: int
    p: float


def spread(values: Sequence[float]) -> Spread | None:
    """Mean of two values or more, with its interval; None of fewer."""
    n = len(values)
    if n < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n))
    if error == 0.0:
        return Spread(mean, mean, mean, n, 0.0 if mean else 1.0)
    half = float(scipy_stats.t.ppf(0.975, n - 1)) * error
    p = 2 * float(scipy_stats.t.sf(abs(mean) / error, n - 1))
    return Spread(mean, mean - half, mean + half, n, p)


def verdict(
    right: Mapping[str, Right],
    *,
    classes: int,
    majority: float,
    control: bool = False,
    gains: Sequence[float] = (),
) -> Verdict:
    """What the test set says.

    Args:
        right: role (``teacher``, ``student``, ``alone``; those that there are) -> (n,) which
            test samples it classifies right, all over the same samples.
        classes: how many the data has.
        majority: share of the test set's most frequent class.
        control: nothing can be learnt from the data, by its making.
        gains: accuracy of the student minus alone, a seed each.
    """
    chance = max(1 / classes, majority)
    shares = {role: stats.proportion(int(r.sum()), r.size) for role, r in right.items()}
    beats = {role: share.low > chance for role, share in shares.items()}
    lines = []
    for role, share in shares.items():
        name = {"alone": "student alone"}.get(role, role)
        does = "beats" if beats[role] else "does not beat"
        lines.append(
            f"The {name} ({_interval(share.point, share.low, share.high)}) {does} chance "
            f"({chance:.4f})."
        )
    gain = p = None
    if "student" in right and "alone" in right:
        difference = stats.paired_difference(right["student"], right["alone"])
        test = stats.mcnemar(right["student"], right["alone"])
        gain, p = (difference.point, difference.low, difference.high), test.p
        lines.append(_gain(gain, p, test.only_first, test.only_second))
    over = spread(gains)
    if over is not None:
        lines.append(
            f"Over {over.n} seeds the teacher is worth "
            f"{_signed(over.mean, over.low, over.high)} of accuracy (paired t, p = {over.p:.2g})."
        )
    lines += _conclusion(beats, control, gain is not None and gain[0] > 0 and _low(p))
    return Verdict(chance=chance, beats_chance=beats, gain=gain, p=p, sentences=tuple(lines))


def _gain(gain: tuple[float, float, float], p: float, ours: int, theirs: int) -> str:
    figures = (
        f"{_signed(*gain)}; it alone is right on {ours} samples, the other on {theirs}; "
        f"McNemar's exact p = {p:.2g}"
    )
    if not _low(p):
        return (
            "Distilled and alone cannot be told apart: the teacher gained the student nothing "
            f"that this test set shows ({figures})."
        )
    word = "more" if gain[0] > 0 else "LESS"
    return f"The distilled student is right {word} often than the student alone ({figures})."


def _conclusion(beats: Mapping[str, bool], control: bool, gained: bool) -> list[str]:
    above = [role for role, does in beats.items() if does]
    if control and above:
        return [
            "This data was made so that nothing can be learnt from it, and yet "
            f"{' and '.join(above)} beat chance: a chance of one in 40 each, or labels that leak."
        ]
    if not above:
        who = "neither teacher nor student beats" if "teacher" in beats else "no network beats"
        why = " As made, the labels are independent of the inputs." if control else ""
        return [f"As {who} chance, distillation has nothing to transfer.{why}"]
    if beats.get("student") and not beats.get("alone", True):
        return [
            "The student alone learnt nothing: the difference says that its training failed, "
            "not what a teacher is worth."
        ]
    if gained and not beats.get("teacher", True):
        return ["The teacher does not beat chance: the gain is not its knowledge."]
    return []


def _low(p: float | None) -> bool:
    return p is not None and p < SIGNIFICANT


def _interval(point: float, low: float, high: float) -> str:
    return f"{point:.4f}, 95 % {low:.4f} to {high:.4f}"


def _signed(point: float, low: float, high: float) -> str:
    return f"{100 * point:+.2f} points, 95 % {100 * low:+.2f} to {100 * high:+.2f}"
