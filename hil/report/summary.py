# SPDX-License-Identifier: Apache-2.0
"""Section "Summary": key figures, one row of results per run, and what did not fit on a board."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from hil.core.records import Task
from hil.report.blocks import Figure, Figures, Scatters, Section, Table, section
from hil.report.cost import scatters
from hil.report.errors import score_cell, score_interval, score_words
from hil.report.host import beside_host, device_words, host_figure
from hil.report.pairs import distillations, student_table, teacher_and_student
from hil.report.text import count, interval, known, noun, percent, plural, real, short
from hil.report.times import interval_words, step_us, time_words
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema import Manifest
from hil.runs.scores import AUC, TITLES
from hil.stats import Estimate
from hil.stats.series import Latencies

_COLUMNS: Final[Mapping[Task, tuple[str, ...]]] = {
    Task.BINARY: (AUC,),
    Task.REGRESSION: ("rmse", "r2"),
    Task.RECONSTRUCTION: ("mse", AUC),
}


def summary_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    what = noun(run.manifest.dataset.name)
    return section(
        "summary",
        "Summary",
        [
            Figures(key_figures(cells, what)),
            Scatters("What accuracy costs", (*beside_host(cells), *scatters(cells))),
            results(cells, what),
            student_table(distillations(cells)),
            too_large(run.manifest),
            not_taken(run.manifest),
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
    if estimate := cell.accuracy:
        other = teacher.accuracy if teacher else None
        beside = f"teacher {percent(other.point, other.n)}; " if other else ""
        yield Figure(
            f"Right answers, {cell.name}",
            percent(estimate.point, estimate.n),
            f"{beside}95% interval {interval(estimate)}",
        )
    yield from _score_figures(teacher, cell)
    if (found := cell.to_litert) and not cell.chooses and cell.values:
        equal = cell.values - found.elements
        far = f"; largest difference {real(cell.reach)}" if cell.reach else ""
        yield Figure(
            "Output values equal to the host's",
            percent(equal / cell.values, cell.values),
            f"{count(equal)} of {count(cell.values)}{far}",
        )
    if same := cell.agreement:
        yield Figure(
            "Same answer on device and host",
            percent(same.point, same.n),
            f"{count(cell.n - (cell.changed or 0))} of {plural(cell.n, what)}",
        )
    if cell.time:
        unit = "latency" if _is_fine(cell) else time_words(cell)[1]
        beside = f"; teacher {_short(teacher)}" if teacher and teacher.time else ""
        emulated = ", emulated" if cell.plan.emulated else ""
        yield Figure("One inference", _short(cell), f"{unit}{emulated}, median{beside}")
    if on_host := host_figure(cell):
        yield on_host
    memory = cell.memory
    if memory.arena is not None:
        arena = teacher.memory.arena if teacher else None
        beside = "" if arena is None else f"; teacher {short(arena)}B"
        model = f"; weights {short(memory.flash_model)}B of flash" if memory.flash_model else ""
        yield Figure("RAM of an inference", f"{short(memory.arena)}B", f"arena{beside}{model}")


def _score_figures(teacher: Cell | None, cell: Cell) -> Iterator[Figure]:
    """The figure of a task without accuracy, and the areas of two classes."""
    for name in dict.fromkeys((cell.headline, AUC)):
        found = cell.scores[name].device if name in cell.scores else None
        if found is None:
            continue
        other = teacher.scores[name].device if teacher and name in teacher.scores else None
        beside = f"teacher {score_words(name, other)}; " if other else ""
        yield Figure(
            f"{TITLES[name]}, {cell.name}",
            score_words(name, found),
            f"{beside}95% interval {score_interval(name, found)}",
        )


def _is_fine(cell: Cell) -> bool:
    """Whether the board's clock counts single microseconds."""
    return isinstance(cell.series, Latencies) and step_us(cell) <= 1


def _short(cell: Cell) -> str:
    """A median in a unit of its size if the clock is fine, else in the unit of `time_words`."""
    if not cell.time:
        return time_words(cell)[0]
    if _is_fine(cell):
        return device_words(cell, cell.time)
    return time_words(cell)[0] if isinstance(cell.series, Latencies) else short(cell.time.point)


