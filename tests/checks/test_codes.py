# SPDX-License-Identifier: Apache-2.0
"""The registry of codes and docs/checks.md."""

from __future__ import annotations

import re

from hil.checks import CODES, page_of
from tests.support.benches import PROJECT


def test_every_code_has_a_heading_that_its_page_names() -> None:
    text = (PROJECT / "docs" / "checks.md").read_text("utf-8")
    assert re.findall(r"^### `?([a-z-]+)`?$", text, re.MULTILINE) == list(CODES)
    assert page_of("orientation") == "docs/checks.md#orientation"


def test_names_are_anchors() -> None:
    assert all(re.fullmatch("[a-z-]+", name) and name == CODES[name].name for name in CODES)
