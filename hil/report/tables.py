# SPDX-License-Identifier: Apache-2.0
"""The report's tables as plain strings; page and Markdown escape and draw them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.report.cost import interval_words, time_words
from hil.report.pairs import Pair, compare, teacher_and_student, with_host
from hil.report.provenance import WRITE_UPS, WriteUp
from hil.report.samples import Gallery
from hil.report.text import (
    UNKNOWN,
    Table,
    count,
    interval,
    known,
    magnitude,
    percent,
    plural,
    points,
)
from hil.report.verdict import noun
from hil.runs.agreement import Difference
from hil.runs.cells import Cell
from hil.runs.schema import Faults, Manifest

_LISTED = 12  # samples


def results(manifest: Manifest, cells: Sequence[Cell]) -> Table:
    """A row a run."""
    what = noun(manifest)
    head = (
        "Run",
        f"{what}s".capitalize(),
        "Accuracy, device",
        "Accuracy, host",
        "Same answer",
        "Time per inference",
        "Arena",
        "Flash",
        "Stack",
        "Link",
    )
    rows = tuple(_result(cell) for cell in cells)
    note = (
        "Accuracy with its 95% Wilson interval. Time: median of the engine's invoke "
        "alone, with its 95% BCa bootstrap interval. "
        "Arena: RAM of one inference beyond input and output. Flash: model + code. "
        f"Link: host wall time and {what}s per second, no property of the device."
    )
    return Table("Results", head, rows, note)


def _result(cell: Cell) -> tuple[str, ...]:
    if not cell.n:
        return (cell.name, "0", *["–"] * 8)
    asked = "" if cell.n == cell.asked else f" of {count(cell.asked)}"
    accuracy = (
        f"{percent(e.point, e.n)}\n({interval(e)})" for e in (cell.accuracy, cell.host_accuracy)
    )
    head = (cell.name, count(cell.n) + asked, *accuracy, percent(cell.same_answer / cell.n, cell.n))
    median, unit, spread = time_words(cell)
    constant = ", constant" if spread.startswith("constant") else ""
    time = f"{median}\n{unit}{constant}" if unit else median
    if cell.time and cell.time.low != cell.time.high:
        time += f"\n({interval_words(cell, cell.time)})"
    if cell.end is None:
        return (*head, time, *[UNKNOWN] * 3, "–")
    memory, end = cell.end.memory, cell.end
    flash = (
        f"{memory.flash_model:,}\n+ {memory.flash_code:,} B"
        if memory.flash_model or memory.flash_code
        else UNKNOWN
    )
    rate = f" ({cell.n / end.seconds:.0f}/s)" if end.seconds > 0 else ""
    link = f"{end.seconds:.1f} s{rate}\n{plural(end.retries, 'retry', 'retries')}"
    return (*head, time, f"{memory.arena:,} B", flash, known(memory.stack), link)


def differences(cells: Sequence[Cell]) -> Table:
    """Output values against both references."""
    rows: list[tuple[str, ...]] = []
    for cell in cells:
        if not cell.n:
            continue
        small = cell.plan.precision == "int8"
        near = f"{cell.plan.tolerance:g} at most" if cell.plan.tolerance else "0"
        changed = cell.n - cell.same_answer
        rows.append(
            _difference(
                cell,
                "LiteRT, reference kernels",
                cell.to_litert,
                "1 step" if small else near,
                changed,
            )
        )
        if cell.oracle is None or cell.to_oracle is None:
            rows.append((cell.name, "oracle: none was run", *["–"] * 5))
        else:
            changed = int((cell.answers != cell.oracle.argmax(axis=1)).sum())
            wanted = "0" if small else "–"
            rows.append(_difference(cell, cell.plan.oracle, cell.to_oracle, wanted, changed))
        if cell.xnnpack is not None and cell.to_xnnpack is not None:
            changed = int((cell.answers != cell.xnnpack.argmax(axis=1)).sum())
            rows.append(_difference(cell, cell.plan.xnnpack, cell.to_xnnpack, "any", changed))
    head = (
        "Run",
        "Reference",
        "Values that differ",
        "In",
        "Largest difference",
        "Expected",
        "Answers changed",
    )
    note = (
        "Expected: what rounding explains. LiteRT's default kernels (XNNPACK) round and sum in "
        "their own way, which differs between processors: they are shown for those who compare "
        "with them, and judge nothing."
    )
    shown = any(cell.xnnpack is not None for cell in cells)
    return Table("Output values against the references", head, tuple(rows), note if shown else "")


def _difference(
    cell: Cell, reference: str, found: Difference, expected: str, changed: int
) -> tuple[str, ...]:
    unit = "" if cell.plan.output.dtype == 0 or not found.elements else " step"
    if unit and found.max_abs != 1:
        unit += "s"
    return (
        cell.name,
        reference,
        f"{count(found.elements)} of {count(cell.device.size)}",
        f"{count(found.samples)} of {count(cell.n)}",
        magnitude(found.max_abs) + unit,
        expected,
        count(changed),
    )


def link(cells: Sequence[Cell], noun: str) -> Table:
    """What went over the wire: host wall time, so no property of the device."""
    rows = tuple(
        (
            cell.name,
            f"{count(end.bytes_out)} B",
            f"{count(end.bytes_in)} B",
            f"{end.seconds:.1f} s",
            f"{cell.n / end.seconds:.0f}" if end.seconds > 0 else UNKNOWN,
            f"{1000 * end.seconds / cell.n:.2f} ms" if cell.n else "–",
            count(end.retries),
        )
        for cell in cells
        if (end := cell.end)
    )
    head = (
        "Run",
        "To the device",
        "From the device",
        "Wall time",
        f"{noun.capitalize()}s per second",
        f"Wall time a {noun}",
        "Retries",
    )
    note = "The host's wall time of the whole run, link included: no property of the device."
    return Table("Bytes and wall time on the link", head, rows, note)


def faults(cells: Sequence[Cell]) -> Table:
    """What befell each run's line and board; no row where nothing did."""
    every = (_faults(cell) for cell in cells if cell.n)
    rows = tuple(row for row in every if set(row[1:]) != {"0"})
    head = (
        "Run",
        "Sent again",
        "Damaged, to the device",
        "Damaged, from the device",
        "Silences",
        "Resets",
        "Port opened anew",
        "Left out of times",
        "Injected",
    )
    note = (
        "Damaged: frames that fail their CRC, and are asked for again. Resets: the board started "
        "anew, and was greeted anew. Left out: answers that count, whose times are in no figure. "
        "Injected: faults of --chaos."
    )
    return Table("What befell the line", head, rows, note)


