# SPDX-License-Identifier: Apache-2.0
"""TensorFlow and Keras, imported when they are first needed and quietly."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from hil.core.errors import ToolMissing


class Backend(NamedTuple):
    """The two modules; they carry no types."""

    keras: Any
    tf: Any


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what TensorFlow's C++ writes past Python from standard error, unless it fails.

    No setting silences the start-up lines or the converter's; they would tear progress bars.
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
    """Let pass what TensorFlow 2.21 and Keras 3.15 warn of in each other; nothing else."""
    with warnings.catch_warnings():
        # Keras turns variables into arrays in a way that NumPy 2 wants spelt differently
        warnings.filterwarnings("ignore", "__array__ implementation doesn't", DeprecationWarning)
        # the int8 ranges do come from samples; the converter asks for an older kind as well
        warnings.filterwarnings("ignore", "Statistics for quantized inputs", UserWarning)
        yield


@functools.cache
def require() -> Backend:
    """TensorFlow and Keras, deterministic from here on.

    Raises:
        ToolMissing: they are not installed, or Keras already runs on something else.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    install = "install them with: pip install -e '.[train]' in the checkout"
    try:
        with quiet():
            import keras
            import tensorflow as tf
    except ImportError as error:
        raise ToolMissing(f"TensorFlow and Keras are not installed ({error})", install) from error
    if keras.backend.backend() != "tensorflow":
        what = f"Keras runs on {keras.backend.backend()}, and export needs TensorFlow"
        raise ToolMissing(what, "set KERAS_BACKEND=tensorflow")
    if not hasattr(keras, "distillation"):
        raise ToolMissing(f"Keras {keras.__version__} has no distillation", install)
    tf.get_logger().setLevel("ERROR")  # it advises on retracing, which small nets do not mind
    tf.config.experimental.enable_op_determinism()
    return Backend(keras, tf)


INSTALL_OPTUNA = "install it with: pip install -e '.[train,sweep]' in the checkout"


@dataclass(frozen=True, slots=True)
class Event:
    """One step of the pipeline.

    ``kind``: ``start`` of a stage, ``epoch`` done (counted from 1), ``kept`` because its
    result was there already, ``done``, or a ``warning``, whose words are in ``text``.
    ``metrics`` are Keras's names: accuracy, loss, val_accuracy, ...
    """

    stage: str
    kind: Literal["start", "epoch", "kept", "done", "warning"]
    epoch: int = 0
    epochs: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    text: str = ""


OnEvent: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The watcher that does not watch."""
    del event


def require_optuna() -> None:
    """Raise ToolMissing without Optuna."""
    if importlib.util.find_spec("optuna") is None:
        raise ToolMissing("Optuna is not installed", INSTALL_OPTUNA)
