# SPDX-License-Identifier: Apache-2.0
"""hil/report/page.py in a real browser: no error, no request, readable at any width, accessible."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from hil import report
from hil.report.document import SECTIONS
from hil.runs.cells import Cell, cells
from hil.runs.load import load_run
from tests.support import reports
from tests.support.browser import Seen, needs_chromium, serious, shown
from tests.support.browser import browser as browser
from tests.support.runs import known

pytest.importorskip("playwright", reason="not installed: playwright (pip install -e '.[dev]')")

pytestmark = [needs_chromium, pytest.mark.thorough]

Scheme = Literal["dark", "light"]
SCHEMES: tuple[Scheme, Scheme] = ("light", "dark")
WIDTHS = (360, 800, 1400)
# what is outside the window and cannot be scrolled to
OVERFLOWS = """() => [document.documentElement.scrollWidth - innerWidth, ...Array.from(
  document.querySelectorAll("body *")).filter((e) => e.checkVisibility()
    && e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, nav"))
  .map((e) => e.outerHTML.slice(0, 200))]"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def full(folder: Path) -> Path:
    return report.write(reports.hosted(folder / "full", 200)).html


@pytest.fixture(scope="module")
def hostile(folder: Path) -> Path:
    return report.write(reports.hostile(folder / "hostile")).html


@pytest.fixture(scope="module")
def interrupted(folder: Path) -> Path:
    return report.write(reports.interrupted(folder / "interrupted", 60)).html


def quiet(seen: Seen) -> None:
    assert seen.complaints == []
    assert seen.requests == []
    assert seen.dialogs == []


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        *(("full", width, scheme) for width in WIDTHS for scheme in SCHEMES),
        ("hostile", 360, "dark"),
        ("interrupted", 360, "light"),
    ],
)
def test_no_error_no_request_and_no_overflow(
    browser: Browser, request: pytest.FixtureRequest, name: str, width: int, scheme: Scheme
) -> None:
    page_file: Path = request.getfixturevalue(name)
    with shown(browser, page_file, width=width, scheme=scheme) as seen:
        assert seen.page.evaluate(OVERFLOWS) == [0]
        assert seen.page.locator("main").is_visible()
        paper = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 28)")
    quiet(seen)


@pytest.mark.parametrize(
    "body",
    [
        '<img src="http://example.org/a.png" alt="">',
        '<link rel="stylesheet" href="https://example.org/a.css">',
        "<script>console.error('bad')</script>",
        "<script>throw new Error('bad')</script>",
        "<script>alert(1)</script>",
        '<div onclick="">' + "<script>fetch('https://example.org/').catch(() => 0)</script>",
    ],
)
def test_the_checks_find_errors_requests_and_dialogs(
    browser: Browser, tmp_path: Path, body: str
) -> None:
    file = tmp_path / "bad.html"
    file.write_text(f"<!DOCTYPE html><title>x</title>{body}")
    with shown(browser, file) as seen:
        seen.page.wait_for_load_state("networkidle")
    with pytest.raises(AssertionError):
        quiet(seen)


def test_the_policy_blocks_any_other_script_and_request(
    browser: Browser, full: Path, tmp_path: Path
) -> None:
    """Even a string that was not escaped could do nothing."""
    text = full.read_text(encoding="utf-8")
    evil = '<script>alert(1)</script><img src="https://example.org/x.png" onerror="alert(2)">'
    file = tmp_path / "evil.html"
    file.write_text(text.replace("<main>", f"<main>{evil}"), encoding="utf-8")
    with shown(browser, file) as seen:
        seen.page.wait_for_load_state("networkidle")
    assert seen.dialogs == []
    assert seen.requests == seen.refused == ["https://example.org/x.png"]
    said = "\n".join(seen.complaints)
    for rule in ("script-src 'sha256-", "img-src data:"):
        assert rule in said


def test_without_scripts_everything_is_visible(browser: Browser, full: Path) -> None:
    with shown(browser, full, script=False) as seen:
        page = seen.page
        assert page.locator(".filter:visible, .more:visible, th button").count() == 0
        cards = page.locator(".card").count()
        assert cards > 3
        assert page.locator(".card:visible").count() == cards
        sections = page.locator("section").count()
        # one board, no targets, good data, no cycles, no energy, no network of MLPerf Tiny
        assert sections == len(SECTIONS) - 6
        assert page.locator("section:visible").count() == sections
    quiet(seen)


def column(page: Page, title: str, index: int) -> list[str]:
    rows = page.get_by_role("region", name=title, exact=True).locator("tbody tr")
    cell = f"xpath=(./th|./td)[{index + 1}]"
    return [rows.nth(i).locator(cell).inner_text() for i in range(rows.count())]


def test_a_click_on_a_column_sorts_the_table(browser: Browser, full: Path) -> None:
    with shown(browser, full) as seen:
        page = seen.page
        region = page.get_by_role("region", name="Results", exact=True)
        arena = region.get_by_role("columnheader", name="Arena")
        before = column(page, "Results", 6)
        wanted = sorted(before, key=lambda text: int(text.split()[0].replace(",", "")))
        assert before != wanted
        for order, direction in ((wanted, "ascending"), (wanted[::-1], "descending")):
            arena.get_by_role("button").click()
            assert column(page, "Results", 6) == order
            assert arena.get_attribute("aria-sort") == direction
        run = region.get_by_role("columnheader", name="Run")
        run.get_by_role("button").focus()
        page.keyboard.press("Enter")
        assert column(page, "Results", 0) == sorted(column(page, "Results", 0))
        assert arena.get_attribute("aria-sort") is None
    quiet(seen)


