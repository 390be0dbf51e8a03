"""A machine without MNIST: an empty cache, no mirrors, small files expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.datasets import mnist
from tests.datasets import fakes


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fakes.install(monkeypatch)
    folder = tmp_path / "cache"
    monkeypatch.setattr(mnist, "cache_dir", lambda: folder)
    return folder
