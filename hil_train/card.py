# SPDX-License-Identifier: Apache-2.0
"""``card.md`` and ``history.svg``: what the records of a training and stored runs say about its
models, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats as scipy_stats

from hil import stats
from hil.core.text import clean
from hil.report.draw.layout import shortened
from hil.report.draw.templates import environment
from hil.report.text import escape, per_inference
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun
from hil.stats import Estimate
from hil_train import plan
from hil_train.batches import Warp
from hil_train.drawing import BLUE, ORANGE, settings, svg
from hil_train.provenance import Provenance, StageRecord, Verdict

Correct: TypeAlias = npt.NDArray[np.bool_]  # (n,), one per sample
Cells: TypeAlias = tuple[str, ...]  # of one row of a table

SIGNIFICANT: Final = 0.05
_WIDTH: Final = 860  # pixels of the drawing
_ROW: Final = 176  # pixels of one stage


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over seeds with its 95 % interval; ``p``: of a mean of 0. Both from Student's t."""

    mean: float
    low: float
    high: float
    n: int
    p: float


def spread(values: Sequence[float]) -> Spread | None:
    """Mean of at least two values, with its interval; None for fewer."""
    n, mean = len(values), float(np.mean(values)) if values else 0.0
    if n < 2:
        return None
    if np.ptp(values) == 0:  # SciPy warns about these
        return Spread(mean, mean, mean, n, 0.0 if mean else 1.0)
    test = scipy_stats.ttest_1samp(values, 0.0)
    interval = test.confidence_interval(0.95)
    return Spread(mean, float(interval.low), float(interval.high), n, float(test.pvalue))


def verdict(
    correct: Mapping[str, Correct],
    *,
    classes: int,
    majority: float,
    control: bool = False,
    gains: Sequence[float] = (),
) -> Verdict:
    """What the test set shows.

    Args:
        correct: role (``teacher``, ``student``, ``alone``, if there is one) -> which test samples
            it classifies correctly, all over the same samples.
        classes: how many the data has.
        majority: share of the test set's most frequent class.
        control: nothing can be learned from this data.
        gains: accuracy of the student minus that of alone, one per seed.
    """
    chance = max(1 / classes, majority)
    shares = {role: stats.proportion(int(r.sum()), r.size) for role, r in correct.items()}
    beats = {role: share.low > chance for role, share in shares.items()}
    lines = []
    for role, share in shares.items():
        name = {"alone": "student alone"}.get(role, role)
        does = "beats" if beats[role] else "does not beat"
        lines.append(
            f"The {name} ({share.point:.4f}, 95 % {share.low:.4f} to {share.high:.4f}) {does} "
            f"chance ({chance:.4f})."
        )
    gain = p = None
    if "student" in correct and "alone" in correct:
        difference = stats.paired_difference(correct["student"], correct["alone"])
        test = stats.mcnemar(correct["student"], correct["alone"])
        gain, p = (difference.point, difference.low, difference.high), test.p
        lines.append(_gain(gain, p, test.only_first, test.only_second))
    over = spread(gains)
    if over is not None:
        lines.append(
            f"Over {over.n} seeds, distillation changes the accuracy by "
            f"{_signed(over.mean, over.low, over.high)} (paired t, p = {over.p:.2g})."
        )
    lines += _conclusion(beats, control, gain is not None and gain[0] > 0 and _low(p))
    return Verdict(chance=chance, beats_chance=beats, gain=gain, p=p, sentences=tuple(lines))


def _gain(gain: tuple[float, float, float], p: float, ours: int, theirs: int) -> str:
    figures = (
        f"{_signed(*gain)}; only the distilled one is correct on {ours} samples, only the other on "
        f"{theirs}; McNemar's exact p = {p:.2g}"
    )
    if not _low(p):
        return f"Distillation made no measurable difference on this test set ({figures})."
    word = "more" if gain[0] > 0 else "LESS"
    return f"The distilled student is correct {word} often than the student alone ({figures})."


def _conclusion(beats: Mapping[str, bool], control: bool, gained: bool) -> list[str]:
    above = [role for role, does in beats.items() if does]
    if control and above:
        return [
            "This data was made so that nothing can be learned from it, but "
            f"{' and '.join(above)} beat chance: either by chance (1 in 40 each), or because "
            "labels leak."
        ]
    if not above:
        who = "neither teacher nor student beats" if "teacher" in beats else "no network beats"
        why = " The labels were made independently of the inputs." if control else ""
        return [f"As {who} chance, distillation has nothing to transfer.{why}"]
    if beats.get("student") and not beats.get("alone", True):
        return [
            "The student alone learned nothing: the difference shows that its training failed, not "
            "what a teacher is worth."
        ]
    if gained and not beats.get("teacher", True):
        return ["The teacher does not beat chance, so its knowledge cannot explain the gain."]
    return []


