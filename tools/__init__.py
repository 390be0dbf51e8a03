# SPDX-License-Identifier: Apache-2.0
"""Checks of this repository's own files, run by pre-commit: ``python -m tools.words``."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[1]


def tracked() -> list[str]:
    """Every file that git tracks, relative to the project. Some may be deleted from the disk."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name]
