# SPDX-License-Identifier: Apache-2.0
"""The documentation site is built without a warning, has every page, and loads nothing from other
servers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hil.cli.main import COMMANDS
from tests.tools.test_paths import DOCUMENTS
from tools.site import build, stage


def test_pages_link_to_the_repository_for_files_outside_of_docs(tmp_path: Path) -> None:
    stage(tmp_path)
    page = (tmp_path / "docs" / "compression.md").read_text()
    assert "](../" not in page
    assert "/blob/main/models/README.md)" in page


@pytest.mark.thorough
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    build(tmp_path / "site")
    pages = {str(file.relative_to(tmp_path / "site")) for file in tmp_path.rglob("*.html")}
    documents = {name.removeprefix("docs/") for name in DOCUMENTS if name.startswith("docs/")}
    expected = {re.sub(r"README\.md$", "index.md", name) for name in documents} | {"cli.md"}
    assert {name.replace(".md", ".html") for name in expected} <= pages
    commands = (tmp_path / "site" / "cli.html").read_text()
    for name, found in COMMANDS.items():
        assert found.hidden or f'id="hil-{name}"' in commands
    for page in (tmp_path / "site").rglob("*.html"):
        loads = re.findall(r"<(?:script|img|iframe)[^>]+src=\"?(https?:[^\" >]+)", page.read_text())
        loads += re.findall(r"<link[^>]+href=\"?(https?:[^\" >]+)[^>]+stylesheet", page.read_text())
        assert not loads, page
