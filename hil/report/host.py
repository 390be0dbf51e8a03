# SPDX-License-Identifier: Apache-2.0
"""Section "Host latency": LiteRT's invoke on the host, beside the device.

A board's latency and the host's are both real time, so they share an axis and form a ratio. An
emulator's instructions do neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hil import stats
from hil.report.blocks import Block, Figure, Scatters, Section, Table, Words, section
from hil.report.draw.chart import (
    NARROW,
    Chart,
    Dot,
    Row,
    Scale,
    Scatter,
    colour,
    log_ticks,
    ticks_in,
)
from hil.report.draw.scatter import LEGEND, Axis, Mark, scatter
from hil.report.pairs import teacher_and_student
from hil.report.text import count, listed, plural
from hil.report.times import (
    duration,
    duration_words,
    method_words,
    rounded_with,
    spread_words,
    step_us,
    time_words,
)
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema_host import HostMachine, HostTimes
from hil.runs.task import classes_of
from hil.stats import Estimate
from hil.stats.series import HostLatencies, Latencies

KERNELS: Final = {"xnnpack": "XNNPACK", "reference": "reference"}
DEFAULT: Final = "xnnpack"  # LiteRT's default kernels: what a program on the host waits for
_US: Final = 1000.0  # nanoseconds
_AXIS: Final = Axis("real time per inference", duration, lambda ns: duration(ns, 1))
_DEVICE: Final = (LEGEND["device"], "device")
_HOST: Final = (LEGEND["host"], "host: LiteRT with XNNPACK")
_TITLE: Final = "Accuracy against time"


def host_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    blocks: list[Block | None] = []
    if run.host is not None:
        timed = timings(cells)
        blocks = [
            Words(machine_words(run.host.machine, timed)),
            Words(slower_words(cells)),
            *drawings(cells, labelled=any(cell.accuracy for cell in cells)),
            latency_table(timed),
            ratio_table(cells),
            beside_table(cells),
        ]
    return section("host", "Host latency", blocks)


# --- what was measured ---


@dataclass(frozen=True, slots=True)
class Timing:
    """One network with one set of kernels. ``series`` in nanoseconds."""

    name: str
    found: HostTimes
    series: HostLatencies


def timings(cells: Sequence[Cell]) -> tuple[Timing, ...]:
    """Each once, although several boards may have run the network."""
    found: dict[tuple[str, str], Timing] = {}
    for cell in cells:
        for kernels, one in cell.host_times.items():
            series = cell.host_latencies[kernels]
            name = f"{one.model} {one.precision}"
            found.setdefault((one.model_sha256, kernels), Timing(name, one, series))
    return tuple(found.values())


def machine_words(machine: HostMachine, timed: Sequence[Timing]) -> str:
    """The computer, LiteRT's version, and whether anything disturbed the times."""
    # the table has a column for the kernels
    versions = dict.fromkeys(one.found.version.removesuffix(" with XNNPACK") for one in timed)
    said = [plural(machine.cores, "core"), f"governor {machine.governor or 'not known'}"]
    if machine.load is not None:
        said.append(f"load average {machine.load:.2f} before")
    if machine.busy is not None and not machine.noisy:
        said.append(f"{machine.busy:.2g} cores kept busy by other processes meanwhile")
    what = f"{listed(list(versions)) or 'LiteRT'} on the computer that ran the bench"
    return f"{what}: {machine.cpu}, {', '.join(said)}. {noise_words(machine)}".rstrip()


def noise_words(machine: HostMachine) -> str:
    """One sentence if the machine was noisy; empty otherwise."""
    if not machine.noisy:
        return ""
    return f"The host was noisy while LiteRT was timed ({machine.noisy}): its times may not repeat."


def latency_table(timed: Sequence[Timing]) -> Table:
    """One row per network and set of kernels."""
    head = (
        "Network",
        "Kernels",
        "Threads",
        "First invoke",
        "Median",
        "95% interval",
        "Method",
        "p5–p95",
        "Samples",
    )
    note = (
        "LiteRT's invoke alone, per sample and after warm-up: a property of this computer, not of "
        "any board. XNNPACK are LiteRT's default kernels; the device's outputs are compared with "
        "the reference kernels. First invoke: one value, after loading; it is in no other figure. "
        "No digit is finer than the interval, which covers the samples of this run: later, or on "
        "another computer, the same network may take longer or shorter by more than that."
    )
    return Table("LiteRT on the host", head, tuple(_latency(one) for one in timed), note)


def _latency(one: Timing) -> tuple[str, ...]:
    median = one.series.median
    point, interval = duration_words(median)
    return (
        one.name,
        KERNELS[one.found.kernels],
        count(one.found.threads),
        duration(one.found.first),
        point,
        interval,
        method_words(median),
        spread_words(*_spread(one.series), median),
        count(median.n),
    )


def _spread(series: HostLatencies) -> tuple[float, float]:
    return stats.percentile(series.values, 5), stats.percentile(series.values, 95)


# --- beside the device ---


