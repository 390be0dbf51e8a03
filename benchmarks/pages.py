# SPDX-License-Identifier: Apache-2.0
"""Measures size and opening time of a run's report.html in Debian's Chromium. Prints Markdown.

    hil bench --board native --limit 10000 --out run     # or any other stored run
    python benchmarks/pages.py run [--repeats 9] [--shots FOLDER]

Opening time: from the request for the file to its load event and the first frame after it, in a
new window each time, with the browser already running. It is measured by the page's own clock, so
it does not include this script. Exit code 1 if a report of 10,000 digits or fewer exceeds its
limits.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

from hil.report import write

MOST_BYTES, MOST_SECONDS = 1_500_000, 1.5
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
OPENED = """() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => {
  const [page] = performance.getEntriesByType("navigation");
  done([page.loadEventEnd, performance.now()]);
})))"""


def opening(file: Path, repeats: int) -> tuple[str, list[float]]:
    """The browser's version, and the seconds until each page was drawn."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
        times = []
        for _ in range(repeats):
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.goto(file.resolve().as_uri(), wait_until="load")
            loaded, drawn = page.evaluate(OPENED)
            assert 0 < loaded <= drawn
            times.append(drawn / 1000)
            page.close()
        version = browser.version
        browser.close()
    return version, times


def shots(file: Path, folder: Path) -> None:
    """The whole page at three widths, light and dark, and its top for README."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
        for scheme in SCHEMES:
            for width in (360, 800, 1400):
                page = browser.new_page(
                    viewport={"width": width, "height": 900}, color_scheme=scheme
                )
                page.goto(file.resolve().as_uri())
                page.screenshot(path=folder / f"{scheme}-{width}.png", full_page=True)
                page.close()
        page = browser.new_page(viewport={"width": 1240, "height": 1640})
        page.goto(file.resolve().as_uri())
        page.screenshot(path=folder / "readme.png")
        browser.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--shots", type=Path, help="write screenshots into this folder")
    asked = parser.parse_args()
    written = write(asked.run)
    if asked.shots:
        shots(written.html, asked.shots)
    size = written.html.stat().st_size
    text = written.markdown.stat().st_size
    version, times = opening(written.html, asked.repeats)
    digits = written.manifest.dataset.n
    median, worst = statistics.median(times), max(times)
    print("| Digits | Runs | report.html | report.md | opens in (median) | slowest of | Chromium |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {digits:,} | {len(written.manifest.runs)} | {size:,} B | {text:,} B | {median:.2f} s "
        f"| {worst:.2f} s of {len(times)} | {version} |"
    )
    return int(digits <= 10_000 and (size > MOST_BYTES or median > MOST_SECONDS))


if __name__ == "__main__":
    sys.exit(main())
