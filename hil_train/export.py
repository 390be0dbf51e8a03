# SPDX-License-Identifier: Apache-2.0
"""Convert ``.keras`` files to ``.tflite``: float32 and full int8, with a static batch of one."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hil.core import files
from hil.core.errors import ModelError, UsageError
from hil.core.records import EXPORTED, Dataset, Precision
from hil.datasets import subset
from hil_train.backend import known_warnings, quiet, require
from hil_train.batches import as_input

CALIBRATION: Final = 500  # samples


@known_warnings()
def export(
    keras_file: Path,
    dataset: Dataset,
    out: Path,
    *,
    calibration: int = CALIBRATION,
    precisions: Sequence[Precision] = EXPORTED,
) -> dict[Precision, Path]:
    """Convert a trained network.

    Args:
        keras_file: a network with one input and one output; its name gives the outputs' names.
        dataset: training data, to calibrate the int8 ranges; uint8 pixels are scaled by 1/255.
        out: folder for ``<name>_float32.tflite`` and ``<name>_int8.tflite``.
        calibration: how many samples of ``dataset`` to use.
        precisions: which of the two files to write.

    Returns:
        The path of each precision's file. int8 models have int8 input and output.

    Raises:
        ToolMissing: TensorFlow is not installed.
        ModelError: the file is not a Keras model, or not one that can be converted.
        UsageError: the data set does not fit the network.
        StorageError: ``out`` cannot be written.
    """
    network = load_network(keras_file)
    samples = as_input(subset(dataset, calibration).x)
    if dataset.x.dtype == np.int8:
        raise UsageError(
            f"{dataset.name} holds int8 samples, which do not show the real range",
            "give the network's real inputs, as uint8 pixels or float32",
        )
    shape = tuple(network.input_shape[1:])
    if samples.shape[1:] != shape:
        raise UsageError(
            f"{keras_file.name} takes inputs of shape {shape}, {dataset.name} has "
            f"{samples.shape[1:]}",
            "use the data set that it was trained on",
        )
    contents = convert(network, samples)
    paths = {p: out / f"{keras_file.stem}_{p.value}.tflite" for p in precisions}
    for precision, path in paths.items():
        files.replace_file(path, contents[precision])
    return paths


def load_network(keras_file: Path) -> Any:
    """A Keras network with one input and one output, of known shapes.

    Raises:
        ToolMissing, ModelError
    """
    keras, _ = require()
    if not keras_file.is_file():
        raise ModelError(f"there is no file {keras_file}", "train it with: hil train")
    try:
        # safe_mode refuses a file that carries code
        network = keras.saving.load_model(keras_file, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises errors of many types
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        what = f"{keras_file} is not a Keras model that can be loaded ({reason})"
        raise ModelError(what, "save it again with model.save('name.keras')") from error
    one_each = len(network.inputs or ()) == 1 and len(network.outputs or ()) == 1
    if not one_each or None in network.input_shape[1:]:
        what = f"{keras_file} does not have exactly one input and one output of fixed shape"
        raise ModelError(what, "only such networks can run on a board")
    return network


def convert(network: Any, samples: npt.NDArray[np.float32]) -> dict[Precision, bytes]:
    """The contents of a network's TFLite files.

    Args:
        network: one input, one output.
        samples: (n, ...) real inputs, to calibrate with.

    Raises:
        ModelError: TensorFlow cannot convert it with int8 operators only.
    """
    keras, tf = require()
    # rebuilt for a batch of one: an open batch turns Flatten into SHAPE, STRIDED_SLICE and PACK
    shape = (1, *network.input_shape[1:])
    static = keras.models.clone_model(network, input_tensors=keras.Input(batch_shape=shape))
    static.set_weights(network.get_weights())
    try:
        with tempfile.TemporaryDirectory() as saved, quiet():
            archive = keras.export.ExportArchive()
            archive.track(static)
            archive.add_endpoint(
                "serve",
                lambda x: static(x, training=False),
                input_signature=[tf.TensorSpec(shape, tf.float32, name="input")],
            )
            archive.write_out(saved, verbose=False)
            plain = tf.lite.TFLiteConverter.from_saved_model(saved)
            full = tf.lite.TFLiteConverter.from_saved_model(saved)
            full.optimizations = [tf.lite.Optimize.DEFAULT]
            full.representative_dataset = lambda: ([row[None]] for row in samples)
            full.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            full.inference_input_type = full.inference_output_type = tf.int8
            return {Precision.FLOAT32: plain.convert(), Precision.INT8: full.convert()}
    except Exception as error:  # ConverterError, RuntimeError, ValueError, ...
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        what = f"{network.name} cannot be converted to TFLite ({reason})"
        raise ModelError(what, "use operators that TFLite has in int8") from error