def results(cells: Sequence[Cell], what: str) -> Table:
    """One row per run, without the columns that no run of this kind can fill."""
    labelled = any(cell.right is not None for cell in cells)
    by_host = any(cell.litert is not None for cell in cells)
    memory = any(not cell.end or cell.end.memory for cell in cells)
    every: tuple[tuple[bool, str, Callable[[Cell], str]], ...] = (
        (True, f"{what}s".capitalize(), _answered),
        (labelled, "Accuracy, device", lambda cell: _share(cell.accuracy)),
        (labelled and by_host, "Accuracy, host", lambda cell: _share(cell.host_accuracy)),
        *_scored(cells, by_host=by_host),
        (by_host and any(cell.chooses for cell in cells), "Same answer", _same),
        (by_host and not all(cell.chooses for cell in cells), "Equal outputs", _equal),
        (True, "Time per inference", _time),
        (memory, "Arena", _arena),
        (memory, "Flash", _flash),
        (memory, "Stack", _stack),
        (True, "Link", _link),
    )
    columns = [(name, show) for shown, name, show in every if shown]
    said = [
        "Accuracy with its 95% Wilson interval. " * labelled,
        "Equal outputs: samples of which every output byte is the host's. "
        * (by_host and not all(cell.chooses for cell in cells)),
        "Time: median of the engine's invoke alone, with its 95% BCa bootstrap interval. ",
        "Arena: RAM of one inference beyond input and output. Flash: model + code. " * memory,
        f"Link: the host's wall time and {what}s per second; this does not measure the device.",
    ]
    rows = tuple((cell.name, *(show(cell) for _, show in columns)) for cell in cells)
    return Table("Results", ("Run", *(name for name, _ in columns)), rows, "".join(said))


def _scored(
    cells: Sequence[Cell], *, by_host: bool
) -> Iterator[tuple[bool, str, Callable[[Cell], str]]]:
    """Columns of the figures by which tasks without accuracy are read."""
    for name in ("rmse", "r2", "mse", AUC):
        if any(name in _columns(cell) for cell in cells):
            beside = by_host and name != "r2"
            yield True, f"{TITLES[name]}, device", partial(_score, name, "device")
            yield beside, f"{TITLES[name]}, host", partial(_score, name, "host")


def _columns(cell: Cell) -> tuple[str, ...]:
    """The names of a run's figures that have a column."""
    return tuple(name for name in _COLUMNS.get(cell.task, ()) if name in cell.scores)


def _score(name: str, side: str, cell: Cell) -> str:
    if name not in _columns(cell):
        return "–"
    found = cell.scores[name]
    return score_cell(name, found.device if side == "device" else found.host)


def _equal(cell: Cell) -> str:
    return percent(cell.equal.point, cell.n) if cell.equal and not cell.chooses else "–"


def _answered(cell: Cell) -> str:
    started = cell.n or cell.failures
    return count(cell.n) + (f" of {count(cell.asked)}" if started and cell.n < cell.asked else "")


def _share(found: Estimate | None) -> str:
    return f"{percent(found.point, found.n)}\n({interval(found)})" if found else "–"


def _same(cell: Cell) -> str:
    return percent(cell.agreement.point, cell.n) if cell.agreement else "–"


def _time(cell: Cell) -> str:
    if not cell.n:
        return "–"
    median, unit, _ = time_words(cell)
    constant = ", constant" if cell.time and cell.time.method == "constant" else ""
    time = f"{median}\n{unit}{constant}" if unit else median
    if cell.time and cell.time.low != cell.time.high:
        time += f"\n({interval_words(cell, cell.time)})"
    return time


def _arena(cell: Cell) -> str:
    return known(cell.memory.arena) if cell.n else "–"


def _flash(cell: Cell) -> str:
    model, code = cell.memory.flash_model, cell.memory.flash_code
    if not cell.n:
        return "–"
    if model is None:
        return known(code)
    return f"{model:,}\n+ {known(code)}"


def _stack(cell: Cell) -> str:
    return known(cell.memory.stack) if cell.n else "–"


def _link(cell: Cell) -> str:
    end = cell.end
    if not cell.n or not end:
        return "–"
    retries = plural(end.retries, "retry", "retries")
    if end.seconds <= 0:
        return retries
    return f"{end.seconds:.1f} s ({cell.n / end.seconds:.0f}/s)\n{retries}"


def too_large(manifest: Manifest) -> Table:
    """The requested networks that do not fit into the board's memory."""
    rows = tuple(
        (
            f"{found.model} {found.precision}",
            f"{found.board_title} ({found.board})",
            found.engine,
            found.of,
            f"{found.needs:,} B" if found.linked else f"at least {found.needs:,} B",
            f"{found.has:,} B",
            f"{found.needs - found.has:,} B",
        )
        for found in manifest.no_place
    )
    note = (
        'Not run. "At least": the size of the network alone (constants in flash; arena, input and '
        "output in RAM), so nothing was built. Otherwise: the size of the linked image."
    )
    head = ("Network", "Board", "Engine", "Memory", "Needs", "Board has", "Missing")
    return Table("Does not fit", head, rows, note)


def not_taken(manifest: Manifest) -> Table:
    """The requested networks that an engine cannot take, or whose firmware was not built."""
    rows = tuple(
        (
            f"{found.model} {found.precision}",
            f"{found.board_title} ({found.board})",
            found.engine,
            found.why,
            found.advice,
        )
        for found in manifest.refused
    )
    head = ("Network", "Board", "Engine", "Why", "What to do")
    return Table("Not run by this engine", head, rows)
