# SPDX-License-Identifier: Apache-2.0
"""A board that reports the name `<script>`: `hil bench` and its report show it as text."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil.bench import run
from hil.runs.load import read_manifest
from hil.testing import lab as fake_lab
from tests.support.browser import browser as browser
from tests.support.browser import needs_chromium, shown
from tests.support.command_line import hil

if TYPE_CHECKING:
    from playwright.sync_api import Browser


NAME = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> [red]\x1b[31m|`"
# as shown: reading HELLO replaces control characters
SHOWN = NAME.replace("\x1b", "\ufffd")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # wrong outputs make the bench ask for layers, so that the report shows them too
    lab = fake_lab.FakeLab(calls_itself=NAME, tamper=lambda output: output[::-1])
    monkeypatch.setattr(
        "hil.api.bench.run",
        lambda plan, folder, emit, *_, **kinds: run(plan, folder, emit, lab, **kinds),
    )
    out = tmp_path / "run"
    words = ["--board", "mps2", "--dataset", "digits", "--limit", "12", "--model", "student"]
    words += ["--host-samples", "0"]
    assert hil(monkeypatch, "bench", *words, "--out", out) == 1
    return out


def test_it_is_text_in_every_file_and_on_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown_there = capsys.readouterr()
    assert "\x1b" not in shown_there.out + shown_there.err
    assert SHOWN in [end.identity.board for end in read_manifest(folder).ends if end.identity]
    page, text = ((folder / name).read_text("utf-8") for name in ("report.html", "report.md"))
    for content in (page, text):
        assert "\x1b" not in content
        assert "<script>alert" not in content
        assert "<img src=x" not in content
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    for drawing in (folder / "figures").iterdir():
        ET.fromstring(drawing.read_text("utf-8"))
        assert "<script" not in drawing.read_text("utf-8")


@pytest.mark.thorough
@needs_chromium
def test_it_is_text_in_a_browser(folder: Path, browser: Browser) -> None:
    with shown(browser, folder / "report.html") as seen:
        page = seen.page
        page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
        assert page.get_by_text(SHOWN).first.is_visible()
        assert page.locator("main script, main img[src=x]").count() == 0
    assert (seen.dialogs, seen.complaints, seen.requests) == ([], [], [])
