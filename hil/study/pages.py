"""Figures of a study -> table, Markdown, one self-contained HTML page, and the drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup
from rich.table import Table

from hil import files
from hil.report.markdown import escape
from hil.report.text import clean, count, interval, percent, plural
from hil.study import drawing
from hil.study.advice import absent, choices, unexpected, worth
from hil.study.figures import Row, Study, accuracy, flash

SVG: Final = "pareto.svg"
_HEADS: Final = ("network", "precision", "accuracy (95 %)", "parameters")
_MORE: Final = ("arena, B", "flash, B", "training, s", "with all it needs, s")
_NONE: Final = "–"

_PAGES = jinja2.Environment(
    loader=jinja2.ChoiceLoader(
        [jinja2.PackageLoader("hil.study"), jinja2.PackageLoader("hil.report")]
    ),
    autoescape=jinja2.select_autoescape(enabled_extensions=("svg.j2", "html.j2")),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_PAGES.filters["md"] = escape
_PAGES.filters["clean"] = clean


def write(study: Study, folder: Path) -> None:
    """``study.md``, ``study.html`` and ``pareto.svg`` into ``folder``, each whole; the same study
    gives the same bytes. Raises StorageError."""
    drawn = svg(study)
    contents = {SVG: drawn, "study.md": markdown(study), "study.html": html(study, drawn)}
    for name, text in contents.items():
        files.replace_file(folder / name, text.encode())


def svg(study: Study) -> str:
    """The drawing, light and dark; without a script, a font or a file beside it."""
    found = drawing.drawing(study)
    size = {"width": drawing.PANEL, "height": drawing.HEIGHT}
    return _PAGES.get_template("pareto.svg.j2").render(d=found, **size)


def markdown(study: Study) -> str:
    """The page, its drawing beside it."""
    return _PAGES.get_template("study.md.j2").render(**_values(study), svg=SVG)


def html(study: Study, drawn: str) -> str:
    """The page with its drawing inside: no script, no request."""
    picture = Markup(drawn)  # noqa: S704  (our own, escaped as it was drawn)
    return _PAGES.get_template("study.html.j2").render(**_values(study), drawn=picture)


def table(study: Study) -> Table:
    """For a terminal."""
    heads, rows = cells(study)
    shown = Table(box=None, pad_edge=False)
    for number, head in enumerate(heads):
        shown.add_column(head, justify="left" if number < 2 else "right", overflow="fold")
    for row in rows:
        shown.add_row(*row)
    return shown


def cells(study: Study) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows of the table of all figures."""
    unit = {"instructions": "instructions", "us": "µs", "none": "time"}[study.unit]
    return (*_HEADS, unit, *_MORE), [_cells(study, row) for row in study.rows]


def _cells(study: Study, row: Row) -> tuple[str, ...]:
    device = row.device
    share = time = arena = size = _NONE
    if device is not None:
        found = accuracy(study, row)
        share = f"{percent(found.point, found.n)} ({interval(found)})"
        time = _NONE if device.time is None else count(device.time)
        arena, size = count(device.arena), count(flash(row))
    return (
        row.words,
        str(row.precision),
        share,
        count(row.parameters),
        time,
        arena,
        size,
        _seconds(row.seconds),
        _seconds(row.total),
    )


def _seconds(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def how(study: Study) -> tuple[str, ...]:
    """How the figures came about, in sentences."""
    lines = [
        f"{study.dataset}: {count(study.n)} of the test split's {count(study.test)} samples on "
        f"{study.board_title}; the board alone read them, after every choice was made on the "
        "validation split.",
        f"The student has {count(study.budget_parameters)} parameters and "
        f"{count(study.budget_macs)} multiplications. All of its size trained on its schedule, "
        "with one seed: intervals are over samples, and the chance of a training is not in them.",
    ]
    if study.epochs:
        lines.append(f"No training took more than {study.epochs} epochs.")
    lines.append(
        f"Training is processor time over all cores ({study.versions['processor']}), export left "
        "out; the last column adds that of the networks it was made from or learnt from."
    )
    if any(row.total is None for row in study.rows):
        lines.append(f"{_NONE}: a network was trained elsewhere, and its time is not known.")
    unchecked = sum(r.device is not None and r.device.unexpected is None for r in study.rows)
    if unchecked:
        lines.append(f"{plural(unchecked, 'network')} had no oracle to check outputs against.")
    elif not unexpected(study):
        lines.append("Every output value of the board is what it must be.")
    return tuple(lines)


def _values(study: Study) -> dict[str, Any]:
    heads, rows = cells(study)
    notes = {row.words: row.note for row in study.rows if row.note}
    return {
        "s": study,
        "heads": heads,
        "rows": rows,
        "choices": choices(study),
        "worth": worth(study),
        "absent": absent(study),
        "unexpected": unexpected(study),
        "how": how(study),
        "notes": notes,
    }
