# SPDX-License-Identifier: Apache-2.0
"""Hardware-in-the-loop benchmark for TinyML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.runs.notebook import Run


__version__ = "0.1.0"


def load(folder: str | Path) -> Run:
    """A stored run for a notebook: `hil.load("results/example")`. See `hil.runs.notebook.Run`.

    StorageError if the folder is missing, corrupt or of an unknown schema.
    """
    from hil.runs.notebook import read  # pandas and SciPy take a second to load

    return read(Path(folder))
