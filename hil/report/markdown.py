# SPDX-License-Identifier: Apache-2.0
"""A document -> GitHub's Markdown, as text and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hil.report.blocks import (
    KINDS,
    Block,
    Bullets,
    Clouds,
    Confusions,
    Facts,
    Figures,
    Gallery,
    Matrix,
    Scatters,
    Section,
    Table,
    Words,
)
from hil.report.document import Document
from hil.report.draw.chart import Chart
from hil.report.text import escape, listed, plural

MOST = 64_000  # bytes


def markdown(document: Document) -> str:
    """The whole report except its drawings, which are in report.html.

    The summary and what the checks found are open; every other section is collapsed, which GitHub
    shows as a line to click and other viewers as plain text. GitHub accepts 65,536 characters in a
    comment: sections that do not fit into MOST bytes are listed as being in report.html only.
    """
    text = _joined(_head(document))
    left_out = []
    for section in document.sections:
        added = _joined(_section(section))
        if len((text + added).encode("utf-8", "replace")) > MOST:
            left_out.append(section.title)
        else:
            text += added
    if left_out:
        text += _joined(("", f"Too long for this file, see report.html: {listed(left_out)}."))
    return text


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _head(doc: Document) -> Iterator[str]:
    yield f"# {escape(doc.run_id)}"
    yield ""
    yield f"**{escape(doc.verdict.word)}.** {escape(doc.verdict.sentence)}"
    yield ""
    yield "Drawings: [report.html](report.html)."
    yield from _bullets("Warnings", doc.warnings)


def _section(section: Section) -> Iterator[str]:
    lines = [line for block in section.blocks for line in _block(block)]
    if section.key in ("summary", "checks"):
        yield from lines
    elif lines:
        yield from ("", f"<details><summary>{escape(section.title)}</summary>")
        yield from lines
        yield from ("", "</details>")


def _block(block: Block) -> Iterator[str]:
    """A block's lines, the first of them blank; none for drawings whose figures are in a table."""
    match block:
        case Table():
            yield from _table(block)
        case Matrix():
            yield from _table(block.table)
        case Facts(table=table):
            yield from _table(table)
        case Bullets(title=title, items=items):
            yield from _bullets(title, items)
        case Words(text=text):
            yield from ("", escape(text))
        case Confusions(mistakes=mistakes):
            yield from _table(mistakes)
        case Gallery():
            yield from _gallery(block)
        case Chart() | Scatters() | Clouds() | Figures():
            pass


def _bullets(title: str, items: Sequence[str]) -> Iterator[str]:
    if not items:
        return
    if title:
        yield from ("", f"## {title}")
    yield ""
    yield from (f"- {escape(item)}" for item in items)


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        return
    yield from ("", f"## {escape(table.title)}", "")
    yield from table_lines(table.head, table.rows)
    if table.note:
        yield from ("", escape(table.note))


def table_lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table without its title; cells are escaped."""
    yield "| " + " | ".join(escape(cell) for cell in head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(escape(cell) or " " for cell in row) + " |"


def _gallery(gallery: Gallery) -> Iterator[str]:
    listed = gallery.listed
    yield from ("", f"## {listed.title}", "")
    for kind, number in zip(KINDS, gallery.counts, strict=True):
        if number:
            yield f"- {escape(kind)}: {plural(number, gallery.noun)}"
    yield ""
    yield from table_lines(listed.head, listed.rows)
    if listed.note:
        yield from ("", listed.note)
