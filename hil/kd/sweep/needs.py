"""Optuna and a database driver, or a word on how to get them."""

from __future__ import annotations

import importlib.util

from hil.errors import ToolMissing

INSTALL = "install it with: pip install -e '.[train,sweep]' in the checkout"


def require() -> None:
    """Raise ToolMissing without Optuna."""
    if importlib.util.find_spec("optuna") is None:
        raise ToolMissing("Optuna is not installed", INSTALL)
