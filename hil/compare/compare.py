# SPDX-License-Identifier: Apache-2.0
"""Compare two stored runs: which figures changed, and whether that is a regression."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from hil.compare.energy import (
    IDLE_MODE,
    INSTRUMENT,
    VOLTAGE,
    energy_differences,
    energy_figure,
    energy_of,
)
from hil.compare.figures import figures
from hil.compare.formats import problem, problem_of_lost, summary
from hil.compare.host import ALLOW as ALLOW_HOST
from hil.compare.host import Measured, host_figures
from hil.compare.limits import LimitsFile, exceeded
from hil.compare.records import (
    COMPARISON_SCHEMA,
    ComparedFigure,
    ComparedRun,
    Comparison,
    Fact,
    Lost,
    Side,
)
from hil.core.errors import NotComparable, unknown
from hil.core.records import Task
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun, load_run
from hil.runs.rows import summarise
from hil.runs.schema import (
    Manifest,
    RunPlan,
)
from hil.runs.schema_host import HostMachine

# what must be equal in both runs unless it may differ; `model` is the network's name and outputs.
# Other hosts are never rejected: their latencies are not judged unless `host` may differ
FIELDS: Final = (
    "dataset",
    "samples",
    "state",
    "board",
    "model",
    "precision",
    "clock",
    "outputs",
    "task",
    "tolerance",
    "chaos",
    ALLOW_HOST,
    VOLTAGE,
    IDLE_MODE,
    INSTRUMENT,
)
_KEY: Final = ("board", "engine", "model", "precision")


@dataclass(frozen=True, slots=True)
class Matched:
    """Runs that are in both, in NEW's order, and those that are only in one."""

    pairs: tuple[tuple[Cell, Cell], ...]
    lost: tuple[Cell, ...]
    added: tuple[Cell, ...]


def check_fields(names: Iterable[str]) -> frozenset[str]:
    """The fields that may differ; UsageError for an unknown one."""
    found = frozenset(names)
    for name in sorted(found - set(FIELDS)):
        raise unknown(f"--allow {name}: unknown field", name, FIELDS)
    return found


def match(base: Sequence[Cell], new: Sequence[Cell], allowed: Collection[str]) -> Matched:
    """Pair runs of equal board, model and precision, except for what is ``allowed`` to differ.

    Equal keys come first; the remaining ones may have another engine, since comparing engines is a
    purpose; then they may differ in what is allowed. Ambiguous ones stay unpaired.
    """
    pairs: list[tuple[Cell, Cell]] = []
    left, right = list(base), list(new)
    for free in ((), ("engine",), ("engine", *allowed)):
        names = [name for name in _KEY if name not in free]
        for one, other in _unique(left, right, names):
            pairs.append((one, other))
            left = [cell for cell in left if cell is not one]
            right = [cell for cell in right if cell is not other]
    order = {cell.plan.key: i for i, cell in enumerate(new)}
    pairs.sort(key=lambda pair: order[pair[1].plan.key])
    return Matched(tuple(pairs), tuple(left), tuple(right))


def _unique(
    base: Sequence[Cell], new: Sequence[Cell], names: Sequence[str]
) -> list[tuple[Cell, Cell]]:
    """Pairs that are equal in ``names`` and unique on both sides."""

    def grouped(cells: Sequence[Cell]) -> dict[tuple[str, ...], list[Cell]]:
        groups: dict[tuple[str, ...], list[Cell]] = {}
        for cell in cells:
            groups.setdefault(tuple(getattr(cell.plan, name) for name in names), []).append(cell)
        return groups

    mine, theirs = grouped(base), grouped(new)
    return [
        (group[0], theirs[key][0])
        for key, group in mine.items()
        if len(group) == len(theirs.get(key, ())) == 1
    ]


def refuse(
    base: Manifest,
    new: Manifest,
    matched: Matched,
    allowed: Collection[str],
    names: str,
    more: Iterable[tuple[str, str]] = (),
) -> None:
    """NotComparable, with every field that differs and is not ``allowed`` to; ``more`` are such
    fields with their words."""
    found = [
        (field, f"{field} {words}")
        for field, words in (*_run_differences(base, new), *_plan_differences(matched), *more)
        if field not in allowed
    ]
    fields = list(dict.fromkeys(field for field, _ in found))
    if not matched.pairs and not found:
        raise NotComparable(f"{names} have no run in common", "`hil report` lists a folder's runs")
    if found:
        options = " ".join(f"--allow {field}" for field in fields)
        raise NotComparable(
            f"{names} cannot be compared: {'; '.join(dict.fromkeys(words for _, words in found))}",
            f"to compare them anyway: {options}",
        )


def _run_differences(base: Manifest, new: Manifest) -> Iterable[tuple[str, str]]:
    one, other = base.dataset, new.dataset
    if (one.name, one.split) != (other.name, other.split):
        yield "dataset", f"{one.name}/{one.split} and {other.name}/{other.split}"
    elif one.fingerprint != other.fingerprint:
        yield "dataset", f"{one.name} with other content"
    if one.n != other.n:
        yield "samples", f"{one.n:,} and {other.n:,}"
    if base.chaos or new.chaos:
        sides = (
            f"{name} has {run.chaos}" for name, run in (("BASE", base), ("NEW", new)) if run.chaos
        )
        yield "chaos", f"was injected ({', '.join(sides)}), so times are not latencies"
    if base.state != "complete":
        yield "state", f"of BASE is {base.state}"


