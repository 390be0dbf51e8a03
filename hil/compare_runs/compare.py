"""Two stored runs -> what became better, worse or stayed, and whether that is a regression."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hil.compare_runs.figures import figures
from hil.compare_runs.match import check_fields, match, refuse
from hil.compare_runs.records import (
    COMPARISON_SCHEMA,
    Compared,
    Comparison,
    Fact,
    Figure,
    Lost,
    Side,
)
from hil.compare_runs.words import problem, summary
from hil.limits import LimitsFile, exceeded
from hil.report.cells import Cell, cells
from hil.report.summary import summarise
from hil.runlog.load import StoredRun, load
from hil.runlog.schema import Manifest, RunPlan

# of a run: what one compares, or compares by
_FACTS = ("engine", "model_sha256", "firmware_sha256", "toolchain", "oracle", "emulator")


def compare_runs(
    base: Path,
    new: Path,
    limits: LimitsFile | None = None,
    *,
    allow: Iterable[str] = (),
    allow_missing: bool = False,
) -> Comparison:
    """Compare the runs stored in two folders.

    With ``limits`` NEW is also held to its absolute ones. ``allow`` names fields that may differ,
    of `hil.compare_runs.match.FIELDS`. Raises StorageError, UsageError, and NotComparable naming
    the fields that differ.
    """
    fields = check_fields(allow)
    names = f"{base} and {new}"
    return compare_stored(
        load(base), load(new), limits, allow=fields, allow_missing=allow_missing, names=names
    )


def compare_stored(
    base: StoredRun,
    new: StoredRun,
    limits: LimitsFile | None = None,
    *,
    allow: Collection[str] = (),
    allow_missing: bool = False,
    names: str = "the runs",
) -> Comparison:
    """As `compare_runs`, of what is loaded already; ``names`` is what an error calls them."""
    matched = match(_cells(base), _cells(new), allow)
    refuse(base.manifest, new.manifest, matched, allow, names)
    held = limits or LimitsFile()
    broken = _broken(new, limits) if limits else {}
    runs = []
    for one, other in matched.pairs:
        key = other.plan.key
        found = figures(one, other, held.growth(key), allow)
        if allow_missing:
            found = tuple(_let_pass(figure) for figure in found)
        facts = tuple(_facts(one.plan, other.plan, _FACTS))
        runs.append(Compared(key, one.plan.key, found, facts, broken.get(key, ())))
    lost = tuple(Lost(cell.plan.key, _why(cell.plan, new.manifest)) for cell in matched.lost)
    problems = tuple(_problems(runs, () if allow_missing else lost))
    return Comparison(
        schema=COMPARISON_SCHEMA,
        base=_side(base.manifest),
        new=_side(new.manifest),
        regression=bool(problems),
        sentence=summary(runs, lost, problems),
        problems=problems,
        runs=tuple(runs),
        lost=lost,
        added=tuple(cell.plan.key for cell in matched.added),
        facts=tuple(_hosts(base.manifest, new.manifest)),
        allowed=tuple(sorted(allow)),
    )


def _cells(run: StoredRun) -> Sequence[Cell]:
    return cells(run.manifest, run.samples)


def _let_pass(figure: Figure) -> Figure:
    missing = figure.word == "missing" or figure.name == "unanswered"
    return msgspec.structs.replace(figure, beyond=False) if missing else figure


def _problems(runs: Iterable[Compared], lost: Iterable[Lost]) -> Iterator[str]:
    for gone in lost:
        yield f"{gone.key}: not in NEW{f' ({gone.why})' if gone.why else ''}"
    for run in runs:
        for figure in run.figures:
            if figure.beyond:
                yield f"{run.key}: {problem(figure)}"
        yield from run.broken


def _broken(new: StoredRun, limits: LimitsFile) -> dict[str, tuple[str, ...]]:
    """Absolute limits that NEW breaks, by run."""
    rows = summarise(new.manifest, (s for part in new.samples.values() for s in part)).runs
    found = {}
    for row in rows:
        key = f"{row.board}/{row.engine}/{row.model}/{row.precision}"
        if key in limits.runs:
            found[key] = tuple(exceeded(row, limits.runs[key]))
    return found


def _why(plan: RunPlan, new: Manifest) -> str:
    """Why NEW has not this run, where its manifest says so."""
    for found in new.no_place:
        if all(
            getattr(found, name) == getattr(plan, name)
            for name in ("board", "engine", "model", "precision")
        ):
            least = "" if found.linked else "at least "
            return f"no place: {least}{found.needs:,} B of {found.memory}, board has {found.has:,}"
    return ""


def _side(manifest: Manifest) -> Side:
    git = manifest.git
    return Side(
        manifest.run_id, manifest.created, git.commit if git else "", bool(git and git.dirty)
    )


def _facts(base: Any, new: Any, names: Iterable[str]) -> Iterator[Fact]:
    for name in names:
        one, other = (str(getattr(record, name, "")) for record in (base, new))
        if one != other:
            yield Fact(name, one, other)


def _hosts(base: Manifest, new: Manifest) -> Iterator[Fact]:
    yield from _facts(base, new, ("hil",))
    yield from _facts(base.host, new.host, ("platform", "cpu", "python"))
    one, other = base.host.packages, new.host.packages
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            yield Fact(name, one.get(name, "–"), other.get(name, "–"))
