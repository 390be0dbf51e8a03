# SPDX-License-Identifier: Apache-2.0
"""The command line: the only package that prints, draws progress bars and sets exit codes. Other
distributions add commands to it by entry points."""

from __future__ import annotations

from typing import Any

from hil.core.errors import ToolMissing


def plugin(group: str, name: str, purpose: str) -> Any:
    """The object that an installed distribution registers as ``name`` in entry point ``group``.

    Args:
        group: ``hil.commands`` (a function or a Typer app) or ``hil.exporters`` (a function that
            converts a model file to .tflite files).
        name: the name of the command or of the file type.
        purpose: what the user asked for, for the error message.

    Raises:
        ToolMissing: no installed distribution registers it.
    """
    from importlib.metadata import entry_points  # `hil --help` does not need it

    for entry in entry_points(group=group, name=name):
        return entry.load()
    raise ToolMissing(
        f"{purpose} needs the package tinyml-hil-train, which is not installed",
        "pip install tinyml-hil-train (in a checkout: pip install -e '.[train,sweep]' "
        "-e ./hil_train)",
    )
