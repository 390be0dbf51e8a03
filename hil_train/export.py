# SPDX-License-Identifier: Apache-2.0
"""Convert Keras files and SavedModel folders to ``.tflite``: float32, full int8 and int16, with a
static batch of one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core import files
from hil.core.errors import ModelError, UsageError
from hil.core.records import CALIBRATION, EXPORTED, Dataset, Precision
from hil.datasets import subset
from hil_train import saved_model
from hil_train.backend import known_warnings, quiet, require
from hil_train.batches import as_input
from hil_train.keras_files import check_no_code, objects

FLOAT_ONLY: Final = "--precision float32 needs no other; or use layers that TFLite has in integers"
Samples: TypeAlias = npt.NDArray[np.generic]


def export(
    source: Path,
    dataset: Dataset | None,
    out: Path,
    *,
    calibration: int = CALIBRATION,
    precisions: Sequence[Precision] = EXPORTED,
) -> dict[Precision, Path]:
    """Convert a trained network, in this process.

    Args:
        source: a .keras or .h5 file, or a SavedModel folder, with one input and one output.
        dataset: training data, to calibrate the ranges of integers; uint8 pixels are scaled by
            1/255, unless the network's input is uint8. None: for float32 alone.
        out: folder for ``<name>_float32.tflite``, ``<name>_int8.tflite``, ...
        calibration: how many samples of ``dataset`` to use.
        precisions: which files to write.

    Returns:
        The path of each precision's file. int8 models have int8 input and output, int16 models
        int16; an integer input, such as of an Embedding, keeps its type.

    Raises:
        ToolMissing: TensorFlow is not installed.
        ModelError: ``source`` cannot be loaded, contains code, or cannot be converted.
        UsageError: the data set does not fit the network.
        StorageError: ``out`` cannot be written.
    """
    samples = subset(dataset, calibration).x if dataset else None
    return export_samples(source, samples, dataset.name if dataset else "", out, precisions)


@known_warnings()
def export_samples(
    source: Path, samples: Samples | None, name: str, out: Path, precisions: Sequence[Precision]
) -> dict[Precision, Path]:
    """`export`, calibrated on all of ``samples`` (n, ...); ``name`` is their data set's."""
    if source.is_dir():
        loaded = saved_model.load(source)
        given = _fitting(source, loaded.shape, loaded.dtype, samples, name)
        contents = written(source.name, loaded.converter, given, precisions)
    else:
        network = load_network(source)
        shape, dtype = tuple(network.input_shape[1:]), str(network.inputs[0].dtype)
        given = _fitting(source, shape, dtype, samples, name)
        contents = convert(network, given, precisions)
    # a folder's name may contain dots, or be "."
    stem = source.resolve().name if source.is_dir() else source.stem
    paths = {p: out / f"{stem}_{p.value}.tflite" for p in precisions}
    for precision, path in paths.items():
        files.replace_file(path, contents[precision])
    return paths


def _fitting(
    source: Path, shape: tuple[int, ...], dtype: str, samples: Samples | None, name: str
) -> Samples | None:
    """Samples as values of the network's input; UsageError if they do not fit."""
    if samples is None:
        return None
    if samples.shape[1:] != shape:
        raise UsageError(
            f"{source.name} takes inputs of shape {shape}, {name} has {samples.shape[1:]}",
            "use the data set that it was trained on",
        )
    if str(samples.dtype) == dtype:
        return samples
    if dtype != "float32":
        raise UsageError(
            f"{source.name} takes {dtype} inputs, {name} has {samples.dtype}",
            f"save the samples as {dtype}",
        )
    if samples.dtype == np.int8:
        raise UsageError(
            f"{name} holds int8 samples, which do not show the real range",
            "give the network's real inputs, as uint8 pixels or float32",
        )
    return as_input(samples)


