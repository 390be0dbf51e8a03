# SPDX-License-Identifier: Apache-2.0
"""Hardware-in-the-loop benchmark for TinyML.

    run = hil.bench("my.tflite", (x, y), board="mps2")    a stored run, as `hil bench` makes it
    run = hil.load("results/example")
    hil.compare("results/base", run)
    hil.quantcheck("float32.tflite", "int8.tflite", (x, y))
    hil.conform(board="mps2", engine="tflm")              are the kernels of a board right?
    hil.boards()
    hil.datasets.load("mnist")
    hil.errors.HilError                                   what all of them raise

docs/python-api.md describes them. ``import hil`` is quick: what they need is imported when they are
used.
"""

from __future__ import annotations

import importlib
import sys
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hil import datasets as datasets
    from hil import errors as errors
    from hil.api.functions import bench as bench
    from hil.api.functions import boards as boards
    from hil.api.functions import compare as compare
    from hil.api.functions import conform as conform
    from hil.api.functions import quantcheck as quantcheck
    from hil.runs.notebook import Run as Run

__version__ = "0.1.0"
__all__ = [
    "Run",
    "bench",
    "boards",
    "compare",
    "conform",
    "datasets",
    "errors",
    "load",
    "quantcheck",
]

_FUNCTIONS = "hil.api.functions"
_CALLED = ("bench", "boards", "compare", "conform")  # functions that have the name of a package


class _Called(ModuleType):
    """The package `hil.bench`, `hil.boards`, `hil.compare` or `hil.conform`, which can be called.

    ``hil.bench(...)`` is `hil.api.functions.bench`; ``hil.bench.events`` is a module as before.
    """

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self._function(*given, **named)

    @property
    def _function(self) -> Any:
        return getattr(importlib.import_module(_FUNCTIONS), self.__name__.rpartition(".")[2])

    @property
    def __doc__(self) -> str:  # type: ignore[override]  # what a notebook shows of ``hil.bench?``
        return str(self._function.__doc__)

    @property
    def __signature__(self) -> Any:
        import inspect  # takes longer than the rest of ``import hil``

        return inspect.signature(self._function)


class _Hil(ModuleType):
    """This package. Python's import binds the packages in `_CALLED` here: they become callable."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CALLED and type(value) is ModuleType:
            value.__class__ = _Called
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Hil


def load(folder: str | PathLike[str]) -> Run:
    """A stored run: `hil.load("results/example")`. See `hil.runs.notebook.Run`.

    StorageError if the folder is missing, corrupt or of an unknown schema.
    """
    from hil.runs.notebook import read  # pandas and SciPy take a second to load

    return read(Path(folder))


def __getattr__(name: str) -> Any:
    """Import what is used for the first time."""
    if name in (*_CALLED, "datasets", "errors"):
        return importlib.import_module(f"hil.{name}")
    if name == "quantcheck":
        return importlib.import_module(_FUNCTIONS).quantcheck
    if name == "Run":
        return importlib.import_module("hil.runs.notebook").Run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
