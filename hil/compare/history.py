# SPDX-License-Identifier: Apache-2.0
"""The runs of a folder in the order of their creation, each compared with the previous one.

Runs of one board, engine, model and precision form a trend, as long as they are comparable.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from jinja2 import Template

from hil import stats
from hil.compare.compare import compare_stored
from hil.compare.formats import changed, value
from hil.compare.limits import FIGURES, LimitsFile
from hil.compare.records import ComparedFigure
from hil.core.errors import HilError, NotComparable, StorageError, UsageError
from hil.report.draw.layout import Box, width
from hil.report.draw.templates import environment
from hil.report.markdown import table_lines
from hil.report.text import escape, listed, plural, short
from hil.runs.load import StoredRun, load_run, read_manifest
from hil.runs.schema import MANIFEST, Manifest

# another network on the same data continues the trend
_ALLOWED = ("model",)


@dataclass(frozen=True)
class Entry:
    """One run in a trend. ``figures`` compare it with the previous run, or the first run with
    itself; ``changed`` names those whose change deserves a mark."""

    run_id: str
    created: str
    commit: str
    figures: dict[str, ComparedFigure]
    changed: frozenset[str] = frozenset()


@dataclass
class Trend:
    """Comparable runs of one key, oldest first. ``why``: why they are not comparable with earlier
    runs of that key, if there are any; ``since``: the last run compared with the first."""

    key: str
    why: str = ""
    entries: list[Entry] = field(default_factory=list)
    since: dict[str, ComparedFigure] = field(default_factory=dict)


@dataclass(frozen=True)
class History:
    """All trends, sorted by key, and why folders or runs are in none of them."""

    folder: str
    trends: tuple[Trend, ...]
    left_out: tuple[str, ...]


def read_history(folder: Path, limits: LimitsFile | None = None) -> History:
    """Read every run in ``folder``, one level deep.

    Unreadable folders, incomplete runs and those with injected faults are excluded and named.
    UsageError if nothing is left.
    """
    left_out: list[str] = []
    growing: dict[str, list[_Growing]] = {}
    for path in _run_folders(folder, left_out):
        try:
            stored = load_run(path)
        except HilError as problem:
            left_out.append(problem.what)
            continue
        if chaos := stored.manifest.chaos:  # comparable with no run, itself included
            left_out.append(f"{stored.manifest.run_id}: faults were injected (--chaos {chaos})")
            continue
        for key, alone in _complete(stored, left_out):
            _append(growing.setdefault(key, []), key, alone, limits)
    if not growing:
        why = f": {left_out[0]}" if left_out else ""
        raise UsageError(f"{folder} holds no complete run{why}", "give the folder that holds runs")
    found = tuple(one.trend for key in sorted(growing) for one in growing[key])
    return History(folder.name or str(folder), found, tuple(left_out))


@dataclass
class _Growing:
    """A trend that may continue, with its first and last run."""

    trend: Trend
    first: StoredRun
    last: StoredRun


def _run_folders(folder: Path, left_out: list[str]) -> list[Path]:
    """Run folders in the order of their creation."""
    if (folder / MANIFEST).exists():
        raise UsageError(f"{folder} is a single run", "give the folder that holds it")
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
            found.append((read_manifest(path).created, path.name, path))
        except HilError as problem:
            left_out.append(problem.what)
    return [path for *_, path in sorted(found)]


def _complete(stored: StoredRun, left_out: list[str]) -> Iterator[tuple[str, StoredRun]]:
    """Each complete run of the matrix as a stored run of its own."""
    manifest = stored.manifest
    ended = {end.key for end in manifest.ends}
    for plan in manifest.runs:
        samples = stored.samples[plan.key]
        if plan.key not in ended or len(samples) != manifest.dataset.n:
            left_out.append(f"{manifest.run_id}: {plan.key} is incomplete")
            continue
        ends = tuple(end for end in manifest.ends if end.key == plan.key)
        alone = msgspec.structs.replace(manifest, runs=(plan,), ends=ends, state="complete")
        yield (
            plan.key,
            StoredRun(
                alone,
                {plan.key: samples},
                {},
                torn=False,
                host=stored.host,
                targets=stored.targets,
            ),
        )


def _append(growing: list[_Growing], key: str, alone: StoredRun, limits: LimitsFile | None) -> None:
    """Add a run to the latest trend that it is comparable with, or start one."""
    why = ""
    for one in reversed(growing):
        try:
            figures = _figures(one.last, alone, limits)
        except NotComparable as problem:
            why = why or problem.what
            continue
        changed = frozenset(name for name, found in figures.items() if marked(found))
        one.trend.entries.append(_entry(alone.manifest, figures, changed))
        one.trend.since = _figures(one.first, alone, limits)
        one.last = alone
        return
    trend = Trend(key, why, [_entry(alone.manifest, _figures(alone, alone, limits))])
    growing.append(_Growing(trend, alone, alone))


def _figures(
    base: StoredRun, new: StoredRun, limits: LimitsFile | None
) -> dict[str, ComparedFigure]:
    names = f"{base.manifest.run_id} and {new.manifest.run_id}"
    held = LimitsFile(compare=limits.compare) if limits else None
    found = compare_stored(base, new, held, allow=_ALLOWED, names=names)
    return {figure.name: figure for figure in found.runs[0].figures}


def _entry(
    manifest: Manifest, figures: dict[str, ComparedFigure], changed: frozenset[str] = frozenset()
) -> Entry:
    commit = manifest.git.commit[:12] if manifest.git else ""
    return Entry(manifest.run_id, manifest.created, commit, figures, changed)


def marked(figure: ComparedFigure) -> bool:
    """Whether a change deserves a mark: it is exact, or its whole interval is beyond the limit."""
    change = figure.change
    if change is None or figure.word not in ("better", "worse"):
        return False
    if change.method == "exact" or figure.kind == "instructions" or figure.limit is None:
        return True
    # in percent, in percentage points, or in an area's own unit
    same, unit = (1 if change.kind == "ratio" else 0), (1 if figure.kind == "area" else 100)
    low, high = unit * (change.low - same), unit * (change.high - same)
    return low > figure.limit or high < -figure.limit


def varying(trend: Trend) -> Sequence[str]:
    """Names of the figures that are not the same in all runs, in the order they are stored."""
    names = dict.fromkeys(name for entry in trend.entries for name in entry.figures)
    return [name for name in names if len({_number(entry, name) for entry in trend.entries}) > 1]


def _number(entry: Entry, name: str) -> float | None:
    figure = entry.figures.get(name)
    return figure.new if figure else None


# --- what page and Markdown both say ---

_SHOWN = (  # in this order
    "accuracy",
    "auc",
    "rmse",
    "mae",
    "unexpected",
    "answers",
    "instructions",
    "cycles",
    "latency",
    "first",
    "host_xnnpack",
    "host_reference",
    "arena",
    "flash_model",
    "flash_code",
    "ram_static",
    "stack",
    "heap",
)


def sentence(trend: Trend) -> str:
    """How many runs there are, and how the last compares with the first."""
    runs = plural(len(trend.entries), "run")
    if len(trend.entries) == 1:
        return f"{runs}: nothing to compare with."
    said = [
        f"{FIGURES[name].title} {changed(found) or found.word} ({found.word})"
        for name, found in trend.since.items()
        if name in _SHOWN and found.word in ("better", "worse")
    ]
    steps = sum(bool(entry.changed) for entry in trend.entries)
    first = f"{runs}, {plural(steps, 'change')} from one to the next."
    return f"{first} Last compared with first: {listed(said) or 'nothing better or worse'}."


def constant(trend: Trend) -> str:
    """The figures that do not vary, which need no chart."""
    last = trend.entries[-1].figures
    moving = set(varying(trend))
    said = [
        f"{FIGURES[name].title} {value(last[name], last[name].new)}"
        for name in _SHOWN
        if name in last and name not in moving
    ]
    if not said:
        return ""
    return f"{'The same in all runs: ' if len(trend.entries) > 1 else ''}{', '.join(said)}."


def head(trend: Trend) -> tuple[str, ...]:
    names = [FIGURES[name].title for name in _SHOWN if name in varying(trend)]
    return ("Run", "Created", "Commit", *names, "Compared with the previous run")


def rows(trend: Trend) -> Iterator[tuple[str, ...]]:
    """One row per run, with as many cells as `head`."""
    names = [name for name in _SHOWN if name in varying(trend)]
    for entry in trend.entries:
        figures = [entry.figures.get(name) for name in names]
        values = ["–" if found is None else value(found, found.new) for found in figures]
        said = "; ".join(
            f"{FIGURES[name].title} {words(entry.figures[name])}"
            for name in entry.figures
            if name in entry.changed and name in _SHOWN
        )
        yield (entry.run_id, entry.created[:16].replace("T", " "), entry.commit, *values, said)


def words(figure: ComparedFigure) -> str:
    """A change as text."""
    limit = ", beyond its limit" if figure.beyond else ""
    return f"{changed(figure)}: {figure.word}{limit}"


def markdown(history: History) -> str:
    """Everything except the drawings, in tables."""
    return "\n".join(_markdown(history)) + "\n"


def _markdown(history: History) -> Iterator[str]:
    yield f"# Runs of {escape(history.folder)}"
    for trend in history.trends:
        yield from ("", f"## {escape(trend.key)}", "", escape(sentence(trend)))
        if trend.why:
            yield from ("", escape(f"Not comparable with earlier runs: {trend.why}."))
        if said := constant(trend):
            yield from ("", escape(said))
        yield ""
        yield from table_lines(head(trend), rows(trend))
    if history.left_out:
        yield from ("", "## Left out", "")
        yield from (f"- {escape(line)}" for line in history.left_out)


# --- the page and its drawings ---

WIDTH, HEIGHT = 380, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 368, 30, 118
_LABELLED = 4  # more marks than that have no text beside them
_SIZE = 11  # font size
_ROWS = (_TOP - 16.0, _TOP - 4.0)  # baselines of the marks' text


@dataclass(frozen=True, slots=True)
class Dot:
    """A run; ``span`` is from the high to the low end of its interval, if it has one."""

    x: float
    y: float
    text: str
    span: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A change. ``label`` is written at ``y``, and empty if there is no room; ``text`` is the
    tooltip."""

    x: float
    y: float
    css: str
    anchor: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure over the runs of a trend, in the units of the drawing."""

    title: str
    alt: str
    path: str
    dots: tuple[Dot, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[tuple[float, str], ...]


def page(history: History) -> str:
    """A whole page without scripts or requests; every value in it is cleaned and escaped."""
    sections = [
        {
            "trend": trend,
            "sentence": sentence(trend),
            "panels": panels(trend),
            "constant": constant(trend),
            "head": head(trend),
            "rows": list(rows(trend)),
        }
        for trend in history.trends
    ]
    edges = {"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM}
    return _template().render(
        history=history, sections=sections, width=WIDTH, height=HEIGHT, **edges
    )


@functools.cache
def _template() -> Template:
    """Compiled once per process."""
    return environment("hil.compare").get_template("history.html.j2")


def panels(trend: Trend) -> tuple[Panel, ...]:
    """A drawing for each figure that varies; none for a single run."""
    moving = set(varying(trend))
    return tuple(_panel(trend, name) for name in _SHOWN if name in moving)


def _panel(trend: Trend, name: str) -> Panel:
    known = [
        (i, entry, entry.figures[name], number)
        for i, entry in enumerate(trend.entries)
        if (number := _number(entry, name)) is not None
    ]
    spans = [_span(figure) for _, _, figure, _ in known]
    numbers = [number for *_, number in known]
    ends = [end for span in spans if span for end in span]
    low, high = min(numbers + ends), max(numbers + ends)
    room = (high - low) * 0.08 or max(abs(high) * 0.01, 1e-9)
    bottom, top = low - room, high + room

    def x(i: int) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * i / max(len(trend.entries) - 1, 1), 1)

    def y(number: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * (number - bottom) / (top - bottom), 1)

    dots = tuple(
        Dot(
            x(i),
            y(number),
            f"{entry.run_id}: {value(figure, number)}",
            (y(span[1]), y(span[0])) if span else None,
        )
        for (i, entry, figure, number), span in zip(known, spans, strict=True)
    )
    first, last = known[0][2], known[-1][2]
    title = FIGURES[name].title
    return Panel(
        title=title,
        alt=f"{title}: {value(first, first.new)} at first, {value(last, last.new)} at "
        f"last, over {plural(len(known), 'run')}",
        path=" ".join(f"{'M' if not k else 'L'}{dot.x} {dot.y}" for k, dot in enumerate(dots)),
        dots=dots,
        marks=_marks([(x(i), entry) for i, entry, *_ in known], name),
        ticks=tuple((y(number), _tick(first, number)) for number in sorted({low, high})),
    )


def _marks(entries: Sequence[tuple[float, Entry]], name: str) -> tuple[Mark, ...]:
    """The changes. If there are few, they have text, on two rows, where there is room for it."""
    changes = [(x, entry) for x, entry in entries if name in entry.changed]
    found = []
    taken: list[Box] = []
    for x, entry in changes:
        figure = entry.figures[name]
        css = f"{figure.word} beyond" if figure.beyond else figure.word
        anchor = "end" if x > (_LEFT + _RIGHT) / 2 else "start"
        label = changed(figure).split(" (")[0] if len(changes) <= _LABELLED else ""
        wide = width(label, _SIZE, bold=True)
        left = x - wide if anchor == "end" else x
        boxes = {y: Box(left - 2, left + wide + 2, y - _SIZE + 1, y) for y in _ROWS}
        row = next((y for y, box in boxes.items() if label and box.is_free(taken)), None)
        if row is not None:
            taken.append(boxes[row])
        text = f"{entry.run_id}: {words(figure)}"
        found.append(Mark(x, row or _ROWS[0], css, anchor, label if row else "", text))
    return tuple(found)


def _span(figure: ComparedFigure) -> tuple[float, float] | None:
    """Wilson's interval of an accuracy."""
    if figure.kind != "share" or figure.new is None:
        return None
    found = stats.proportion(round(figure.new * figure.n), figure.n)
    return found.low, found.high


def _tick(figure: ComparedFigure, number: float) -> str:
    return value(figure, number) if figure.kind in ("share", "host_ns", "area") else short(number)
