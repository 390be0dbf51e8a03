# SPDX-License-Identifier: Apache-2.0
"""What a Keras file contains, read before Keras loads it: Python code, or layers of the user's own.

A .keras file is a ZIP archive with the layers in ``config.json``; an .h5 file has them in the
attribute ``model_config``. Neither is trusted: nothing in it is run, and a file that cannot be read
is left to Keras, which says what is wrong with it.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hil.core.errors import ModelError

_LONGEST: Final = 64 << 20  # bytes of a configuration
_UNREADABLE: Final = (OSError, KeyError, ValueError, TypeError, RuntimeError, RecursionError)
_CODE: Final = ("Lambda", "__lambda__")  # classes that carry Python code
_HINT: Final = "or save it with model.export('FOLDER'), and pass that folder"


def check_no_code(file: Path) -> None:
    """ModelError for a file with Python code, or with layers that Keras does not have.

    Keras refuses both, too (``safe_mode``), but only once it has read half of the file, and its
    message does not name the layer.
    """
    for one in objects([_of_archive(file), _of_hdf5(file)]):  # a file can be both
        kind, module = str(one.get("class_name")), str(one.get("module") or "")
        if kind in _CODE:
            raise ModelError(
                f"{file} contains Python code (a Lambda layer), which is not run",
                f"use a layer of Keras instead, {_HINT}",
            )
        # Keras registers its own classes under no name; models are registered, in module keras
        if one.get("registered_name") and module.partition(".")[0] != "keras":
            raise ModelError(
                f"{file} contains {kind}, which is not a class of Keras",
                f"use a layer of Keras instead, {_HINT}",
            )


def _of_archive(file: Path) -> Any:
    """The configuration in a .keras file; None if there is none that can be read."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open("config.json") as stream:
            return json.loads(stream.read(_LONGEST))
    except (*_UNREADABLE, zipfile.BadZipFile, zlib.error, EOFError):
        return None


def _of_hdf5(file: Path) -> Any:
    """The same for an .h5 file."""
    import h5py

    try:
        with h5py.File(file, "r") as stored:
            return json.loads(stored.attrs["model_config"])
    except _UNREADABLE:
        return None


def objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every object in a configuration, without recursion: its depth is the file's choice."""
    waiting = [config]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
