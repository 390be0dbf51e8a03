# SPDX-License-Identifier: Apache-2.0
"""A machine without MNIST: an empty cache, no mirrors, small files expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.datasets import mnist
from tests.support import idx_files


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    idx_files.install(monkeypatch)
    folder = tmp_path / "cache"
    monkeypatch.setattr(mnist, "cache_dir", lambda: folder)
    return folder
