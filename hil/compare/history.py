# SPDX-License-Identifier: Apache-2.0
"""The runs of a folder in the order in which they were made, each held against the one before."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from jinja2 import Template

from hil import stats
from hil.compare.compare import compare_stored
from hil.compare.formats import TITLES, changed, value
from hil.compare.limits import LimitsFile
from hil.compare.records import Change, Figure
from hil.core.errors import HilError, NotComparable, StorageError, UsageError
from hil.report.draw.layout import width
from hil.report.draw.templates import environment
from hil.report.text import escape, listed, plural, short
from hil.runs.load import StoredRun, load_run, read_manifest
from hil.runs.schema import MANIFEST, Manifest

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
            stored = load_run(path)
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


_DRAWN = (  # in this order, where they vary
    "accuracy",
    "unexpected",
    "answers",
    "instructions",
    "latency",
    "first",
    "arena",
    "flash_model",
    "flash_code",
    "ram_static",
    "stack",
    "heap",
)
WIDTH, HEIGHT = 380, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 368, 30, 118
_LABELLED = 4  # marks that have their change written beside them
_SIZE = 11  # pixels of the letters


@dataclass(frozen=True, slots=True)
class Dot:
    """A run; ``span`` is from the high to the low end of its interval, where there is one."""

    x: float
    y: float
    words: str
    span: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A change: ``y`` is where its words go, ``label`` is empty where there are too many."""

    x: float
    y: float
    css: str
    anchor: str
    label: str
    words: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure over the runs of a line, in the units of the drawing."""

    title: str
    alt: str
    path: str
    dots: tuple[Dot, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[tuple[float, str], ...]


def page(history: History) -> str:
    """A whole page: no script, no request; every stranger's string is cleaned and escaped."""
    sections = [
        {
            "line": line,
            "sentence": sentence(line),
            "drawings": drawings(line),
            "constant": constant(line),
            "head": head(line),
            "rows": list(rows(line)),
        }
        for line in history.lines
    ]
    edges = {"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM}
    return _template().render(
        history=history, sections=sections, width=WIDTH, height=HEIGHT, **edges
    )


@functools.cache
def _template() -> Template:
    """Compiled once per process."""
    return environment("hil.compare").get_template("history.html.j2")


def markdown(history: History) -> str:
    """The same in tables."""
    return "\n".join(_markdown(history)) + "\n"


def _markdown(history: History) -> Iterator[str]:
    yield f"# Runs of {escape(history.folder)}"
    for line in history.lines:
        yield from ("", f"## {escape(line.key)}", "", escape(sentence(line)))
        if line.why:
            yield from ("", escape(f"A line of its own: {line.why}."))
        if said := constant(line):
            yield from ("", escape(said))
        names = head(line)
        yield from ("", "| " + " | ".join(map(escape, names)) + " |", "|" + "---|" * len(names))
        for cells in rows(line):
            yield "| " + " | ".join(escape(cell) or " " for cell in cells) + " |"
    if history.left_out:
        yield from ("", "## Left out", "")
        yield from (f"- {escape(words)}" for words in history.left_out)


def sentence(line: Line) -> str:
    """How many runs, and how the last compares with the first."""
    runs = plural(len(line.points), "run")
    if len(line.points) == 1:
        return f"{runs}: nothing to compare it with."
    said = [
        f"{TITLES.get(name, name)} {changed(found) or found.word} ({found.word})"
        for name, found in line.since.items()
        if name in _DRAWN and found.word in ("better", "worse")
    ]
    steps = sum(bool(point.changed) for point in line.points)
    first = f"{runs}, {plural(steps, 'change')} from one to the next."
    return f"{first} Last against first: {listed(said) or 'nothing better or worse'}."


def constant(line: Line) -> str:
    """The figures that need no chart."""
    last = line.points[-1].figures
    moving = set(varying(line))
    said = [
        f"{TITLES[name]} {value(last[name], last[name].new)}"
        for name in _DRAWN
        if name in last and name not in moving
    ]
    if not said:
        return ""
    return f"{'The same in all: ' if len(line.points) > 1 else ''}{', '.join(said)}."


def head(line: Line) -> tuple[str, ...]:
    names = [TITLES[name] for name in _DRAWN if name in varying(line)]
    return ("Run", "Made", "Commit", *names, "Against the run before")


def rows(line: Line) -> Iterator[tuple[str, ...]]:
    names = [name for name in _DRAWN if name in varying(line)]
    for point in line.points:
        figures = [point.figures.get(name) for name in names]
        values = ["–" if found is None else value(found, found.new) for found in figures]
        said = "; ".join(
            f"{TITLES.get(name, name)} {words(point.figures[name])}"
            for name in point.figures
            if name in point.changed and name in _DRAWN
        )
        yield (point.run_id, point.created[:16].replace("T", " "), point.commit, *values, said)


def words(figure: Figure) -> str:
    limit = ", beyond its limit" if figure.beyond else ""
    return f"{changed(figure)}: {figure.word}{limit}"


def drawings(line: Line) -> tuple[Drawing, ...]:
    """A chart for each figure that varies; none of a single run."""
    moving = set(varying(line))
    return tuple(_drawing(line, name) for name in _DRAWN if name in moving)


def _drawing(line: Line, name: str) -> Drawing:
    known = [(i, p) for i, p in enumerate(line.points) if _number(p, name) is not None]
    numbers = [_number(point, name) or 0.0 for _, point in known]
    spans = [_span(point.figures[name]) for _, point in known]
    ends = [end for span in spans if span for end in span]
    low, high = min(numbers + ends), max(numbers + ends)
    room = (high - low) * 0.08 or max(abs(high) * 0.01, 1e-9)
    bottom, top = low - room, high + room

    def x(i: int) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * i / max(len(line.points) - 1, 1), 1)

    def y(number: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * (number - bottom) / (top - bottom), 1)

    dots = tuple(
        Dot(
            x(i),
            y(number),
            f"{point.run_id}: {_said(point, name)}",
            (y(span[1]), y(span[0])) if span else None,
        )
        for (i, point), number, span in zip(known, numbers, spans, strict=True)
    )
    path = " ".join(f"{'M' if not k else 'L'}{dot.x} {dot.y}" for k, dot in enumerate(dots))
    return Drawing(
        title=TITLES[name],
        alt=f"{TITLES[name]}: {_said(known[0][1], name)} at first, {_said(known[-1][1], name)} "
        f"at last, over {plural(len(known), 'run')}",
        path=path,
        dots=dots,
        marks=_marks([(x(i), point) for i, point in known], name),
        ticks=tuple((y(number), _tick(line, name, number)) for number in sorted({low, high})),
    )


