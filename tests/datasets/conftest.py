# SPDX-License-Identifier: Apache-2.0
"""An empty cache and a mirror on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.datasets import mnist
from tests.support import idx_files
from tests.support.mirrors import refused_url, serving


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no mirrors; the expected MNIST files have 30 digits."""
    idx_files.install(monkeypatch)
    folder = tmp_path / "cache"
    monkeypatch.setattr(mnist, "cache_dir", lambda: folder)
    return folder


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the URL that serves it."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    with serving(folder) as url:
        yield folder, url


@pytest.fixture
def refused() -> str:
    """A URL that refuses connections."""
    return refused_url()
