# SPDX-License-Identifier: Apache-2.0
"""``.keras`` to ``.tflite``: float32 and full int8, static batch of one."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hil.core import files
from hil.core.errors import ModelError, UsageError
from hil.core.records import Dataset, Precision
from hil.datasets import subset
from hil_train import provenance, training
from hil_train.backend import Event, OnEvent, known_warnings, quiet, require
from hil_train.batches import as_input
from hil_train.plan import Plan
from hil_train.provenance import Inputs, StageRecord
from hil_train.training import Split

CALIBRATION = 500  # samples


@known_warnings()
def export(
    keras_file: Path,
    dataset: Dataset,
    out: Path,
    *,
    calibration: int = CALIBRATION,
    precisions: Sequence[Precision] = tuple(Precision),
) -> dict[Precision, Path]:
    """Convert a trained network.

    Args:
        keras_file: one input, one output; its name gives the outputs' names.
        dataset: training data, to calibrate the int8 ranges; uint8 pixels are scaled by 1/255.
        out: folder for ``<name>_float32.tflite`` and ``<name>_int8.tflite``.
        calibration: how many samples of it to use.
        precisions: which of the two files to write.

    Returns:
        The path of each precision's file. int8 models are int8 at input and output.

    Raises:
        ToolMissing: no TensorFlow.
        ModelError: the file is no Keras model, or not one this can convert.
        UsageError: the data set does not fit the network.
        StorageError: ``out`` cannot be written.
    """
    network = load(keras_file)
    samples = as_input(subset(dataset, calibration).x)
    if dataset.x.dtype == np.int8:
        raise UsageError(
            f"{dataset.name} holds int8 samples, which say nothing of the real range",
            "give the network's real inputs, as uint8 pixels or float32",
        )
    shape = tuple(network.input_shape[1:])
    if samples.shape[1:] != shape:
        raise UsageError(
            f"{keras_file.name} takes inputs of shape {shape}, {dataset.name} has "
            f"{samples.shape[1:]}",
            "name the data set that it was trained on",
        )
    contents = convert(network, samples)
    paths = {p: out / f"{keras_file.stem}_{p.value}.tflite" for p in precisions}
    for precision, path in paths.items():
        files.replace_file(path, contents[precision])
    return paths


def load(keras_file: Path) -> Any:
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
    except Exception as error:  # Keras raises whatever its parts raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        what = f"{keras_file} is not a Keras model that can be loaded ({reason})"
        raise ModelError(what, "save it again with model.save('name.keras')") from error
    one_each = len(network.inputs or ()) == 1 and len(network.outputs or ()) == 1
    if not one_each or None in network.input_shape[1:]:
        what = f"{keras_file} has not exactly one input and one output of fixed shape"
        raise ModelError(what, "only such networks can run on a board")
    return network


def convert(network: Any, samples: npt.NDArray[np.float32]) -> dict[Precision, bytes]:
    """A network as TFLite files.

    Args:
        network: one input, one output.
        samples: (n, ...) real inputs, to calibrate with.

    Raises:
        ModelError: TensorFlow cannot convert it with int8 operators alone.
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
    except Exception as error:  # the converter raises its own, RuntimeError, ValueError, ...
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        what = f"{network.name} cannot be converted to TFLite ({reason})"
        raise ModelError(what, "use operators that TFLite has in int8") from error


CACHE = "cache"  # of teachers' answers, in the output folder
LOGS = "logs"  # TensorBoard's, in the output folder


@dataclass(frozen=True, slots=True)
class Place:
    """What the stages of a recipe share; can be sent to a process."""

    out: Path
    split: Split
    validation_share: float


def kept_or_trained(place: Place, plan: Plan, on_event: OnEvent) -> StageRecord:
    """Keep what is there if it came from the same inputs; else as `train`."""
    return kept(place, plan, on_event) or train(place, plan, on_event)


def kept(place: Place, plan: Plan, on_event: OnEvent) -> StageRecord | None:
    """What is there, if it came from the same inputs; what it learns from must be there."""
    record = provenance.read(_record(place, plan), StageRecord)
    # the hash tells a pair that an interruption left apart
    same = record is not None and record.keras_sha256 == files.sha256(_keras(place, plan.key))
    if record is None or not same or record.inputs != _inputs(place, plan):
        return None
    on_event(Event(plan.key, "kept"))
    return record


@known_warnings()
def train(place: Place, plan: Plan, on_event: OnEvent) -> StageRecord:
    """Train it; errors as `hil_train.training.fit`, and StorageError."""
    on_event(Event(plan.key, "start", epochs=plan.schedule.epochs))
    inputs, model_file = _inputs(place, plan), _keras(place, plan.key)
    fitted = training.fit(
        plan,
        place.split,
        teacher=_load(place, plan.teacher),
        start=_load(place, plan.start),
        cache=place.out / CACHE,
        logs=place.out / LOGS / plan.key,
        on_event=on_event,
    )
    with files.replacing(model_file) as part:
        fitted.network.save(part, include_optimizer=False)
    record = StageRecord(
        inputs=inputs,
        keras_sha256=files.sha256(model_file),
        parameters=fitted.network.count_params(),
        seconds=round(fitted.seconds, 1),
        samples_per_second=round(fitted.rate),
        validation_accuracy=fitted.accuracy,
        history=fitted.history,
        versions=provenance.versions(),
    )
    provenance.write(_record(place, plan), record)
    metrics = {"val_accuracy": record.validation_accuracy}
    on_event(Event(plan.key, "done", fitted.epochs, fitted.epochs, metrics))
    return record


def _inputs(place: Place, plan: Plan) -> Inputs:
    samples = place.split.train
    return Inputs(
        plan=plan,
        dataset=samples.name,
        fingerprint=samples.fingerprint,
        samples=len(samples),
        validation_share=place.validation_share,
        teacher_sha256=files.sha256(_keras(place, plan.teacher)) if plan.teacher else "",
        start_sha256=files.sha256(_keras(place, plan.start)) if plan.start else "",
    )


def _keras(place: Place, key: str) -> Path:
    return place.out / f"{key}.keras"


def _record(place: Place, plan: Plan) -> Path:
    return place.out / f"{plan.key}.stage.json"


def _load(place: Place, key: str) -> Any:
    return load(_keras(place, key)) if key else None