def _faults(cell: Cell) -> tuple[str, ...]:
    found = cell.end.faults if cell.end and cell.end.faults else Faults()
    counts = (
        cell.end.retries if cell.end else 0,
        found.damaged_out,
        found.damaged_in,
        found.timeouts,
        found.resets,
        found.reopenings,
        cell.left_out,
    )
    injected = ", ".join(f"{name} {count(n)}" for name, n in sorted(found.injected.items()))
    return (cell.name, *map(count, counts), injected or "0")


def no_place(manifest: Manifest) -> Table:
    """Networks that were asked for and that the board's memory cannot hold."""
    rows = tuple(
        (
            f"{found.model} {found.precision}",
            f"{found.board_title} ({found.board})",
            found.engine,
            "flash" if found.memory == "flash" else "RAM",
            f"{found.needs:,} B" if found.linked else f"at least {found.needs:,} B",
            f"{found.has:,} B",
        )
        for found in manifest.no_place
    )
    note = (
        "Not run. At least: what the network alone takes (constants in flash; arena, input and "
        "output in RAM), so that nothing was built; otherwise the whole image, as it was linked."
    )
    head = ("Network", "Board", "Engine", "Memory", "Takes", "Board has")
    return Table("No place on the board", head, rows, note)


def disagreements(found: Gallery, noun: str) -> Table:
    """The first of the samples on which answers or label disagree, in words."""
    rows = []
    for card in found.cards[:_LISTED]:
        said = ", ".join(
            f"{a.name} {a.device}" + ("" if a.host is None else f" (host {a.host})")
            for a in card.answers
        )
        rows.append((card.id, str(card.label), said))
    more = found.total - len(rows)
    note = f"And {count(more)} more in samples.jsonl." if more else ""
    title = f"{noun.capitalize()}s on which answers or label disagree"
    return Table(title, (noun.capitalize(), "Label", "Answers"), tuple(rows), note)


def comparisons(cells: Sequence[Cell]) -> Table:
    """Student with teacher and device with host, paired: the same samples, exact McNemar."""
    found = [compare(teacher, student) for teacher, student in teacher_and_student(cells)]
    pairs = [*(pair for pair in found if pair), *with_host(cells)]
    head = (
        "First",
        "Second",
        "Pairs",
        "First alone right",
        "Second alone right",
        "Second − first, points",
        "p (McNemar)",
    )
    note = (
        "Difference of accuracies with its 95% interval (Newcombe, paired). "
        "p: exact McNemar test, two-sided, not corrected for the number of rows."
    )
    return Table("Paired comparisons", head, tuple(_pair(pair) for pair in pairs), note)


def _pair(pair: Pair) -> tuple[str, ...]:
    gap, test = pair.difference, pair.test
    low, high = points(gap.low, gap.n), points(gap.high, gap.n)
    return (
        pair.first,
        pair.second,
        count(test.n),
        count(test.only_first),
        count(test.only_second),
        f"{points(gap.point, gap.n)} ({low} to {high})",
        "<0.001" if test.p < 0.001 else f"{test.p:.2g}",
    )


def published(manifest: Manifest, cells: Sequence[Cell]) -> Table | None:
    """The write-up on this data beside this run; None when there is none, or none of its
    networks took part."""
    write_up = WRITE_UPS.get(manifest.dataset.name)
    rows = list(_published(manifest, cells, write_up)) if write_up else []
    if write_up is None or not rows:
        return None
    note, mine = write_up.note, manifest.dataset.name
    if write_up.data in WRITE_UPS and write_up.data != mine:
        theirs = {"mnist": "MNIST", "cifar10": "CIFAR-10"}[write_up.data]
        note += f" And the data differ: this run is on '{mine}', not on {theirs}."
    head = ("Network", "Whose", "Data", "Accuracy", "Time per inference", "Arena")
    title = "tutorial's" if write_up.whose.startswith("tutorial") else "write-up's"
    return Table(f"Beside the {title} published figures", head, tuple(rows), note)


def _published(
    manifest: Manifest, cells: Sequence[Cell], write_up: WriteUp
) -> Iterator[tuple[str, ...]]:
    said: set[str] = set()
    for row in write_up.rows:
        ours = [cell for cell in cells if cell.plan.model == row.model and cell.n]
        if not ours:
            continue
        name = f"{row.model} {row.precision}"
        yield (name, write_up.whose, write_up.data, row.accuracy, row.time, row.arena)
        if row.model in said:
            continue
        said.add(row.model)
        for cell in ours:
            arena = f"{cell.end.memory.arena:,} B" if cell.end else UNKNOWN
            data = f"{manifest.dataset.name}, {count(cell.n)}"
            accuracy = percent(cell.accuracy.point, cell.n)
            whose = f"this run, {cell.plan.board}"
            yield (cell.name, whose, data, accuracy, " ".join(time_words(cell)[:2]).strip(), arena)