def test_unknown_values_come_last_in_either_direction(browser: Browser, folder: Path) -> None:
    plans = [reports.plan("teacher"), reports.plan("student"), reports.plan("student", "float32")]
    stored = [s for p in plans[:2] for s in reports.samples(p, 40)]
    of = reports.manifest(*plans, n=40, state="interrupted", ends=(reports.end(plans[0], 40),))
    file = report.write(reports.write(folder / "unknown", of, stored)).html
    with shown(browser, file) as seen:
        arena = seen.page.get_by_role("region", name="Results", exact=True).get_by_role(
            "columnheader", name="Arena"
        )
        for _ in range(2):
            arena.get_by_role("button").click()
            assert column(seen.page, "Results", 6)[0] == "7,936 B"


def at(cell: Cell, key: str) -> int:
    return cell.ids.index(key)


def test_samples_are_filtered(browser: Browser, full: Path) -> None:
    run = load_run(full.parent)
    found = cells(run.manifest, run.samples)
    teacher, student = found[1], found[3]  # int8, as in the manifest's order
    both = zip(teacher.ids, known(teacher.right), known(student.right), strict=True)
    assert (teacher.name, student.name) == ("teacher int8", "student int8")
    lost = {key for key, one, other in both if one and not other}
    wrong = {
        k
        for cell in found
        for k, right in zip(cell.ids, known(cell.right), strict=True)
        if not right
    }
    # if device and host differ too, the sample is of another kind
    unlike = {
        k for c in found for k in c.ids if c.answers[at(c, k)] != known(c.host_answers)[at(c, k)]
    }
    assert lost - unlike
    with shown(browser, full) as seen:
        page = seen.page

        def ids() -> set[str]:
            return set(page.locator(".card:visible .id").all_inner_texts())

        def choose(name: str, option: str) -> None:
            page.locator(f"select[name={name}]").select_option(label=option)

        total = page.locator(".card").count()
        page.locator("input[name=wrong]").check()
        assert ids() == wrong
        choose("run", "student int8")
        assert ids() == {k for k, r in zip(student.ids, known(student.right), strict=True) if not r}
        choose("kind", "the teacher is right and the student wrong")
        shown_ids = ids()
        assert shown_ids == lost - unlike
        label = int(known(student.labels)[at(student, next(iter(shown_ids)))])
        choose("label", str(label))
        assert {int(known(student.labels)[at(student, key)]) for key in ids()} == {label}
        choose("answer", str(label))  # wrong answers are never the label
        assert ids() == set()
        assert page.locator(".filter output").inner_text() == "0 of 0 shown"
        page.reload()
        assert page.locator(".card:visible").count() == min(total, 60)
    quiet(seen)


def test_of_many_samples_only_the_first_are_shown_at_first(browser: Browser, folder: Path) -> None:
    plan = reports.plan("student", "int8")
    stored = reports.samples(plan, 4000)
    wrong = [s for s in stored if max(range(10), key=lambda k: _signed(s.device[k])) != s.label]
    of = reports.manifest(plan, n=4000)
    file = report.write(
        reports.write(folder / "many", of, stored, reports.pictures(wrong[:100]))
    ).html
    with shown(browser, file) as seen:
        assert seen.page.locator(".card:visible").count() == 60
        seen.page.get_by_role("button", name="Show all 100").click()
        assert seen.page.locator(".card:visible").count() == 100
        assert not seen.page.locator(".more").is_visible()
    quiet(seen)


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


@pytest.mark.parametrize("script", [True, False])
def test_printing_opens_everything(browser: Browser, full: Path, script: bool) -> None:
    with shown(browser, full, script=script) as seen:
        page = seen.page
        folded = page.locator("details:not([open]) .facts")
        assert folded.count() == 4
        page.emulate_media(media="print")
        assert not page.locator("nav").is_visible()
        assert not page.locator(".filter").is_visible()
        for i in range(folded.count()):  # what is collapsed on the screen is open on paper
            box = folded.nth(i).bounding_box()
            assert box is not None
            assert box["height"] > 100
        # an A4 sheet between its margins, without scrolling
        page.set_viewport_size({"width": 718, "height": 1000})
        assert page.evaluate(OVERFLOWS.replace(".scroll, nav", "nav")) == [0]
        paper = page.pdf()
        assert paper.startswith(b"%PDF-")
        assert paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page ") >= 2
    quiet(seen)


def test_hostile_strings_are_text(browser: Browser, hostile: Path) -> None:
    with shown(browser, hostile) as seen:
        page = seen.page
        assert page.locator("script").count() == 1
        assert page.get_by_text("<script>alert(1)</script>|`x`[31m[a](http://evil)").count() > 3
        assert page.locator("main a").count() == 0
    quiet(seen)


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        *(("full", width, scheme) for width in (360, 1400) for scheme in SCHEMES),
        ("hostile", 360, "dark"),
        ("interrupted", 1400, "light"),
    ],
)
def test_axe_finds_no_serious_fault(
    browser: Browser, request: pytest.FixtureRequest, name: str, width: int, scheme: Scheme
) -> None:
    page_file: Path = request.getfixturevalue(name)
    with shown(browser, page_file, width=width, scheme=scheme) as seen:
        assert serious(seen.page) == []


def test_axe_finds_faults_that_were_made(browser: Browser, full: Path) -> None:
    spoil = """() => {
      document.documentElement.removeAttribute("lang");
      document.querySelector(".card img").removeAttribute("alt");
      document.querySelector("figcaption").style.color = "#ddd";
    }"""
    with shown(browser, full) as seen:
        seen.page.evaluate(spoil)
        ids = {line.split(":")[0] for line in serious(seen.page)}
    assert ids == {"html-has-lang", "image-alt", "color-contrast"}
