# SPDX-License-Identifier: Apache-2.0
"""Every drawing in several fonts: no text overflows or touches another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from hil import report
from hil.cli.doctor import FONTS
from hil.compare.history import page, read_history
from hil.league.published import NETWORKS
from hil.report.accuracy import matrix
from hil.report.page import drawn
from hil.runs.load import load_run
from hil_train import study_pages
from tests.compare.test_history import store
from tests.support import league, reports
from tests.support.boxes import faults
from tests.support.browser import chromium, needs_chromium, shown
from tests.support.compared import run, with_memory
from tests.support.fonts import need, only
from tests.support.studies import distillation_wins, row, study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


LONG = "a network of a rather long name, wide enough to matter: WWWW MMMM @@@@"
WIDTHS = (360, 1400)
PROJECT = Path(__file__).parents[2]
# texts outside the picture or the window; pairs of texts in one picture that touch
FAULTS = """() => {
  const found = [];
  const boxes = (root) => Array.from(root.querySelectorAll("text"))
    .filter((e) => e.checkVisibility() && e.textContent.trim()).map((e) => {
      const b = e.getBoundingClientRect(), level = b.width >= b.height || e.textContent.length < 3;
      const x = level ? 0.5 : 0.2 * b.width, y = level ? 0.2 * b.height : 0.5;
      return [e.textContent, b.left + x, b.right - x, b.top + y, b.bottom - y]; });
  const outer = (e) => e && (outer(e.parentElement && e.parentElement.closest("svg")) || e);
  for (const svg of new Set(Array.from(document.querySelectorAll("svg"), outer))) {
    const room = document.documentElement === svg ? svg.getBoundingClientRect()
      : {left: 0, right: innerWidth, top: -Infinity, bottom: Infinity};
    const all = boxes(svg);
    all.forEach((a, i) => {
      if (a[1] < room.left - 1 || a[2] > room.right + 1 || a[3] < room.top - 1
          || a[4] > room.bottom + 1) found.push("outside: " + a);
      for (const b of all.slice(i + 1))
        if (a[1] < b[2] && b[1] < a[2] && a[3] < b[4] && b[3] < a[4])
          found.push("touch: " + a + " and " + b);
    });
  }
  return found; }"""
OVERFLOWS = "document.documentElement.scrollWidth - innerWidth"


def long_names(folder: Path, n: int) -> Path:
    """A run with names that are too long and many networks of nearly the same cost."""
    names = ("student", LONG, *(f"network {i}" for i in range(4)))
    plans = [reports.plan(name, precision) for name in names for precision in ("int8", "float32")]
    stored = [sample for plan in plans for sample in reports.samples(plan, n)]
    of = reports.manifest(*plans, n=n)
    return reports.write(folder, of, stored, on_host=reports.host(of, n))


def unlabelled(folder: Path, n: int) -> Path:
    """A run on a board whose samples have no labels."""
    reports.on_board(folder, n)
    of = load_run(folder).manifest
    data = msgspec.structs.replace(of.dataset, labelled=False)
    of = msgspec.structs.replace(of, dataset=data)
    folder.joinpath("manifest.json").write_bytes(msgspec.json.encode(of))
    return folder


def in_the_league(folder: Path, n: int) -> Path:
    """Networks of MLPerf Tiny under a long name, with and without estimated cycles."""
    plans = [league.plan(name, model=LONG, key=f"mps2/aot/{name}/int8") for name in NETWORKS]
    return league.written(folder, league.stored(*plans, time=3_000_000, cycles=(2_000_000,), n=n))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings as files (*.svg), and pages (*.html)."""
    folder = tmp_path_factory.mktemp("drawings")
    runs = (
        reports.hosted,
        reports.on_board,
        reports.hostile,
        long_names,
        unlabelled,
        in_the_league,
    )
    for make in runs:
        report.write(make(folder / make.__name__, 20))
    table = np.diag([980, 1135, 1032, 10_100, 982, 892, 958, 1028, 974, 1009])
    table[4, 9] = 1_009
    confused = matrix(LONG, "1,009 mistakes; most common: 4 taken for 9, 1,009 times", table)
    (folder / "confusion.svg").write_text(drawn(confused))
    crowd = study(
        *(row(m, p, range(9 + i), 100.0 + i) for i in range(9) for m in WORDS for p in PRECISIONS),
        board_title=LONG * 2,
    )
    for name, one in (("study", distillation_wins()), ("crowd", crowd)):
        study_pages.write(one, folder / name)  # for their HTML
    stored = folder / "runs"
    for day, arena in enumerate((2_544, 3_000, 2_000, 1_000_000_000, *([2_544] * 24)), 1):
        store(stored, f"run-{day}", with_memory(run(), arena=arena), min(day, 28))
    (folder / "history.html").write_text(page(read_history(stored)), encoding="utf-8")
    return folder


