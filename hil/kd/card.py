"""A provenance and stored runs -> a model card: what was measured, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil import stats
from hil.kd import plan
from hil.kd.pages import plain, render
from hil.kd.provenance import Provenance, StageRecord
from hil.kd.verdict import spread
from hil.kd.warps import Warp
from hil.records import DType
from hil.runlog.load import StoredRun
from hil.runlog.schema import RunPlan, Sample


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
    ends = {end.key: end for end in run.manifest.ends}
    lines = []
    for cell in run.manifest.runs:
        samples = run.samples[cell.key]
        end = ends.get(cell.key)
        if cell.model_sha256 not in ours or not samples or end is None:
            continue
        right = sum(_says(cell, sample) == sample.label for sample in samples)
        share = stats.proportion(right, len(samples))
        lines.append(
            Line(
                (
                    f"`{ours[cell.model_sha256]}`",
                    plain(f"{cell.board_title}, {cell.engine}"),
                    f"{share.point:.4f} ({share.low:.4f} to {share.high:.4f}), {len(samples)}",
                    _time(cell, samples),
                    f"{end.memory.arena:,}",
                    f"{end.memory.flash_model:,}",
                    plain(run.manifest.run_id),
                )
            )
        )
    return lines


def _says(cell: RunPlan, sample: Sample) -> int:
    dtype = DType(cell.output.dtype).numpy
    return int(np.frombuffer(sample.device, dtype).argmax())


def _time(cell: RunPlan, samples: Sequence[Sample]) -> str:
    counts = cell.clock.unit == "instructions"
    times = [
        sample.time
        for sample in samples
        if sample.time is not None and (counts or not (sample.disturbed or sample.attempts > 1))
    ]
    if cell.clock.unit == "none" or not times:
        return "not measured"
    unit = "instructions" if cell.clock.unit == "instructions" else "µs"
    return f"{stats.median(times).point:,.0f} {unit}"