def _low(p: float | None) -> bool:
    return p is not None and p < SIGNIFICANT


def _signed(point: float, low: float, high: float) -> str:
    return f"{100 * point:+.2f} points, 95 % {100 * low:+.2f} to {100 * high:+.2f}"


def card(provenance: Provenance, runs: Sequence[StoredRun] = ()) -> str:
    """The Markdown; the same text for the same arguments.

    Args:
        provenance: of the models.
        runs: stored runs of the bench; runs of other files are ignored.
    """
    template = environment("hil_train").get_template("card.md.j2")
    return template.render(
        p=provenance,
        accuracy=[_accuracy(provenance, name) for name in provenance.files],
        stages=[_stage(provenance, *item) for item in _first_seeds(provenance)],
        seeds=[row for s in provenance.recipe.stages if (row := _seeds(provenance, s.name))],
        reported=[
            (
                each.stage,
                f"{each.accuracy:.4f}",
                f"{provenance.test_accuracy[each.stage]:.4f}",
                escape(each.note),
            )
            for each in provenance.recipe.reported
        ],
        devices=[row for run in runs for row in _devices(provenance, run)],
        schedules=_schedules(provenance),
        notes=[(s.name, s.note) for s in provenance.recipe.stages if s.note],
    )


def _first_seeds(provenance: Provenance) -> list[tuple[str, StageRecord]]:
    """Key and record of each stage's training with the first seed, in order."""
    found = provenance.stages.items()
    return [(key, record) for key, record in found if key == record.inputs.plan.stage]


def _wilson(share: Estimate) -> str:
    return f"{share.point:.4f} ({share.low:.4f} to {share.high:.4f})"


def _on_test(provenance: Provenance, accuracy: float) -> str:
    n = provenance.data.test
    return _wilson(stats.proportion(round(accuracy * n), n))


def _accuracy(provenance: Provenance, name: str) -> Cells:
    facts = provenance.files[name]
    return (
        f"`{name}`",
        f"{facts.nbytes:,}",
        f"{facts.validation_accuracy:.4f}",
        _on_test(provenance, facts.test_accuracy),
    )


def _stage(provenance: Provenance, key: str, record: StageRecord) -> Cells:
    used = record.inputs.plan
    how = "labels only"
    if used.loss is not None:
        how = f"{used.teacher}, {used.loss.kind}, T = {used.loss.temperature:g}, "
        if used.loss.kind == "feature":
            how = f"{used.teacher}, {used.loss.teacher_layer} to {used.loss.student_layer}, "
        how += f"alpha = {used.loss.alpha:g}"
    if used.start:
        how += f"; continues {used.start}"
    if used.quantised:
        how += "; quantisation-aware"
    epochs, most = len(record.history["loss"]), used.schedule.epochs
    return (
        key,
        f"{record.parameters:,}",
        how,
        f"{epochs}" if epochs == most else f"{epochs} of {most}",
        f"{record.seconds:.0f}",
        f"{record.samples_per_second:,.0f}",
        f"{record.validation_accuracy:.4f}",
        _on_test(provenance, provenance.test_accuracy[key]),
    )


def _seeds(provenance: Provenance, stage: str) -> Cells | None:
    """Mean over seeds; None if there is only one."""
    accuracies = [provenance.test_accuracy[key] for key in plan.seed_keys(provenance.recipe, stage)]
    over = spread(accuracies)
    if over is None:
        return None
    each = ", ".join(f"{accuracy:.4f}" for accuracy in accuracies)
    return (stage, f"{over.mean:.4f} ({over.low:.4f} to {over.high:.4f})", each)


