# SPDX-License-Identifier: Apache-2.0
"""A provenance and stored runs -> a model card: what was measured, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats as scipy_stats

from hil import stats
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun
from hil_train import plan
from hil_train.batches import Warp
from hil_train.pages import plain, render
from hil_train.provenance import Provenance, StageRecord, Verdict

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


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table, in words."""

    cells: tuple[str, ...]


def card(provenance: Provenance, runs: Sequence[StoredRun] = ()) -> str:
    """Markdown; the same for the same arguments.

    Args:
        provenance: of the models.
        runs: stored runs of the bench; those of other files are passed over.
    """
    return render(
        "card.md.j2",
        p=provenance,
        accuracy=[_accuracy(provenance, name) for name in provenance.files],
        stages=[_stage(provenance, *item) for item in _first(provenance)],
        seeds=[line for s in provenance.recipe.stages if (line := _seeds(provenance, s.name))],
        reported=[
            Line(
                (
                    each.stage,
                    f"{each.accuracy:.4f}",
                    f"{provenance.test_accuracy[each.stage]:.4f}",
                    plain(each.note),
                )
            )
            for each in provenance.recipe.reported
        ],
        devices=[line for run in runs for line in _devices(provenance, run)],
        schedules=_schedules(provenance),
        notes=[(s.name, s.note) for s in provenance.recipe.stages if s.note],
    )


def _first(provenance: Provenance) -> list[tuple[str, StageRecord]]:
    """Stages with their first seed, in order."""
    found = provenance.stages.items()
    return [(key, record) for key, record in found if key == record.inputs.plan.stage]


def _wilson(accuracy: float, n: int) -> str:
    share = stats.proportion(round(accuracy * n), n)
    return f"{share.point:.4f} ({share.low:.4f} to {share.high:.4f})"


def _accuracy(provenance: Provenance, name: str) -> Line:
    facts = provenance.files[name]
    return Line(
        (
            f"`{name}`",
            f"{facts.nbytes:,}",
            f"{facts.validation_accuracy:.4f}",
            _wilson(facts.test_accuracy, provenance.data.test),
        )
    )


def _stage(provenance: Provenance, key: str, record: StageRecord) -> Line:
    used = record.inputs.plan
    how = "labels alone"
    if used.loss is not None:
        how = f"{used.teacher}, {used.loss.kind}, T = {used.loss.temperature:g}, "
        how += f"alpha = {used.loss.alpha:g}"
        if used.loss.kind == "feature":
            how = f"{used.teacher}, {used.loss.teacher_layer} to {used.loss.student_layer}, "
            how += f"alpha = {used.loss.alpha:g}"
    if used.start:
        how += f"; on from {used.start}"
    if used.quantised:
        how += ", int8's rounding seen"
    epochs, most = len(record.history["loss"]), used.schedule.epochs
    return Line(
        (
            key,
            f"{record.parameters:,}",
            how,
            f"{epochs}" if epochs == most else f"{epochs} of {most}",
            f"{record.seconds:.0f}",
            f"{record.samples_per_second:,.0f}",
            f"{record.validation_accuracy:.4f}",
            _wilson(provenance.test_accuracy[key], provenance.data.test),
        )
    )


def _seeds(provenance: Provenance, stage: str) -> Line | None:
    """Mean over seeds; None where there is one."""
    keys = plan.seeds(provenance.recipe, stage)
    over = spread([provenance.test_accuracy[key] for key in keys])
    if over is None:
        return None
    each = ", ".join(f"{provenance.test_accuracy[key]:.4f}" for key in keys)
    return Line((stage, f"{over.mean:.4f} ({over.low:.4f} to {over.high:.4f})", each))


def _schedules(provenance: Provenance) -> list[str]:
    used = {stage.schedule for stage in provenance.recipe.stages}
    lines = []
    for name, s in provenance.recipe.schedules.items():
        if name not in used:
            continue
        words = f"{name}: at most {s.epochs} epochs of batches of {s.batch}, Adam"
        words += f"W, weight decay {s.weight_decay:g}," * bool(s.weight_decay)
        words += f" at {s.learning_rate:g}" + f", reached in {s.warmup} steps" * bool(s.warmup)
        words += ", falling to 0 on a cosine" * (s.decay == "cosine")
        words += f", pictures moved by up to {s.shift} pixels" * bool(s.shift)
        words += f", {_warp(s.warp)}" if s.warp else ""
        if s.patience:
            words += f"; ends after {s.patience} epochs without a better {s.monitor}, and keeps "
            words += "the best epoch's weights"
        lines.append(words)
    return lines


def _warp(warp: Warp) -> str:
    many = f"{warp.views} views of each" if warp.views else "a new view of each every epoch"
    sizes = f"scaled and sheared by {100 * warp.zoom:g} and {100 * warp.shear:g} %"
    return (
        f"{many}: turned by up to {warp.turn:g} degrees, moved by {warp.shift:g} pixels, {sizes}, "
        f"bent by {warp.bend:g} pixels"
    )


def _devices(provenance: Provenance, run: StoredRun) -> list[Line]:
    """What a run measured of these very files."""
    ours = {file.sha256: name for name, file in provenance.files.items()}
    lines = []
    for cell in cells(run.manifest, run.samples):
        if cell.plan.model_sha256 not in ours or not cell.n or cell.end is None:
            continue
        share, memory = cell.accuracy, cell.end.memory
        lines.append(
            Line(
                (
                    f"`{ours[cell.plan.model_sha256]}`",
                    plain(f"{cell.plan.board_title}, {cell.plan.engine}"),
                    f"{share.point:.4f} ({share.low:.4f} to {share.high:.4f}), {cell.n}",
                    _time(cell),
                    f"{memory.arena:,}",
                    f"{memory.flash_model:,}",
                    plain(run.manifest.run_id),
                )
            )
        )
    return lines


def _time(cell: Cell) -> str:
    if cell.time is None:
        return "not measured"
    unit = "instructions" if cell.plan.clock.unit == "instructions" else "µs"
    return f"{cell.time.point:,.0f} {unit}"
