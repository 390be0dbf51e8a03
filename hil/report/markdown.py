"""A document -> Markdown (GitHub's), in plain text and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from hil.report.document import Document
from hil.report.figures_confusion import confused
from hil.report.figures_digits import KINDS, Gallery
from hil.report.tables import Table
from hil.report.text import clean, count, plural

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$!])")
_MOST = 12  # kinds of mistake listed a run


def escape(text: str) -> str:
    """A string as itself: no markup, no HTML, no table border, no link."""
    line = _SPECIAL.sub(r"\\\1", clean(text))
    # not every renderer lets a backslash stop HTML, and none lets it stop links and mentions
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return line.replace("://", "&#58;//").replace("www.", "www&#46;").replace("@", "&#64;")


def markdown(document: Document) -> str:
    """The whole report; the drawings are in report.html beside it."""
    return "\n".join(_lines(document)).rstrip("\n") + "\n"


def _lines(doc: Document) -> Iterator[str]:
    yield f"# {escape(doc.run_id)}"
    yield ""
    yield f"**{escape(doc.verdict.word)}.** {escape(doc.verdict.sentence)}"
    yield ""
    yield "Drawings: [report.html](report.html)."
    yield from _bullets("Mind", doc.warnings)
    yield from _table(doc.results)
    yield from _table(doc.no_place)
    yield from _table(doc.student_table)
    for table in (doc.memory_marks, doc.memory_predictions, *doc.memory_owners):
        yield from _table(table)
    yield from _table(doc.comparisons)
    yield from _table(doc.validation)
    yield from _table(doc.timing)
    yield from _table(doc.walls)
    yield from _table(doc.differences)
    yield from _bullets("", doc.explanations)
    yield from _table(doc.partings)
    yield from _bullets("" if doc.partings.rows else "Layers", doc.parted)
    yield from _table(doc.layers)
    for table in doc.profiles:
        yield from _table(table)
    yield from _bullets("" if doc.profiles else "What each layer takes", doc.unprofiled)
    yield from _mistakes(doc)
    yield from _disagreements(doc.gallery, doc.disagreements, doc.noun)
    yield from _table(doc.lost)
    if doc.published:
        yield from _table(doc.published)
    yield from _bullets("How the figures are made", doc.methods)
    yield from _table(doc.run, "Provenance")
    for table in doc.cells:
        yield from _table(table, f"Provenance: {table.title}")


def _bullets(title: str, items: Sequence[str]) -> Iterator[str]:
    if not items:
        return
    if title:
        yield from ("", f"## {title}")
    yield ""
    yield from (f"- {escape(item)}" for item in items)


def _table(table: Table, title: str = "") -> Iterator[str]:
    if not table.rows:
        return
    yield from ("", f"## {escape(title or table.title)}", "")
    yield from _rows(table.head, table.rows)
    if table.note:
        yield from ("", escape(table.note))


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(escape(cell) for cell in head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(escape(cell) or " " for cell in row) + " |"


def _mistakes(doc: Document) -> Iterator[str]:
    rows = [
        (cell.name, str(label), str(answer), count(times))
        for cell in doc.data
        if cell.n
        for label, answer, times in confused(cell)[:_MOST]
    ]
    if rows:
        yield from ("", f"## Commonest mistakes on the device, {_MOST} a run at most", "")
        yield from _rows(("Run", "Label", "Answer", "Times"), rows)


def _disagreements(gallery: Gallery, listed: Table, noun: str) -> Iterator[str]:
    if not gallery.total:
        return
    yield from ("", f"## {listed.title}", "")
    for kind, number in zip(KINDS, gallery.counts, strict=True):
        if number:
            yield f"- {escape(kind)}: {plural(number, noun)}"
    yield ""
    yield from _rows(listed.head, listed.rows)
    if listed.note:
        yield from ("", listed.note)
