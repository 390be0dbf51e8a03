# SPDX-License-Identifier: Apache-2.0
"""The report's section on LiteRT's latency on the host, compared with NumPy and SciPy."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.stats import bootstrap

from hil import report
from hil.report.blocks import Figures, Scatters, Section, Words
from hil.report.document import document
from hil.report.draw.chart import Chart, Scatter
from hil.report.draw.scatter import HEIGHT
from hil.report.host import host_section
from hil.report.markdown import markdown
from hil.report.page import figures
from hil.report.times import duration, duration_words, rounded_with, spread_words
from hil.runs.load import StoredRun
from hil.runs.schema import (
    DatasetUsed,
    RunPlan,
)
from hil.runs.schema_host import HostLatencies
from hil.stats import Estimate
from tests.support import reports
from tests.support.boxes import faults

HOST, RATIO = "LiteRT on the host", "Device and host"
BESIDE = "Instructions and host latency"
MODELS, PRECISIONS = ("teacher", "student"), ("float32", "int8")


def real(board: str = "esp32", models: tuple[str, ...] = MODELS) -> list[RunPlan]:
    """Networks on a board with a clock of its own."""
    title = f"{board} DevKit"
    return [
        reports.plan(m, p, board=board, title=title, unit="us")
        for m, p in product(models, PRECISIONS)
    ]


def on_board(n: int = 200, noisy: str = "") -> StoredRun:
    return reports.timed(reports.run(*real(), n=n), noisy=noisy)


def emulated(n: int = 200) -> StoredRun:
    return reports.timed(reports.run(*reports.matrix(), n=n))


def unlabelled(run: StoredRun) -> StoredRun:
    data: DatasetUsed = msgspec.structs.replace(run.manifest.dataset, labelled=False)
    return replace(run, manifest=msgspec.structs.replace(run.manifest, dataset=data))


def section_of(run: StoredRun) -> Section:
    return host_section(run, reports.cells_of(run))


def scatters_of(run: StoredRun) -> tuple[Scatter, ...]:
    """The plots of time, in the summary and in the section."""
    blocks = [block for section in document(run).sections for block in section.blocks]
    found = [one for block in blocks if isinstance(block, Scatters) for one in block.items]
    return tuple(one for one in found if one.title.startswith("Accuracy against time"))


def words_of(run: StoredRun) -> str:
    return " ".join(block.text for block in section_of(run).blocks if isinstance(block, Words))


def host_of(run: StoredRun) -> HostLatencies:
    assert run.host is not None
    return run.host


def ns(words: str) -> float:
    """A duration in the report, in nanoseconds."""
    number, unit = words.replace(",", "").split()
    return float(number) * {"ns": 1.0, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]


def span(words: str) -> tuple[float, float]:
    """An interval in the report, in nanoseconds."""
    unit = words.split()[-1]
    low, high = words.split()[0].split("–")
    return ns(f"{low} {unit}"), ns(f"{high} {unit}")


# --- tables ---


def test_every_figure_of_the_host_is_what_numpy_and_scipy_compute() -> None:
    run = on_board()
    rows = document(run).table(HOST).rows
    times = host_of(run).times
    assert len(rows) == len(times) == 8
    for row, one in zip(rows, times, strict=True):
        name, kernels, threads, first, median, interval, method, spread, n = row
        values = np.array(one.times)
        assert name == f"{one.model} {one.precision}"
        assert kernels.lower() == one.kernels
        assert (threads, n) == ("1", str(values.size))
        assert ns(first) == pytest.approx(one.first, rel=0.05)  # one value: two digits
        assert ns(median) == pytest.approx(np.median(values), rel=5e-3)
        assert span(spread) == pytest.approx(np.percentile(values, (5, 95)), rel=5e-3)
        known = bootstrap((values,), np.median, n_resamples=9999, rng=1).confidence_interval
        assert span(interval) == pytest.approx((known.low, known.high), rel=5e-3)
        assert method == "BCa bootstrap"


def test_the_ratio_and_its_interval_are_what_scipys_bootstrap_gives() -> None:
    run = on_board()
    rows = {(row[0], row[1].lower()): row for row in document(run).table(RATIO).rows}
    assert len(rows) == 8
    for cell in reports.cells_of(run):
        for one in host_of(run).times:
            if (one.model, one.precision) != (cell.plan.model, cell.plan.precision):
                continue
            device, host = 1000.0 * cell.times, np.array(one.times, float)
            _, _, said_device, said_host, ratio, interval, _ = rows[cell.name, one.kernels]
            assert ns(said_device) == pytest.approx(np.median(device), rel=1e-3)
            assert ns(said_host) == pytest.approx(np.median(host), rel=5e-3)
            assert ratio.endswith("×")
            point = float(ratio.removesuffix("×"))
            assert point == pytest.approx(np.median(device) / np.median(host), rel=5e-3)
            known = bootstrap(
                (device, host),
                lambda a, b, axis=-1: np.median(a, axis=axis) / np.median(b, axis=axis),
                vectorized=True,
                n_resamples=4999,
                rng=1,
            ).confidence_interval
            low, high = (float(end) for end in interval.split("–"))
            assert (low, high) == pytest.approx((known.low, known.high), rel=5e-3)


def test_the_ratio_is_a_sentence_too() -> None:
    run = on_board()
    rows = {(row[0], row[1]): row for row in document(run).table(RATIO).rows}
    *_, ratio, interval, _ = rows["student int8", "XNNPACK"]
    said = f"student int8: the board takes {ratio[:-1]} times (95% interval {interval}) as long as "
    assert f"{said}this computer with XNNPACK." in words_of(run)


def test_instructions_and_host_latency_form_no_ratio() -> None:
    run = emulated()
    found = document(run)
    assert found.table(RATIO).rows == ()
    assert "times" not in words_of(run).replace("its times may", "")
    beside = found.table(BESIDE)
    assert [row[0] for row in beside.rows] == [cell.name for cell in reports.cells_of(run)]
    assert all(row[1].endswith(" instructions") for row in beside.rows)
    assert all(ns(row[2]) < ns(row[3]) for row in beside.rows)  # XNNPACK, reference
    assert beside.note.startswith("There is no ratio: ")
    assert {row[-1] for row in found.host.rows} == {"–"}
    assert "times as long" not in markdown(found)


def test_two_boards_share_the_hosts_times() -> None:
    run = reports.timed(reports.run(*real(), *real("portenta"), n=60))
    found = document(run)
    assert len(found.table(HOST).rows) == 8  # four networks, two sets of kernels
    assert len(found.table(RATIO).rows) == 16
    assert [s.title for s in scatters_of(run)] == [
        "Accuracy against time on esp32",
        "Accuracy against time on portenta",
    ]


def test_a_clock_that_did_not_advance_forms_no_ratio() -> None:
    run = reports.physical([0] * 20)
    found = document(reports.timed(run))
    assert found.table(RATIO).rows == ()
    assert len(found.table(HOST).rows) == 2


def test_a_clock_of_whole_milliseconds_gives_no_finer_ratio() -> None:
    run = reports.timed(reports.physical([52_000] * 20 + [53_000] * 11, clock_step=1000.0))
    *_, device, host, ratio, interval, _ = document(run).table(RATIO).rows[0]
    exact = 52e6 / float(np.median(host_of(run).times[0].times))
    assert device == "52 ms"
    assert ns(host) == pytest.approx(np.median(host_of(run).times[0].times), rel=5e-3)
    assert exact > 5000  # one step is 2 % of it: two digits
    assert ratio == f"{round(exact, -2):,.0f}×"
    assert all(end.endswith("00") for end in interval.split("–"))


def test_a_noisy_machine_is_a_warning_and_a_quiet_one_is_not() -> None:
    why = "load average 3.2 on 2 cores"
    warning = f"The host was noisy while LiteRT was timed ({why}): its times may not repeat."
    assert warning in document(on_board(40, why)).warnings
    assert warning in words_of(on_board(40, why))
    quiet = document(on_board(40))
    assert not any("noisy" in line for line in quiet.warnings)
    assert "noisy" not in words_of(on_board(40))


def test_the_computer_is_described() -> None:
    said = words_of(on_board(40))
    for fact in ("LiteRT 2.3.0", "Example CPU", "2 cores", "governor performance", "0.25 before"):
        assert fact in said
    run = on_board(40)
    machine = msgspec.structs.replace(host_of(run).machine, governor="", load=None, busy=None)
    run = replace(run, host=msgspec.structs.replace(host_of(run), machine=machine))
    assert "governor not known." in words_of(run)
    assert "load" not in words_of(run)


def test_a_run_without_host_times_has_no_such_section() -> None:
    found = document(reports.run(*real(), n=40))
    assert "host" not in [section.key for section in found.sections]
    assert found.host.rows == ()
    assert "Host latency" not in markdown(found)


def test_the_summary_and_the_terminal_show_it() -> None:
    found = document(on_board())
    (glance,) = [b for s in found.sections for b in s.blocks if isinstance(b, Figures)]
    (shown,) = [item for item in glance.items if item.name == "Host latency"]
    rows = {row[:2]: row for row in found.table(HOST).rows}
    assert shown.value == rows["student int8", "XNNPACK"][4]
    ratio = next(
        row[4] for row in found.table(RATIO).rows if row[:2] == ("student int8", "XNNPACK")
    )
    assert shown.detail == (
        f"LiteRT with XNNPACK, 1 thread, median; the board takes {ratio[:-1]} times as long"
    )
    assert found.host.head == ("model", "kernels", "first", "median", "p5–p95", "device/host")
    assert len(found.host.rows) == 8
    widths = [
        max(map(len, column)) for column in zip(found.host.head, *found.host.rows, strict=True)
    ]
    assert sum(widths) + 2 * len(widths) <= 80


# --- digits and units ---


def estimate(point: float, low: float, high: float) -> Estimate:
    return Estimate(point, low, high, "BCa bootstrap", 100, 0.95)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (estimate(18_231, 18_100, 18_400), ("18.2 µs", "18.1–18.4 µs")),
        (estimate(3_218_712, 3_218_000, 3_219_500), ("3.219 ms", "3.218–3.220 ms")),
        (estimate(3_218_712, 3_100_000, 3_300_000), ("3.2 ms", "3.1–3.3 ms")),
        (estimate(12_000, 5_000, 40_000), ("12 µs", "5–40 µs")),
        (estimate(850, 840, 871), ("850 ns", "840–870 ns")),
        (estimate(1.5e9, 1.45e9, 1.56e9), ("1.50 s", "1.45–1.56 s")),
        (estimate(52_104_000, 52_103_000, 52_105_000), ("52.10 ms", "52.10 ms")),
        (estimate(18_231, 18_231, 18_231), ("18.23 µs", "no width")),
    ],
)
def test_a_duration_has_a_readable_unit_and_no_unsupported_digit(
    found: Estimate, words: tuple[str, str]
) -> None:
    assert duration_words(found) == words


def test_a_coarse_clock_gives_no_finer_digit() -> None:
    found = estimate(52_104_000, 52_050_000, 52_160_000)
    assert duration_words(found)[0] == "52.10 ms"
    assert duration_words(found, 1e6)[0] == "52 ms"
    assert spread_words(50.3e6, 61.2e6, found, 1e6) == "50–61 ms"


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0 ns"), (18, "18 ns"), (18_231, "18 µs"), (999_900, "1.0 ms"), (123_456, "120 µs")],
)
def test_a_single_time_has_two_digits(value: float, words: str) -> None:
    assert duration(value) == words


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (estimate(412.3, 405, 420), ("412", "405–420")),
        (estimate(0.834, 0.80, 0.86), ("0.83", "0.80–0.86")),
        (estimate(54_321, 53_000, 55_500), ("54,000", "53,000–56,000")),
        (estimate(1.02, 0.9, 1.3), ("1.0", "0.9–1.3")),
    ],
)
def test_a_ratio_has_the_digits_of_its_interval(found: Estimate, words: tuple[str, str]) -> None:
    assert rounded_with(found) == words


# --- the figure ---


def test_points_are_at_their_time_and_accuracy() -> None:
    run = on_board()
    (drawn,) = scatters_of(run)
    cells = {cell.board_name: cell for cell in reports.cells_of(run)}
    times: dict[tuple[str, str], float] = {}
    for name, cell in cells.items():
        times[name, "device"] = 1000.0 * float(np.median(cell.times))
    for one in host_of(run).times:
        if one.kernels == "xnnpack":
            times[f"{one.model} {one.precision}", "host"] = float(np.median(one.times))
    keys = list(product(cells, ("device", "host")))
    assert [point.kind for point in drawn.points] == [kind for _, kind in keys]
    low, high = min(times.values()) / 1.6, max(times.values()) * 1.6
    for key, point in zip(keys, drawn.points, strict=True):
        share = math.log(times[key] / low) / math.log(high / low)
        assert point.x == pytest.approx(100 * share, abs=0.02)
        assert point.high <= point.y <= point.low
        assert 0 <= point.y <= HEIGHT
    right = {name: float(np.mean(cell.answers == cell.labels)) for name, cell in cells.items()}
    best, worst = max(right, key=right.__getitem__), min(right, key=right.__getitem__)
    assert right[best] > right[worst]
    ys = {name: point.y for (name, kind), point in zip(keys, drawn.points, strict=True)}
    assert ys[best] < ys[worst]


def test_device_and_host_differ_in_shape_and_are_joined() -> None:
    (drawn,) = scatters_of(on_board())
    assert [css for css, _ in drawn.legend] == ["key-device", "key-diamond"]
    assert len(drawn.links) == 4
    for link, (device, host) in zip(
        drawn.links, zip(drawn.points[::2], drawn.points[1::2], strict=True), strict=True
    ):
        assert (link.x1, link.y1, link.x2, link.y2) == (device.x, device.y, host.x, host.y)
        assert device.css == host.css == link.css
        assert (device.kind, host.kind) == ("device", "host")
    labels = [point.label for point in drawn.points if point.label]
    assert sorted(labels) == sorted(f"{m} {p}" for m, p in product(MODELS, PRECISIONS))
    svg = figures(document(on_board()))["summary-accuracy-against-time.svg"]
    assert svg.count("M0-6l6 6-6 6-6-6z") == 4
    assert faults(svg) == []


def test_the_axis_is_real_time_with_its_units() -> None:
    (drawn,) = scatters_of(on_board())
    assert drawn.x_axis == "real time per inference, log scale"
    assert [tick.label for tick in drawn.x_ticks if tick.label] == [
        "10 µs",
        "100 µs",
        "1 ms",
        "10 ms",
    ]
    assert "teacher float32, device: " in drawn.alt
    assert "teacher float32, host: " in drawn.alt
    assert "at 61 ms" in drawn.alt


def test_the_host_does_not_share_a_panel_with_an_emulator() -> None:
    run = emulated()
    (host,) = scatters_of(run)
    assert (host.title, host.x_axis) == (
        "Accuracy against time on the host",
        "real time per inference, log scale",
    )
    assert {point.kind for point in host.points} == {"host"}


def test_two_engines_on_an_emulator_share_a_point_of_the_host() -> None:
    plans = reports.matrix()
    others = [
        msgspec.structs.replace(p, engine="tflm", key=p.key.replace("/aot/", "/tflm/"))
        for p in plans
    ]
    (host,) = scatters_of(reports.timed(reports.run(*plans, *others, n=60)))
    labels = sorted(point.label for point in host.points)
    assert labels == sorted(f"{m} {p}" for m, p in product(MODELS, PRECISIONS))


def test_a_boards_latency_and_an_emulators_instructions_never_share_a_figure() -> None:
    run = reports.timed(reports.run(*reports.matrix(), *real(), n=60))
    drawn = scatters_of(run)
    assert [one.title for one in drawn] == [
        "Accuracy against time on esp32",
        "Accuracy against time on the host",
    ]
    assert not any("instructions" in one.x_axis for one in drawn)


def test_one_network_is_two_points_on_a_board_and_none_on_an_emulator() -> None:
    (drawn,) = scatters_of(reports.timed(reports.run(reports.plan(board="esp32", unit="us"), n=60)))
    assert [point.kind for point in drawn.points] == ["device", "host"]
    assert len(drawn.links) == 1
    assert scatters_of(reports.timed(reports.run(reports.plan(), n=60))) == ()


def test_the_hosts_accuracy_is_that_of_the_kernels_that_were_timed() -> None:
    of = msgspec.structs.replace(reports.plan(board="esp32", unit="us"), xnnpack="LiteRT 2.3.0")
    stored = []
    for sample in reports.samples(of, 100):
        wrong = np.full(10, -100, "i1")
        wrong[(sample.label + 1) % 10] = 100
        changed = wrong.tobytes() if sample.i < 50 else None  # None: as the device
        stored.append(msgspec.structs.replace(sample, xnnpack=changed))
    run = reports.timed(reports.run_of(reports.manifest(of, n=100), stored))
    (drawn,) = scatters_of(run)
    said = re.search(r"student int8, host: ([\d.]+)%", drawn.alt)
    (cell,) = reports.cells_of(run)
    right = np.mean((cell.answers == cell.labels)[50:]) / 2
    assert said
    assert float(said[1]) == pytest.approx(100 * right, abs=0.05)
    ticks = [tick.at for tick in drawn.y_ticks]
    assert all(min(ticks) <= p.y <= max(ticks) for p in drawn.points)


def test_samples_without_labels_have_times_and_no_accuracy() -> None:
    run = unlabelled(on_board(60))
    section = section_of(run)
    assert scatters_of(run) == ()
    (chart,) = [block for block in section.blocks if isinstance(block, Chart)]
    assert len(chart.rows) == 4
    assert all([dot.kind for dot in row.dots] == ["device", "host"] for row in chart.rows)
    assert all(row.dots[1].at < row.dots[0].at for row in chart.rows)
    cell = reports.cells_of(run)[0]
    assert ns(chart.rows[0].values[0].removeprefix("device ")) == pytest.approx(
        1000 * np.median(cell.times), rel=1e-3
    )
    (alone,) = [
        block for block in section_of(unlabelled(emulated(60))).blocks if isinstance(block, Chart)
    ]
    assert all([dot.kind for dot in row.dots] == ["host"] for row in alone.rows)


def test_the_page_shows_the_section(tmp_path: Path) -> None:
    written = report.write(reports.on_board(tmp_path / "run", 40))
    html = written.html.read_text("utf-8")
    assert '<section id="host"' in html
    assert html.count('class="dot host" d="M0') == 4
    assert "Accuracy against latency" not in html  # drawn once, beside the host's
    assert html.count("<h3>Accuracy against time</h3>") == 1
