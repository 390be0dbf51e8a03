# SPDX-License-Identifier: Apache-2.0
"""Section "Summary": key figures, one row of results per run, and what did not fit on a board."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.report.blocks import Figure, Figures, Section, Table, section
from hil.report.host import host_figure
from hil.report.pairs import distillations, student_table, teacher_and_student
from hil.report.text import UNKNOWN, count, interval, known, noun, percent, plural, short
from hil.report.times import interval_words, time_words
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema import Manifest


def summary_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    what = noun(run.manifest.dataset.name)
    return section(
        "summary",
        "Summary",
        [
            Figures(key_figures(cells, what)),
            results(cells, what),
            student_table(distillations(cells)),
            too_large(run.manifest),
        ],
    )


def key_figures(cells: Sequence[Cell], what: str) -> tuple[Figure, ...]:
    """Figures of one run, beside its teacher's if both took part; none without an answer."""
    answered = [cell for cell in cells if cell.n]
    if not answered:
        return ()
    pairs = teacher_and_student(answered)
    teacher, cell = pairs[0] if pairs else (None, answered[0])
    return tuple(_key_figures(teacher, cell, what))


def _key_figures(teacher: Cell | None, cell: Cell, what: str) -> Iterator[Figure]:
    estimate = cell.accuracy
    beside = f"teacher {percent(teacher.accuracy.point, teacher.n)}; " if teacher else ""
    yield Figure(
        f"Right answers, {cell.name}",
        percent(estimate.point, estimate.n),
        f"{beside}95% interval {interval(estimate)}",
    )
    yield Figure(
        "Same answer on device and host",
        percent(cell.same_answer / cell.n, cell.n),
        f"{count(cell.same_answer)} of {plural(cell.n, what)}",
    )
    if cell.time:
        unit = time_words(cell)[1]
        beside = f"; teacher {short(teacher.time.point)}" if teacher and teacher.time else ""
        emulated = ", emulated" if cell.plan.emulated else ""
        yield Figure("One inference", short(cell.time.point), f"{unit}{emulated}, median{beside}")
    if on_host := host_figure(cell):
        yield on_host
    if cell.end:
        memory = cell.end.memory
        beside = f"; teacher {short(teacher.end.memory.arena)}B" if teacher and teacher.end else ""
        model = f"; weights {short(memory.flash_model)}B of flash" if memory.flash_model else ""
        yield Figure("RAM of an inference", f"{short(memory.arena)}B", f"arena{beside}{model}")


def results(cells: Sequence[Cell], what: str) -> Table:
    """One row per run."""
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
    note = (
        "Accuracy with its 95% Wilson interval. Time: median of the engine's invoke alone, with "
        "its 95% BCa bootstrap interval. Arena: RAM of one inference beyond input and output. "
        f"Flash: model + code. Link: the host's wall time and {what}s per second; this does not "
        "measure the device."
    )
    return Table("Results", head, tuple(_result(cell) for cell in cells), note)


def _result(cell: Cell) -> tuple[str, ...]:
    if not cell.n:
        return (cell.name, "0", *["–"] * 8)
    asked = "" if cell.n == cell.asked else f" of {count(cell.asked)}"
    accuracy = (
        f"{percent(e.point, e.n)}\n({interval(e)})" for e in (cell.accuracy, cell.host_accuracy)
    )
    head = (cell.name, count(cell.n) + asked, *accuracy, percent(cell.same_answer / cell.n, cell.n))
    median, unit, _ = time_words(cell)
    constant = ", constant" if cell.time and cell.time.method == "constant" else ""
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


def too_large(manifest: Manifest) -> Table:
    """The requested networks that do not fit into the board's memory."""
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
        'Not run. "At least": the size of the network alone (constants in flash; arena, input and '
        "output in RAM), so nothing was built. Otherwise: the size of the linked image."
    )
    head = ("Network", "Board", "Engine", "Memory", "Needs", "Board has")
    return Table("Does not fit", head, rows, note)
