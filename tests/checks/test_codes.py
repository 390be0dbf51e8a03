# SPDX-License-Identifier: Apache-2.0
"""The registry of codes and docs/checks.md."""

from __future__ import annotations

import re

from hil.checks import CODES, page_of
from tests.support.benches import PROJECT


def test_every_code_has_a_heading_that_its_page_names() -> None:
    for page in sorted({code.page for code in CODES.values()}):
        text = (PROJECT / page).read_text("utf-8")
        headings = re.findall(r"^### `?([a-z-]+)`?$", text, re.MULTILINE)
        assert headings == [code.name for code in CODES.values() if code.page == page]
    assert page_of("orientation") == "docs/checks.md#orientation"
    assert page_of("quant-layer") == "docs/quantcheck.md#quant-layer"


def test_names_are_anchors() -> None:
    assert all(re.fullmatch("[a-z-]+", name) and name == CODES[name].name for name in CODES)
