# SPDX-License-Identifier: Apache-2.0
"""figures/*.svg: self-contained, safe and to scale."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil import report
from hil.runs.cells import cells
from hil.runs.load import load_run
from tests.support import reports
from tests.support.browser import browser as browser
from tests.support.browser import needs_chromium, shown

if TYPE_CHECKING:
    from playwright.sync_api import Browser


SVG = "{http://www.w3.org/2000/svg}"
ALLOWED = {"svg", "title", "rect", "text", "g", "line", "circle", "path"}


def drawn(folder: Path) -> dict[str, ET.Element]:
    report.write(folder)
    return {f.name: ET.fromstring(f.read_text("utf-8")) for f in (folder / "figures").iterdir()}


def test_every_drawing_has_a_file(tmp_path: Path) -> None:
    assert set(drawn(reports.full(tmp_path / "run", 60))) == {
        "accuracy-device-and-host.svg",
        *(
            f"accuracy-confusion-{m}-{p}.svg"
            for m in ("teacher", "student")
            for p in ("float32", "int8")
        ),
        "time-instructions-per-inference.svg",
        "summary-accuracy-against-instructions.svg",
        "summary-accuracy-against-ram.svg",
        "summary-accuracy-against-flash.svg",
        "memory-ram.svg",
        "memory-flash.svg",
    }


def test_the_hosts_time_has_a_file(tmp_path: Path) -> None:
    emulated = set(drawn(reports.hosted(tmp_path / "emulated", 60)))
    assert {
        "host-accuracy-against-time-on-the-host.svg",
        "summary-accuracy-against-instructions.svg",
    } <= emulated
    assert "host-accuracy-against-instructions.svg" not in emulated
    real = set(drawn(reports.on_board(tmp_path / "real", 60)))
    assert "summary-accuracy-against-time.svg" in real
    assert "summary-accuracy-against-latency.svg" not in real


def test_instructions_and_time_have_separate_files(tmp_path: Path) -> None:
    found = drawn(reports.hostile(tmp_path / "run"))
    assert {"time-instructions-per-inference.svg", "time-latency-per-inference.svg"} <= set(found)
    for name, root in found.items():
        words = " ".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))
        assert not ("instructions" in words and "µs" in words), name


@pytest.mark.parametrize(
    "make", [reports.hosted, reports.on_board, reports.hostile, reports.interrupted]
)
def test_each_is_self_contained(tmp_path: Path, make: object) -> None:
    assert callable(make)
    for root in drawn(make(tmp_path / "run")).values():
        assert root.tag == f"{SVG}svg"
        assert root.attrib["font-family"] == "sans-serif"
        paper = root.find(f"{SVG}rect")
        assert paper is not None
        assert (paper.attrib["fill"], paper.attrib["width"]) == ("#ffffff", root.attrib["width"])
        for element in root.iter():
            assert element.tag.removeprefix(SVG) in ALLOWED
            assert not {name for name in element.attrib if re.match("on|style|class|.*href", name)}


def test_bars_are_to_scale(tmp_path: Path) -> None:
    folder = reports.full(tmp_path / "run", 60)
    root = drawn(folder)["time-instructions-per-inference.svg"]
    widths = [
        float(bar.attrib["width"].rstrip("%"))
        for bar in root.iter(f"{SVG}rect")
        if bar.attrib["width"].endswith("%")
    ]
    run = load_run(folder)
    found = [c.time.point for c in cells(run.manifest, run.samples) if c.time]
    wanted = [widths[0] * value / found[0] for value in found]
    assert widths == pytest.approx(wanted, abs=0.02)


def test_hostile_names_stay_in_the_folder(tmp_path: Path) -> None:
    plan = reports.plan("../../evil <x>", board="../up")
    folder = reports.write(
        tmp_path / "run", reports.manifest(plan, n=30), reports.samples(plan, 30)
    )
    for name in drawn(folder):
        assert re.fullmatch(r"[a-z0-9-]+\.svg", name)
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_figures_of_an_earlier_report_are_removed(tmp_path: Path) -> None:
    folder = reports.full(tmp_path / "run", 30)
    (folder / "figures").mkdir()
    (folder / "figures" / "old.svg").write_text("<svg/>")
    assert "old.svg" not in drawn(folder)


@pytest.mark.thorough
@needs_chromium
def test_a_browser_shows_them_without_overflow(browser: Browser, tmp_path: Path) -> None:
    folder = reports.hostile(tmp_path / "run")
    for name in drawn(folder):
        with shown(browser, folder / "figures" / name) as seen:
            outside = seen.page.evaluate(
                """() => { const room = document.documentElement.getBoundingClientRect();
                return Array.from(document.querySelectorAll("text, rect, circle"))
                  .filter((e) => { const b = e.getBoundingClientRect();
                    return b.right > room.right + 1 || b.bottom > room.bottom + 1 || b.left < -1; })
                  .map((e) => e.outerHTML); }"""
            )
        assert outside == [], name
        assert (seen.complaints, seen.requests, seen.dialogs) == ([], [], [])
