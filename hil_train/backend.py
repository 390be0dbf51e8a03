# SPDX-License-Identifier: Apache-2.0
"""Optional packages: whether they are installed; TensorFlow and Keras, imported without noise."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from hil.core.errors import ToolMissing

_EXTRAS: Final = {
    "train": ("keras", "tensorflow", "matplotlib"),
    "sweep": ("optuna", "sqlalchemy"),
}


class Backend(NamedTuple):
    """The two modules; they have no type annotations."""

    keras: Any
    tf: Any


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide what TensorFlow's C++ code writes to standard error, unless the block fails.

    No setting silences its start-up lines or the converter's, which would break progress bars.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        saved = os.dup(2)
        try:
            os.dup2(kept.fileno(), 2)
            yield
        except BaseException:
            kept.seek(0)
            os.write(saved, kept.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


@contextlib.contextmanager
def known_warnings() -> Iterator[None]:
    """Ignore the warnings that TensorFlow 2.21 and Keras 3.15 raise about each other."""
    with warnings.catch_warnings():
        # Keras converts variables to arrays in a way that NumPy 2 deprecates
        warnings.filterwarnings("ignore", "__array__ implementation doesn't", DeprecationWarning)
        # the int8 ranges do come from samples; the converter also asks for an older setting
        warnings.filterwarnings("ignore", "Statistics for quantized inputs", UserWarning)
        yield


@functools.cache
def require() -> Backend:
    """TensorFlow and Keras, with deterministic operators.

    Raises:
        ToolMissing: they are not installed, or Keras already runs on another backend.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        with quiet():
            import keras
            import tensorflow as tf
    except ImportError as error:
        what = f"TensorFlow and Keras are not installed ({error})"
        raise ToolMissing(what, _install("train")) from error
    if keras.backend.backend() != "tensorflow":
        what = f"Keras runs on {keras.backend.backend()}, but export needs TensorFlow"
        raise ToolMissing(what, "set KERAS_BACKEND=tensorflow")
    tf.get_logger().setLevel("ERROR")  # hints about retracing, which does not matter here
    tf.config.experimental.enable_op_determinism()
    return Backend(keras, tf)


def one_thread() -> None:
    """Use one thread in TensorFlow: as many processes as cores saturate them, and what a process
    computes does not depend on their number."""
    threading = require().tf.config.threading
    threading.set_intra_op_parallelism_threads(1)
    threading.set_inter_op_parallelism_threads(1)


def require_installed(*extras: str) -> None:
    """Raise ToolMissing unless all packages of these extras are installed, without importing them:
    the commands call it before they import what needs them."""
    names = [name for extra in extras for name in _EXTRAS[extra]]
    if missing := [name for name in names if importlib.util.find_spec(name) is None]:
        raise ToolMissing(f"not installed: {', '.join(missing)}", _install(*extras))


def _install(*extras: str) -> str:
    return f"in a checkout, run: pip install -e '.[{','.join(extras)}]' -e ./hil_train"