def _schedules(provenance: Provenance) -> list[str]:
    used = {stage.schedule for stage in provenance.recipe.stages}
    lines = []
    for name, s in provenance.recipe.schedules.items():
        if name not in used:
            continue
        words = f"{name}: at most {s.epochs} epochs with batches of {s.batch}, Adam"
        words += f"W, weight decay {s.weight_decay:g}," * bool(s.weight_decay)
        words += f" at {s.learning_rate:g}"
        words += f", reached after {s.warmup} steps" * bool(s.warmup)
        words += ", falling to 0 on a cosine" * (s.decay == "cosine")
        words += f", pictures moved by up to {s.shift} pixels" * bool(s.shift)
        words += f", {_warp(s.warp)}" if s.warp else ""
        if s.patience:
            words += f"; ends after {s.patience} epochs without a better {s.monitor}, and keeps "
            words += "the best epoch's weights"
        lines.append(words)
    return lines


def _warp(warp: Warp) -> str:
    many = f"{warp.views} views per picture" if warp.views else "a new view in every epoch"
    sizes = f"scaled and sheared by {100 * warp.zoom:g} and {100 * warp.shear:g} %"
    return (
        f"{many}: rotated by up to {warp.turn:g} degrees, moved by {warp.shift:g} pixels, {sizes}, "
        f"bent by {warp.bend:g} pixels"
    )


def _devices(provenance: Provenance, run: StoredRun) -> list[Cells]:
    """What a run measured with these files."""
    ours = {file.sha256: name for name, file in provenance.files.items()}
    rows: list[Cells] = []
    for cell in cells(run.manifest, run.samples):
        if cell.plan.model_sha256 not in ours or cell.accuracy is None or cell.end is None:
            continue
        memory = cell.end.memory
        rows.append(
            (
                f"`{ours[cell.plan.model_sha256]}`",
                escape(f"{cell.plan.board_title}, {cell.plan.engine}"),
                f"{_wilson(cell.accuracy)}, {cell.n}",
                _time(cell),
                _bytes(memory.arena if memory else None),
                _bytes(memory.flash_model if memory else None),
                escape(run.manifest.run_id),
            )
        )
    return rows


def _bytes(value: int | None) -> str:
    return "not known" if value is None else f"{value:,}"


def _time(cell: Cell) -> str:
    if cell.time is None:
        return "not measured"
    unit = per_inference(cell.plan.clock.unit)
    return f"{cell.time.point:,.0f} {unit}"


def history_svg(provenance: Provenance) -> str:
    """``history.svg``: accuracy and loss of each stage's first seed, per epoch."""
    with settings():
        return svg(history(provenance))


def history(provenance: Provenance) -> Figure:
    """The same as a figure, with one row per stage; make it within `drawing.settings`."""
    stages = _first_seeds(provenance)
    height = 0.4 + _ROW / 100 * len(stages)
    figure = Figure(figsize=(_WIDTH / 100, height), dpi=100, layout="constrained")
    title = f"{provenance.name}: accuracy and loss per epoch"
    figure.suptitle(
        shortened(clean(title), _WIDTH - 260, 15, bold=True), x=0.01, ha="left", weight="bold"
    )
    shown = [v for _, r in stages for name in _ACCURACY for v in r.history[name]]
    margin = max(0.05 * (max(shown) - min(shown)), 0.001)
    panels: list[Axes] = []
    for part, (key, record) in zip(
        figure.subfigures(len(stages), squeeze=False)[:, 0], stages, strict=True
    ):
        epochs, best = len(record.history["loss"]), record.validation_accuracy
        words = f"{key}: {epochs} epochs, {record.seconds:.0f} s, {best:.4f} on validation"
        part.suptitle(shortened(clean(words), _WIDTH - 40, 13), x=0.01, ha="left")
        left, right = part.subplots(1, 2)
        _panel(left, "accuracy", record, _ACCURACY)
        left.set_ylim(min(shown) - margin, max(shown) + margin)  # the same for all stages
        loss = record.inputs.plan.loss
        _panel(right, f"loss, {loss.kind if loss else 'cross-entropy'}", record, _LOSS)
        right.set_ylim(bottom=0)
        panels.append(left)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="upper right", ncols=2)
    return figure


_ACCURACY: Final = ("accuracy", "val_accuracy")
_LOSS: Final = ("loss", "val_loss")


def _panel(axes: Axes, title: str, record: StageRecord, names: tuple[str, str]) -> None:
    epochs = range(1, len(record.history[names[0]]) + 1)
    train, validation = (record.history[name] for name in names)
    axes.plot(epochs, train, "--", color=ORANGE, linewidth=1.2, label="training")
    axes.plot(epochs, validation, color=BLUE, linewidth=1.6, label="validation")
    axes.set_title(title, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