def _plan_differences(matched: Matched) -> Iterable[tuple[str, str]]:
    if not matched.pairs:
        left = [cell.plan for cell in matched.lost]
        right = [cell.plan for cell in matched.added]
        for name in _KEY:
            one, other = ({getattr(plan, name) for plan in plans} for plans in (left, right))
            if name != "engine" and not one & other:
                yield name, f"{_words(one)} and {_words(other)}"
    for a, b in matched.pairs:
        old, new = a.plan, b.plan
        where = f"of {new.key}"
        if a.task is not b.task and Task.NONE not in (a.task, b.task):
            yield "task", f"{where}: {a.task} and {b.task}"
        if old.emulated != new.emulated:
            kinds = ("real", "emulated")
            yield "board", f"{where}: {kinds[old.emulated]} and {kinds[new.emulated]}"
        if old.clock != new.clock:
            yield "clock", f"{where}: {_clock(old)} and {_clock(new)}"
        if old.output.shape != new.output.shape:
            yield "outputs", f"{where}: {old.output.shape} and {new.output.shape}"
        if old.tolerance != new.tolerance:
            yield "tolerance", f"{where}: {old.tolerance:g} and {new.tolerance:g}"


def _words(names: Collection[str]) -> str:
    return " and ".join(sorted(names)) or "none"


def _clock(plan: RunPlan) -> str:
    return f"{plan.clock.unit} ({plan.clock.detail})" if plan.clock.detail else plan.clock.unit


# properties of a run that may differ
_FACTS = (
    "engine",
    "model_sha256",
    "firmware_sha256",
    "toolchain",
    "oracle",
    "emulator",
    "sketch",
    "protocol",
)


def compare_runs(
    base: Path,
    new: Path,
    limits: LimitsFile | None = None,
    *,
    allow: Iterable[str] = (),
    allow_missing: bool = False,
) -> Comparison:
    """Compare the runs stored in two folders.

    With ``limits``, NEW is also checked against its absolute limits. ``allow`` are the fields of
    `FIELDS` that may differ. Raises StorageError, UsageError, and NotComparable with the fields
    that differ.
    """
    fields = check_fields(allow)
    names = f"{base} and {new}"
    return compare_stored(
        load_run(base),
        load_run(new),
        limits,
        allow=fields,
        allow_missing=allow_missing,
        names=names,
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
    """`compare_runs` for loaded runs; ``names`` is how an error refers to them."""
    matched = match(_cells(base), _cells(new), allow)
    energies = [
        (energy_of(base, one.plan.key), energy_of(new, other.plan.key))
        for one, other in matched.pairs
    ]
    doubts = [found for pair in energies for found in energy_differences(*pair)]
    refuse(base.manifest, new.manifest, matched, allow, names, doubts)
    file = limits or LimitsFile()
    broken = _broken(new, limits) if limits else {}
    runs = []
    for (one, other), measured in zip(matched.pairs, energies, strict=True):
        key = other.plan.key
        energy = energy_figure(*measured, file.growth(key))
        found = (
            *figures(one, other, file.growth(key), allow),
            *([energy] if energy else []),
            *host_figures(
                Measured(one, _machine(base)),
                Measured(other, _machine(new)),
                file.growth(key),
                allow,
            ),
        )
        if allow_missing:
            found = tuple(_allow_missing(figure) for figure in found)
        facts = tuple(_facts(one.plan, other.plan, _FACTS))
        runs.append(ComparedRun(key, one.plan.key, found, facts, broken.get(key, ())))
    lost = tuple(
        Lost(cell.plan.key, _why(cell.plan, new.manifest), beyond=not allow_missing)
        for cell in matched.lost
    )
    problems = tuple(_problems(runs, lost))
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
    return cells(run.manifest, run.samples, run.host, run.targets)


def _machine(run: StoredRun) -> HostMachine | None:
    return run.host.machine if run.host else None


def _allow_missing(figure: ComparedFigure) -> ComparedFigure:
    missing = figure.word == "missing" or figure.name == "unanswered"
    return msgspec.structs.replace(figure, beyond=False) if missing else figure


def _problems(runs: Iterable[ComparedRun], lost: Iterable[Lost]) -> Iterator[str]:
    yield from (problem_of_lost(one) for one in lost if one.beyond)
    for run in runs:
        for figure in run.figures:
            if figure.beyond:
                yield f"{run.key}: {problem(figure)}"
        yield from run.broken


def _broken(new: StoredRun, limits: LimitsFile) -> dict[str, tuple[str, ...]]:
    """Absolute limits that NEW exceeds, by run."""
    answers = (s for part in new.samples.values() for s in part)
    rows = summarise(new.manifest, answers, targets=new.targets).runs
    found = {}
    for row in rows:
        if row.key in limits.runs:
            found[row.key] = tuple(exceeded(row, limits.runs[row.key]))
    return found


def _why(plan: RunPlan, new: Manifest) -> str:
    """Why NEW does not have this run, if its manifest says so."""
    for found in new.no_place:
        if found.key == plan.key:
            least = "" if found.linked else "at least "
            return (
                f"does not fit: {least}{found.needs:,} B of {found.memory}, "
                f"the board has {found.has:,}"
            )
    return next((one.why for one in new.refused if one.key == plan.key), "")


def _side(manifest: Manifest) -> Side:
    git = manifest.git
    return Side(
        manifest.run_id, manifest.created, git.commit if git else "", bool(git and git.dirty)
    )


def _facts(base: Any, new: Any, names: Iterable[str]) -> Iterator[Fact]:
    for name in names:
        one, other = (str(getattr(record, name)) for record in (base, new))
        if one != other:
            yield Fact(name, one, other)


def _hosts(base: Manifest, new: Manifest) -> Iterator[Fact]:
    yield from _facts(base, new, ("hil",))
    yield from _facts(base.host, new.host, ("platform", "cpu", "python"))
    one, other = base.host.packages, new.host.packages
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            yield Fact(name, one.get(name, "–"), other.get(name, "–"))
