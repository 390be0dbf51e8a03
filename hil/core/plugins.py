# SPDX-License-Identifier: Apache-2.0
"""What other distributions add to `hil` by entry points: commands, converters of models, data sets.

`hil` itself never imports TensorFlow or Optuna. The package tinyml-hil-train, which does, registers
what needs them, and a plain installation says how to install it.
"""

from __future__ import annotations

from typing import Any, Final

from hil.core.errors import ToolMissing

COMMANDS: Final = "hil.commands"  # group of functions or Typer apps
EXPORTERS: Final = "hil.exporters"  # group of functions that convert a model (`hil.bench.convert`)
DATASETS: Final = "hil.datasets"  # group of functions that load a data set, by its name and split
INSTALL: Final = (
    "pip install tinyml-hil-train (in a checkout: pip install -e '.[train,sweep]' -e ./hil_train)"
)


def plugin(group: str, name: str, purpose: str) -> Any:
    """The object that an installed distribution registers as ``name`` in entry point ``group``.

    Args:
        group: `COMMANDS`, `EXPORTERS` or `DATASETS`.
        name: the name of the command, of the kind of file, or of the collection of data sets.
        purpose: what the user asked for, for the error message.

    Raises:
        ToolMissing: no installed distribution registers it.
    """
    from importlib.metadata import entry_points  # `hil --help` does not need it

    for entry in entry_points(group=group, name=name):
        return entry.load()
    raise ToolMissing(
        f"{purpose} needs the package tinyml-hil-train, which is not installed", INSTALL
    )