def slower_words(cells: Sequence[Cell]) -> str:
    """The ratio of one run as a sentence: the student's if there is one; empty without a ratio."""
    students = [student for _, student in teacher_and_student([c for c in cells if c.n])]
    for cell in (*students, *cells):
        found = cell.over_host(DEFAULT)
        if found is not None:
            point, interval = ratio_words(cell, found)
            said = "" if found.low == found.high else f" (95% interval {interval})"
            return (
                f"{cell.name}: the board takes {point} times{said} as long as this computer with "
                "XNNPACK."
            )
    return ""


def ratio_table(cells: Sequence[Cell]) -> Table:
    """One row per run and set of kernels, for boards that measure a latency."""
    rows = []
    for cell in cells:
        for kernels, host in cell.host_latencies.items():
            found = cell.over_host(kernels)
            if found is not None and cell.time is not None:
                ratio, interval = ratio_words(cell, found)
                rows.append(
                    (
                        cell.name,
                        KERNELS[kernels],
                        device_words(cell, cell.time),
                        duration_words(host.median)[0],
                        f"{ratio}×",
                        interval,
                        method_words(found),
                    )
                )
    head = ("Run", "Kernels", "Device", "Host", "Device / host", "95% interval", "Method")
    note = (
        "Medians of real time on both sides. The interval is that of the ratio of both medians, "
        "not paired, because the two computers vary independently. It does not cover the step of "
        "the board's clock; no digit is finer than that."
    )
    return Table("Device and host", head, tuple(rows), note)


def ratio_words(cell: Cell, found: Estimate) -> tuple[str, str]:
    """The device over the host and its interval, without digits that the board's clock cannot
    give: one step of it changes the ratio by as much as it changes the device's median."""
    step = step_us(cell)
    if step <= 1 or cell.time is None or cell.time.point <= 0:
        return rounded_with(found)
    return rounded_with(found, step=found.point * step / cell.time.point)


def device_words(cell: Cell, median: Estimate) -> str:
    """A board's latency in the unit of its size, without digits that its clock cannot give."""
    return duration_words(_in_ns(median), step_us(cell) * _US)[0]


def _in_ns(found: Estimate) -> Estimate:
    """An estimate in microseconds -> in nanoseconds."""
    point, low, high = (_US * value for value in (found.point, found.low, found.high))
    return replace(found, point=point, low=low, high=high)


def beside_table(cells: Sequence[Cell]) -> Table:
    """Host latency beside the instructions of emulators, and beside boards without a clock."""
    rows = tuple(
        (cell.name, " ".join(time_words(cell)[:2]).strip(), *_hosts(cell))
        for cell in cells
        if cell.plan.clock.unit != "us" and cell.host_times
    )
    note = (
        "There is no ratio: an emulator counts instructions or cycles, which are not times, and "
        "the time that it takes itself says nothing about a board."
    )
    head = ("Run", "Device", *(f"Host, {kernels}" for kernels in KERNELS.values()))
    return Table("Instructions and host latency", head, rows, note)


def _hosts(cell: Cell) -> Iterator[str]:
    for kernels in KERNELS:
        series = cell.host_latencies.get(kernels)
        yield duration_words(series.median)[0] if series else "–"


def host_figure(cell: Cell) -> Figure | None:
    """The key figure of the summary; None if LiteRT was not timed."""
    series = cell.host_latencies.get(DEFAULT)
    if series is None:
        return None
    threads = plural(cell.host_times[DEFAULT].threads, "thread")
    ratio = cell.over_host(DEFAULT)
    beside = f"; the board takes {ratio_words(cell, ratio)[0]} times as long" if ratio else ""
    detail = f"LiteRT with XNNPACK, {threads}, median{beside}"
    return Figure("Host latency", duration_words(series.median)[0], detail)


def terminal_table(cells: Sequence[Cell]) -> Table:
    """One row per run and set of kernels, narrow enough for 80 columns."""
    rows = []
    for cell in cells:
        for kernels, series in cell.host_latencies.items():
            ratio = cell.over_host(kernels)
            rows.append(
                (
                    cell.name,
                    KERNELS[kernels],
                    duration(cell.host_times[kernels].first),
                    duration_words(series.median)[0],
                    spread_words(*_spread(series), series.median),
                    f"{ratio_words(cell, ratio)[0]}×" if ratio else "–",
                )
            )
    head = ("model", "kernels", "first", "median", "p5–p95", "device/host")
    return Table("LiteRT on the host", head, tuple(rows))


# --- accuracy against time ---


def drawings(cells: Sequence[Cell], *, labelled: bool) -> Iterator[Block | None]:
    """Accuracy against time; the time alone if no run has an accuracy."""
    if labelled:
        yield Scatters("", tuple(scatters(cells)))
    else:
        yield time_dots(cells)


