"""A history -> one HTML page with its charts inside, or Markdown."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from hil import stats
from hil.compare_runs.history import History, Line, Point, varying
from hil.compare_runs.records import Figure
from hil.compare_runs.words import TITLES, changed, value
from hil.report.markdown import escape
from hil.report.text import clean, listed, plural, short
from hil.text_layout import width

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
    """Compiled once a process."""
    environment = Environment(
        loader=PackageLoader("hil.compare_runs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda x: clean(x) if isinstance(x, str) and not isinstance(x, Markup) else x,
    )
    return environment.get_template("history.html.j2")


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