WORDS = ("teacher", "finetuned", "pruned", "alone", "student")
PRECISIONS = ("int8", "float32")


def files(folder: Path, suffix: str) -> list[Path]:
    """Files of a suffix; only one of a run's confusion matrices, which differ little."""
    found = sorted(folder.rglob(f"*.{suffix}"))
    alike = [file for file in found if "confusion" in file.name]
    kept = {file.parent: file for file in sorted(alike, key=lambda file: len(file.name))}
    assert found
    return [file for file in found if file not in alike or file in kept.values()]


def test_there_is_room_for_the_widest_font(folder: Path) -> None:
    found = {
        str(file.relative_to(folder)): wrong
        for file in files(folder, "svg")
        if (wrong := faults(file.read_text("utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "file",
    [
        file
        for name in ("docs", "results")
        for file in (PROJECT / name).rglob("*.svg")
        if file.name != "terminal.svg"  # pictures of one terminal at several times
    ],
    ids=lambda file: str(file.relative_to(PROJECT)),
)
def test_there_is_room_in_the_committed_ones(file: Path) -> None:
    assert faults(file.read_text("utf-8")) == []


QUICK = ("DejaVu Sans", "DejaVu Sans Mono", "Liberation Sans")  # two wide ones, one narrow


@pytest.fixture(
    params=[pytest.param(f, marks=() if f in QUICK else pytest.mark.slow) for f in FONTS],
    scope="module",
)
def browser(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A Chromium with one font."""
    need(request.param)
    config = only(request.param, tmp_path_factory.mktemp("font"))
    with chromium({"FONTCONFIG_FILE": str(config)}) as found:
        yield found


def used(page: Page) -> set[str]:
    """The fonts that a page really uses."""
    session = page.context.new_cdp_session(page)
    session.send("DOM.enable")
    session.send("CSS.enable")
    root = session.send("DOM.getDocument", {"depth": -1})["root"]["nodeId"]
    nodes = session.send("DOM.querySelectorAll", {"nodeId": root, "selector": "text"})["nodeIds"]
    said = [session.send("CSS.getPlatformFontsForNode", {"nodeId": node}) for node in nodes[:3]]
    return {font["familyName"] for one in said for font in one["fonts"]}


@needs_chromium
@pytest.mark.thorough
@pytest.mark.timeout(1200)
def test_every_font_fits(browser: Browser, folder: Path, request: pytest.FixtureRequest) -> None:
    font = request.node.callspec.params["browser"]
    wrong = {}
    fonts: set[str] = set()
    first, *others = files(folder, "svg")
    with shown(browser, first) as seen:
        fonts |= used(seen.page)
        wrong[first.name] = seen.page.evaluate(FAULTS)
        for file in others:
            seen.page.goto(file.as_uri())
            wrong[str(file)] = seen.page.evaluate(FAULTS)
    for file in files(folder, "html"):
        for width in WIDTHS:
            with shown(browser, file, width=width) as seen:
                wrong[f"{file} {width}"] = seen.page.evaluate(FAULTS)
                assert seen.page.evaluate(OVERFLOWS) == 0, (file, width)
                if file.name == "history.html":
                    fonts |= used(seen.page)
    assert {name: found for name, found in wrong.items() if found} == {}
    assert fonts == {font}