def _marks(points: Sequence[tuple[float, Point]], name: str) -> tuple[Mark, ...]:
    """The changes; a few of them with words, on two rows, where those of no other are."""
    changes = [(x, point) for x, point in points if name in point.changed]
    found = []
    taken: list[tuple[float, float, float]] = []  # row, left, right
    for x, point in changes:
        figure = point.figures[name]
        css = f"{figure.word} beyond" if figure.beyond else figure.word
        anchor = "end" if x > (_LEFT + _RIGHT) / 2 else "start"
        label = changed(figure).split(" (")[0] if len(changes) <= _LABELLED else ""
        wide = width(label, _SIZE, bold=True)
        left = x - wide if anchor == "end" else x
        rows = [_TOP - 16.0, _TOP - 4.0]
        free = [y for y in rows if not _meets((y, left, left + wide), taken)]
        if label and free:
            taken.append((free[0], left, left + wide))
        said = f"{point.run_id}: {words(figure)}"
        found.append(Mark(x, (free or rows)[0], css, anchor, label if free else "", said))
    return tuple(found)


def _meets(one: tuple[float, float, float], taken: Sequence[tuple[float, float, float]]) -> bool:
    row, left, right = one
    return any(row == y and left < end + 4 and start < right + 4 for y, start, end in taken)


def _number(point: Point, name: str) -> float | None:
    figure = point.figures.get(name)
    return figure.new if figure else None


def _span(figure: Figure) -> tuple[float, float] | None:
    """Wilson's interval of an accuracy."""
    if figure.kind != "share" or figure.new is None:
        return None
    found = stats.proportion(round(figure.new * figure.n), figure.n)
    return found.low, found.high


def _said(point: Point, name: str) -> str:
    figure = point.figures[name]
    return value(figure, figure.new)


def _tick(line: Line, name: str, number: float) -> str:
    figure = next(p.figures[name] for p in line.points if name in p.figures)
    return value(figure, number) if figure.kind == "share" else short(number)