def beside_host(cells: Sequence[Cell]) -> Iterator[Scatter]:
    """For the summary: one plot of device and host per board with a latency, if LiteRT was timed.
    A plot has at least two points."""
    models = [cell.plan.model for cell in cells]
    boards = list(dict.fromkeys(cell.plan.board for cell in cells))
    for board in boards:
        here = [cell for cell in cells if cell.plan.board == board and cell.n]
        if not _real(here) or not any(cell.host_times for cell in here):
            continue
        on = f" on {board}" if len(boards) > 1 else ""
        marks = [
            mark
            for cell in here
            for mark in (_on_device(cell, models), _on_host(cell, models, cell.board_name))
        ]
        caption = (
            "Accuracy with its 95% interval; a line joins device and host of one network. Both "
            "times are real time. Up and to the left is better."
        )
        yield from _drawn(f"{_TITLE}{on}", caption, marks, (_DEVICE, _HOST))


def scatters(cells: Sequence[Cell]) -> Iterator[Scatter]:
    """One plot of the host, of networks that ran on boards without a latency."""
    models = [cell.plan.model for cell in cells]
    real = {cell.plan.board for cell in cells if _real([cell])}
    alone: dict[str, Mark | None] = {}  # once, whatever boards and engines ran the network
    for cell in (cell for cell in cells if cell.plan.board not in real and cell.n):
        name = f"{cell.plan.model} {cell.plan.precision}"
        alone.setdefault(name, _on_host(cell, models, name))
    caption = (
        "Accuracy of LiteRT with XNNPACK on the host, with its 95% interval. Up and to the left is "
        "better."
    )
    yield from _drawn(f"{_TITLE} on the host", caption, list(alone.values()))


def _real(cells: Sequence[Cell]) -> bool:
    """Whether a board's clock gives a latency."""
    return any(isinstance(cell.series, Latencies) for cell in cells)


def _drawn(
    title: str,
    caption: str,
    marks: Sequence[Mark | None],
    legend: Sequence[tuple[str, str]] = (),
) -> Iterator[Scatter]:
    known = [mark for mark in marks if mark]
    if len(known) > 1:
        yield scatter(title, caption, _AXIS, known, legend)


def _on_device(cell: Cell, models: Sequence[str]) -> Mark | None:
    if not isinstance(cell.series, Latencies) or not cell.time or cell.time.point <= 0:
        return None
    if cell.accuracy is None:
        return None
    css = colour(cell.plan.model, cell.plan.precision, models)
    return Mark(cell.board_name, css, cell.time.point * _US, cell.accuracy)


def _on_host(cell: Cell, models: Sequence[str], name: str) -> Mark | None:
    series, accuracy = cell.host_latencies.get(DEFAULT), host_accuracy(cell)
    if series is None or series.median.point <= 0 or accuracy is None:
        return None
    css = colour(cell.plan.model, cell.plan.precision, models)
    return Mark(name, css, series.median.point, accuracy, "host")


def host_accuracy(cell: Cell) -> Estimate | None:
    """Of the kernels that were timed, if their outputs are stored; else of the reference's."""
    if cell.xnnpack is None or cell.labels is None or cell.right is None or not cell.n:
        return cell.host_accuracy
    right = classes_of(cell.plan, cell.xnnpack) == cell.labels
    return stats.proportion(int(right.sum()), cell.n)


def time_dots(cells: Sequence[Cell]) -> Chart | None:
    """Device and host on one axis of real time, for runs without accuracy; None without times."""
    models = [cell.plan.model for cell in cells]
    rows = [(cell, list(_times(cell))) for cell in cells]
    seen: set[tuple[str, str]] = set()
    kept = []
    for cell, times in rows:
        network = (cell.plan.model, cell.plan.precision)
        alone = len(times) == 1 and times[0][0] == "host"
        if times and not (alone and network in seen):
            kept.append((cell, times))
            seen.add(network)
    ends = [end for _, times in kept for _, e, _ in times for end in (e.low, e.high) if end > 0]
    if not ends:
        return None
    scale = Scale(min(ends) / 1.6, max(ends) * 1.6, log=True)
    ticks = ((scale.at(t), _AXIS.tick(t)) for t in log_ticks(scale.low, scale.high))
    return Chart(
        title="Time per inference",
        caption="Medians; lines are 95% intervals. Device and host are both real time. There is no "
        "accuracy to show beside them.",
        axis=f"{_AXIS.label}, log scale",
        ticks=ticks_in(NARROW, ticks, inside=True),
        rows=tuple(
            Row(
                label=cell.name,
                css=colour(cell.plan.model, cell.plan.precision, models),
                values=tuple(f"{kind} {words}" for kind, _, words in times),
                dots=tuple(
                    Dot(kind, scale.at(e.point), scale.at(e.low), scale.at(e.high))
                    for kind, e, _ in times
                ),
            )
            for cell, times in kept
        ),
        legend=(("key-device", "device"), ("key-host", "host: LiteRT with XNNPACK")),
    )


def _times(cell: Cell) -> Iterator[tuple[str, Estimate, str]]:
    """Kind, estimate in nanoseconds, and words."""
    if isinstance(cell.series, Latencies) and cell.time and cell.time.low > 0:
        yield "device", _in_ns(cell.time), device_words(cell, cell.time)
    series = cell.host_latencies.get(DEFAULT)
    if series is not None and series.median.low > 0:
        yield "host", series.median, duration_words(series.median)[0]