def load_network(keras_file: Path) -> Any:
    """A Keras network with one input and one output, of known shapes.

    Raises:
        ToolMissing, ModelError
    """
    if not keras_file.is_file():
        raise ModelError(f"there is no file {keras_file}", "train it with: hil train")
    keras, _ = require()  # takes seconds
    check_no_code(keras_file)
    try:
        # safe_mode, too, refuses a file that carries code
        network = keras.saving.load_model(keras_file, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises errors of many types
        what = f"{keras_file} is not a Keras model that can be loaded ({_first_line(error)})"
        raise ModelError(what, "save it again with model.save('name.keras')") from error
    one_each = len(network.inputs or ()) == 1 and len(network.outputs or ()) == 1
    if not one_each or None in network.input_shape[1:]:
        what = f"{keras_file} does not have exactly one input and one output of fixed shape"
        raise ModelError(what, "only such networks can run on a board")
    return network


def convert(
    network: Any, samples: Samples | None, precisions: Sequence[Precision] = EXPORTED
) -> dict[Precision, bytes]:
    """The contents of a Keras network's TFLite files.

    Args:
        network: one input, one output.
        samples: (n, ...) real inputs, to calibrate with; None: for float32 alone.
        precisions: which files.

    Raises:
        ModelError: TensorFlow cannot convert it with operators of a precision only.
    """
    keras, tf = require()
    # rebuilt for a batch of one: an open batch turns Flatten into SHAPE, STRIDED_SLICE and PACK
    shape, dtype = (1, *network.input_shape[1:]), network.inputs[0].dtype
    try:
        given = keras.Input(batch_shape=shape, dtype=dtype)
        static = keras.models.clone_model(network, input_tensors=given, clone_function=_unrolled)
        static.set_weights(network.get_weights())
        with tempfile.TemporaryDirectory() as saved, quiet():
            archive = keras.export.ExportArchive()
            archive.track(static)
            archive.add_endpoint(
                "serve",
                lambda x: static(x, training=False),
                input_signature=[tf.TensorSpec(shape, dtype, name="input")],
            )
            archive.write_out(saved, verbose=False)
            return written(
                network.name,
                lambda: tf.lite.TFLiteConverter.from_saved_model(saved),
                samples,
                precisions,
            )
    except ModelError:
        raise
    except Exception as error:
        raise _not_converted(network.name, precisions[0], error) from error


def _unrolled(layer: Any) -> Any:
    """A copy of a layer. A recurrent one gets its steps without a loop: TensorFlow's calibrator
    crashes at loops."""
    config = layer.get_config()
    for one in objects(config):  # Bidirectional holds others
        if "unroll" in one:
            one["unroll"] = True
    return layer.__class__.from_config(config)


def written(
    name: str,
    converter: Callable[[], Any],
    samples: Samples | None,
    precisions: Sequence[Precision],
) -> dict[Precision, bytes]:
    """The contents of the TFLite files that ``converter()``, a new ``TFLiteConverter``, writes."""
    _, tf = require()
    ops = {
        Precision.INT8: tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
        Precision.INT16: tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
    }
    types = {Precision.INT8: tf.int8, Precision.INT16: tf.int16}
    found = {}
    for precision in precisions:
        try:
            with quiet():
                one = converter()
                if precision in ops:
                    assert samples is not None, "integers need samples"
                    one.optimizations = [tf.lite.Optimize.DEFAULT]
                    one.representative_dataset = lambda: ([row[None]] for row in samples)
                    one.target_spec.supported_ops = [ops[precision]]
                    one.inference_output_type = types[precision]
                    if samples.dtype == np.float32:
                        one.inference_input_type = types[precision]
                found[precision] = one.convert()
        except Exception as error:  # ConverterError, RuntimeError, ValueError, ...
            raise _not_converted(name, precision, error) from error
    return found


def _not_converted(name: str, precision: Precision, error: Exception) -> ModelError:
    return ModelError(
        f"{name} cannot be converted to TFLite in {precision} ({_first_line(error)})",
        FLOAT_ONLY if precision.integer else "use layers whose operators TFLite has",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
