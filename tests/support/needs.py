# SPDX-License-Identifier: Apache-2.0
"""Tests that want more than Python: skipped where it is missing, but never on CI."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest


def skip_without(missing: Iterable[str]) -> pytest.MarkDecorator:
    """A mark that skips where ``missing`` names anything; on CI, which installs it all, the
    test runs and fails instead."""
    lacking = ", ".join(missing)
    on_ci = os.environ.get("CI") == "true"
    return pytest.mark.skipif(bool(lacking) and not on_ci, reason=f"not installed: {lacking}")
