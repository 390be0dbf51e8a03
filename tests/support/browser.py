# SPDX-License-Identifier: Apache-2.0
"""Debian's Chromium, driven by Playwright, to test what a reader's browser does with a page."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from tests.support.needs import skip_without

if importlib.util.find_spec("playwright") and importlib.util.find_spec("axe_playwright_python"):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import Browser, Dialog, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
needs_chromium = skip_without(
    [
        *([] if CHROMIUM else ["chromium"]),
        *(
            name
            for name in ("playwright", "axe_playwright_python")
            if not importlib.util.find_spec(name)
        ),
    ]
)


@dataclass
class Seen:
    """A page, and everything that it did and a report must not do."""

    page: Page
    complaints: list[str] = field(default_factory=list)  # console messages except infos; errors
    requests: list[str] = field(default_factory=list)  # except for the file itself
    refused: list[str] = field(default_factory=list)  # those that the page's policy blocked
    dialogs: list[str] = field(default_factory=list)


@contextmanager
def chromium(environment: Mapping[str, str] | None = None) -> Iterator[Browser]:
    """A headless Chromium that resolves no host name, so that no test reaches a network.
    ``environment`` is added to this process's."""
    assert CHROMIUM, "needs_chromium is missing on this test"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--host-resolver-rules=MAP * ~NOTFOUND"],
            env={**os.environ, **(environment or {})},
        )
        yield browser
        browser.close()


@contextmanager
def shown(
    browser: Browser,
    file: Path,
    *,
    width: int = 1400,
    scheme: Literal["dark", "light"] = "light",
    script: bool = True,
) -> Iterator[Seen]:
    """``file`` loaded in a new window."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
    )
    page = context.new_page()
    seen = Seen(page)
    address = file.resolve().as_uri()
    page.on(
        "console",
        lambda said: seen.complaints.append(said.text) if said.type in BAD else None,
    )
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))

    def note(url: str) -> None:
        if url != address and not url.startswith("data:"):
            seen.requests.append(url)

    page.on("request", lambda request: note(request.url))
    page.on(
        "requestfailed",
        lambda request: seen.refused.append(request.url) if request.failure == "csp" else None,
    )

    def dismiss(dialog: Dialog) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.goto(address, wait_until="load")
    try:
        yield seen
    finally:
        context.close()


BAD = ("error", "warning", "assert")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium per test module."""
    with chromium() as found:
        yield found


def serious(page: Page) -> list[str]:
    """The serious and critical findings of axe-core."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html']} ({len(one['nodes'])})"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
