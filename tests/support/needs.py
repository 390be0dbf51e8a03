# SPDX-License-Identifier: Apache-2.0
"""Tests that need more than Python: skipped where it is missing, but never on CI."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest


def skip_without(missing: Iterable[str]) -> pytest.MarkDecorator:
    """A mark that skips the test if ``missing`` is not empty; on CI, which installs everything, the
    test runs and fails instead."""
    lacking = ", ".join(missing)
    on_ci = os.environ.get("CI") == "true"
    return pytest.mark.skipif(bool(lacking) and not on_ci, reason=f"not installed: {lacking}")


def needs(missing: Iterable[str]) -> None:
    """Skip the calling test if ``missing`` is not empty; on CI, which installs everything, fail."""
    lacking = ", ".join(missing)
    if lacking and os.environ.get("CI") == "true":
        pytest.fail(f"not installed, on CI: {lacking}")
    if lacking:
        pytest.skip(f"not installed: {lacking}")
