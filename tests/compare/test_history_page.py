# SPDX-License-Identifier: Apache-2.0
"""The history's page in a real browser: it passes the checks of a report's page."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from hil.compare.history import page, read_history
from tests.compare.test_history import store
from tests.support.browser import browser as browser
from tests.support.browser import needs_chromium, serious, shown
from tests.support.compared import run, with_memory

pytest.importorskip("playwright", reason="not installed: playwright (pip install -e '.[dev]')")

pytestmark = [needs_chromium, pytest.mark.thorough]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    for day, arena in enumerate((2_544, 2_544, 3_000, 3_000, 2_544), 1):
        store(folder, f"run-{day}", with_memory(run(), arena=arena), day)
    file = folder / "history.html"
    file.write_text(page(read_history(folder)), encoding="utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_anybody_can_read_it(
    browser: Browser, history: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    with shown(browser, history, width=width, scheme=scheme) as seen:
        assert serious(seen.page) == []
        assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    assert (seen.complaints, seen.requests, seen.dialogs) == ([], [], [])
