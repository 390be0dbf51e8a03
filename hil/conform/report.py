# SPDX-License-Identifier: Apache-2.0
"""report.md and report.html of a conformance run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hil.conform.records import Conformance
from hil.core.files import replace_file
from hil.report.blocks import Bullets, Facts, Section, Table, section
from hil.report.document import Document
from hil.report.markdown import markdown
from hil.report.page import page
from hil.report.text import listed, moment, plural
from hil.report.verdict import Verdict

HEAD: Final = ("Kernel", "Type", "Networks", "Failures", "Not taken")
REPORT: Final = "report.html"


def write_pages(folder: Path, record: Conformance) -> None:
    """report.md and report.html in ``folder``."""
    document = _document(folder.name, record)
    replace_file(folder / REPORT, page(document).encode("utf-8", "replace"))
    replace_file(folder / "report.md", markdown(document).encode("utf-8", "replace"))


def sentence(record: Conformance) -> str:
    """The whole run in one sentence."""
    networks = sum(one.shapes for one in record.tallies)
    failures = sum(one.failures for one in record.tallies)
    kernels = len({one.kernel for one in record.tallies if one.shapes})
    engine = record.engine + (f" with {record.kernels_of}" if record.kernels_of else "")
    said = f"{failures:,} fail" if failures else "every answer is right"
    images = plural(record.images, "image")
    ended = f"; it ended early: {record.why}" if record.why else ""
    return (
        f"{plural(networks, 'network')} of {plural(kernels, 'kernel')} with {engine} on "
        f"{record.board}, in {images}: {said}{ended}."
    )


def rows(record: Conformance) -> Iterator[tuple[str, ...]]:
    """The table of kernels, with the columns of `HEAD`."""
    for one in record.tallies:
        cells = (f"{one.shapes:,}", f"{one.failures:,}", f"{one.not_taken:,}")
        yield one.kernel, one.dtype, *cells


def planted_words(record: Conformance) -> str:
    """How many deliberate faults were found; empty if there was none."""
    if not record.planted:
        return ""
    found = record.planted - len(record.missed)
    words = f"{found} of {plural(record.planted, 'network')} with a deliberate fault fail"
    return f"{words}; not visible in {listed(record.missed)}" if record.missed else words


def _document(name: str, record: Conformance) -> Document:
    failures = any(one.failures for one in record.tallies)
    whole = record.state == "complete"
    grade = ("differs", "Differs") if failures else ("exact", "Conforms")
    if not failures and not whole:
        grade = ("partial", "Partial")
    sections = (_kernels(record), _failures(record), _not_taken(record), _facts(record))
    return Document(
        run_id=name,
        created=moment(record.created),
        verdict=Verdict(*grade, sentence(record)),
        warnings=tuple(filter(None, (planted_words(record),))),
        sections=tuple(one for one in sections if one.blocks),
        layer_findings=(),
        profiles=(),
        unprofiled=(),
        estimates=Table("", (), ()),
        unestimated=(),
        host=Table("", (), ()),
    )


def _kernels(record: Conformance) -> Section:
    asked = [one for one in record.tallies if one.shapes]
    covered = Table(
        "Shapes covered",
        ("Kernel", "Type", "Values of its parameters"),
        tuple(
            (one.kernel, one.dtype, "; ".join(f"{k}: {v}" for k, v in one.covered.items()))
            for one in asked
        ),
        folded=True,
    )
    return section("summary", "Kernels", [Table("Kernels", HEAD, tuple(rows(record))), covered])


def _failures(record: Conformance) -> Section:
    small = [one for one in record.failures if one.smallest]
    smallest = Table(
        "Smallest networks that fail",
        ("File in failures/", "Kernel", "Type", "What is wrong", "Shape"),
        tuple(
            (f"{one.smallest}.md", one.kernel, one.dtype, one.smallest_what, one.smallest_shape)
            for one in small
        ),
        note="Each has a .tflite, an .npz with samples, and a bug report (.md).",
    )
    every = Table(
        "All networks that fail",
        ("Network", "Kernel", "Type", "What is wrong", "Shape"),
        tuple((one.name, one.kernel, one.dtype, one.what, one.shape) for one in record.failures),
        folded=True,
    )
    return section("failures", "Failures", [smallest, every])


def _not_taken(record: Conformance) -> Section:
    words = tuple(f"{count}: {why}" for why, count in record.not_taken.items())
    return section("not-taken", "Not taken", [Bullets("Networks that did not run, and why", words)])


def _facts(record: Conformance) -> Section:
    facts = {
        "board": record.board,
        "engine": record.engine,
        "kernels": record.kernels_of,
        "toolchain": record.toolchain,
        "seed": str(record.seed),
        "networks of a kernel and type": str(record.count),
        "images": str(record.images),
        "duration": f"{record.seconds:,.0f} s",
        "command": " ".join(record.command),
        **record.versions,
    }
    table = Table("Run", ("", ""), tuple((k, v) for k, v in facts.items() if v))
    return section("run", "Run", [Facts(table, open=True)])
