# SPDX-License-Identifier: Apache-2.0
"""A document -> Markdown (GitHub's), in plain text and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hil.report.blocks import (
    Block,
    Bullets,
    Confusions,
    Digits,
    Facts,
    Figures,
    Scatters,
    Section,
    Words,
)
from hil.report.document import Document
from hil.report.draw.chart import Chart
from hil.report.samples import KINDS
from hil.report.text import Table, escape, listed, plural

MOST = 64_000  # bytes


def markdown(document: Document) -> str:
    """The whole report; the drawings are in report.html beside it.

    What a reviewer needs first stands open; every section after the summary is folded, which
    GitHub draws as a line to click and any other reader as plain text. GitHub takes 65,536
    characters in a comment: sections beyond MOST bytes are named and left to report.html.
    """
    text = _joined(_head(document))
    left_out = []
    for section in document.sections:
        part = _joined(_section(section))
        if len((text + part).encode("utf-8", "replace")) > MOST:
            left_out.append(section.title)
        else:
            text += part
    if left_out:
        text += _joined(("", f"Too long for this page, and in report.html: {listed(left_out)}."))
    return text


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _head(doc: Document) -> Iterator[str]:
    yield f"# {escape(doc.run_id)}"
    yield ""
    yield f"**{escape(doc.verdict.word)}.** {escape(doc.verdict.sentence)}"
    yield ""
    yield "Drawings: [report.html](report.html)."
    yield from _bullets("Mind", doc.warnings)


def _section(section: Section) -> Iterator[str]:
    lines = [line for block in section.blocks for line in _block(block)]
    if section.key == "summary":
        yield from lines
    elif lines:
        yield from ("", f"<details><summary>{escape(section.title)}</summary>")
        yield from lines
        yield from ("", "</details>")


def _block(block: Block) -> Iterator[str]:
    """A block's lines, a blank one first; drawings whose figures are in a table have none."""
    match block:
        case Table():
            yield from _table(block)
        case Facts(table=table):
            yield from _table(table)
        case Bullets(title=title, items=items):
            yield from _bullets(title, items)
        case Words(text=text):
            yield from ("", escape(text))
        case Confusions(mistakes=mistakes):
            yield from _table(mistakes)
        case Digits():
            yield from _digits(block)
        case Chart() | Scatters() | Figures():
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
    yield from _rows(table.head, table.rows)
    if table.note:
        yield from ("", escape(table.note))


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(escape(cell) for cell in head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(escape(cell) or " " for cell in row) + " |"


def _digits(block: Digits) -> Iterator[str]:
    gallery, listed = block.gallery, block.listed
    yield from ("", f"## {listed.title}", "")
    for kind, number in zip(KINDS, gallery.counts, strict=True):
        if number:
            yield f"- {escape(kind)}: {plural(number, block.noun)}"
    yield ""
    yield from _rows(listed.head, listed.rows)
    if listed.note:
        yield from ("", listed.note)
