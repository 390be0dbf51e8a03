"""The runs of a folder in the order in which they were made, each held against the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hil.compare_runs.compare import compare_stored
from hil.compare_runs.records import Change, Figure
from hil.errors import HilError, NotComparable, StorageError, UsageError
from hil.limits import LimitsFile
from hil.runlog.load import StoredRun, load, read_manifest
from hil.runlog.schema import MANIFEST, Manifest

# another network on the same data is still a point of the same line
_ALLOWED = ("model",)


@dataclass(frozen=True)
class Point:
    """One run in a line. ``figures`` are against the run before, of a first one against itself;
    ``changed`` names those whose change is worth a mark."""

    run_id: str
    created: str
    commit: str
    figures: dict[str, Figure]
    changed: frozenset[str] = frozenset()


@dataclass
class Line:
    """Runs of one key that compare with each other, the oldest first. ``why``: what the run before
    differed in, when the line is not the key's first; ``since``: the last against the first."""

    key: str
    why: str = ""
    points: list[Point] = field(default_factory=list)
    since: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class History:
    """All lines, in the order of their keys, and folders or runs that are in none."""

    folder: str
    lines: tuple[Line, ...]
    left_out: tuple[str, ...]


def read_history(folder: Path, limits: LimitsFile | None = None) -> History:
    """Read every run below ``folder``, one level deep.

    A folder that cannot be read, and a run that was cut short, is left out and named. UsageError
    when none is left.
    """
    left_out: list[str] = []
    open_: dict[str, list[_Open]] = {}
    for path, _ in _ordered(folder, left_out):
        try:
            stored = load(path)
        except HilError as problem:
            left_out.append(problem.what)
            continue
        for key, part in _parts(stored, left_out):
            _append(open_.setdefault(key, []), key, part, limits)
    if not open_:
        why = f": {left_out[0]}" if left_out else ""
        raise UsageError(f"{folder} holds no whole run{why}", "give the folder that holds runs")
    found = tuple(one.line for key in sorted(open_) for one in open_[key])
    return History(folder.name or str(folder), found, tuple(left_out))


@dataclass
class _Open:
    """A line that may go on, with the runs at its ends."""

    line: Line
    first: StoredRun
    last: StoredRun


def _ordered(folder: Path, left_out: list[str]) -> list[tuple[Path, Manifest]]:
    """Run folders with their manifests, by the time they were made."""
    if (folder / MANIFEST).exists():
        raise UsageError(f"{folder} is one run", "give the folder that holds it")
    try:
        inside = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    except OSError as problem:
        raise StorageError(
            f"{folder} cannot be read ({problem.strerror})", "give the folder that holds runs"
        ) from problem
    found = []
    for path in inside:
        if not (path / MANIFEST).exists():
            continue
        try:
            found.append((path, read_manifest(path)))
        except HilError as problem:
            left_out.append(problem.what)
    return sorted(found, key=lambda pair: (pair[1].created, pair[0].name))


def _parts(stored: StoredRun, left_out: list[str]) -> Iterator[tuple[str, StoredRun]]:
    """Each run of the matrix as a stored run of its own; those that have all answers."""
    manifest = stored.manifest
    ended = {end.key for end in manifest.ends}
    for plan in manifest.runs:
        samples = stored.samples[plan.key]
        if plan.key not in ended or len(samples) != manifest.dataset.n:
            left_out.append(f"{manifest.run_id}: {plan.key} was cut short")
            continue
        ends = tuple(end for end in manifest.ends if end.key == plan.key)
        alone = msgspec.structs.replace(manifest, runs=(plan,), ends=ends, state="complete")
        yield plan.key, StoredRun(alone, {plan.key: samples}, {}, torn=False)


def _append(lines: list[_Open], key: str, part: StoredRun, limits: LimitsFile | None) -> None:
    """Put ``part`` at the end of the latest line that it compares with, or begin one."""
    why = ""
    for one in reversed(lines):
        try:
            figures = _figures(one.last, part, limits)
        except NotComparable as problem:
            why = why or problem.what
            continue
        changed = frozenset(name for name, found in figures.items() if marked(found))
        one.line.points.append(_point(part.manifest, figures, changed))
        one.line.since = _figures(one.first, part, limits)
        one.last = part
        return
    line = Line(key, why, [_point(part.manifest, _figures(part, part, limits))])
    lines.append(_Open(line, part, part))


def _figures(base: StoredRun, new: StoredRun, limits: LimitsFile | None) -> dict[str, Figure]:
    names = f"{base.manifest.run_id} and {new.manifest.run_id}"
    held = LimitsFile(compare=limits.compare) if limits else None
    found = compare_stored(base, new, held, allow=_ALLOWED, names=names)
    return {figure.name: figure for figure in found.runs[0].figures}


def _point(
    manifest: Manifest, figures: dict[str, Figure], changed: frozenset[str] = frozenset()
) -> Point:
    commit = manifest.git.commit[:12] if manifest.git else ""
    return Point(manifest.run_id, manifest.created, commit, figures, changed)


def marked(figure: Figure) -> bool:
    """Is a change worth a mark: exact, or its whole interval beyond the limit, either way?"""
    change = figure.change
    if change is None or figure.word not in ("better", "worse"):
        return False
    if change.method == "exact" or figure.kind == "instructions" or figure.limit is None:
        return True
    low, high = _reach(change)
    return low > figure.limit or high < -figure.limit


def _reach(change: Change) -> tuple[float, float]:
    """An interval in percent, or in percentage points."""
    zero = 1 if change.kind == "ratio" else 0
    return 100 * (change.low - zero), 100 * (change.high - zero)


def varying(line: Line) -> Sequence[str]:
    """Names of the figures that are not one value throughout, in the order they are stored."""
    names = dict.fromkeys(name for point in line.points for name in point.figures)
    return [name for name in names if len({_value(point, name) for point in line.points}) > 1]


def _value(point: Point, name: str) -> float | None:
    figure = point.figures.get(name)
    return figure.new if figure else None
