# SPDX-License-Identifier: Apache-2.0
"""The models of a bench that are to be converted, as networks: on which samples each is calibrated,
and what is said about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from hil import datasets
from hil.bench.cases import Network
from hil.bench.convert import Converted, converted
from hil.bench.events import Calibrated, Emit, Note
from hil.bench.inputs import taken_by
from hil.bench.loss import weigh
from hil.bench.source import Source
from hil.core.records import Dataset, Precision
from hil.datasets import Progress
from hil.engines import model_name
from hil.tflite import read_model

RANDOM = (
    "int8 is calibrated on random values: its time and memory are as after any calibration, its "
    "answers say nothing about the model; --calibrate takes real data"
)


def convert_all(
    files: Sequence[Path],
    samples: Source,
    calibrate: datasets.Given | None,
    whole: Dataset | None,
    precisions: Sequence[Precision],
    *,
    progress: Progress | None,
    emit: Emit,
) -> Iterator[tuple[Path, Network]]:
    """Each model's networks, one for each precision.

    Args:
        files: see `hil.bench.convert.is_source`.
        samples: what the bench runs on, and ``whole``, once they are read; None: they are random,
            and depend on the networks' inputs.
        calibrate: other samples for the ranges of integers.
        precisions: those that are asked for.

    Raises what `converted` raises, and UsageError or DataError for the samples.
    """
    if not files:
        return
    integers = any(precision.integer for precision in precisions)
    chosen = _calibration(samples, calibrate, whole, progress) if integers else None
    for file in files:
        calibration = chosen
        if integers and chosen is None:
            calibration = _random(file, samples, emit)
        made = converted(file, calibration, emit, precisions=precisions)
        emit(Calibrated(made.record, made.folder, benched=_same(calibration, whole)))
        if found := whole or calibration:
            weighed = weigh(made, found)
            emit(weighed)
            record = msgspec.structs.replace(made.record, misfit=weighed.misfit)
            made = replace(made, record=record)
        for precision in dict.fromkeys(precisions):
            yield file, _network(made, precision)


def _same(one: Dataset | None, other: Dataset | None) -> bool:
    if one is None or other is None:
        return False
    return (one.fingerprint, one.ids) == (other.fingerprint, other.ids)


def _calibration(
    samples: Source,
    calibrate: datasets.Given | None,
    whole: Dataset | None,
    progress: Progress | None,
) -> Dataset | None:
    """``calibrate``; else the training part of a data set that has one; else ``whole``."""
    if calibrate is not None:
        other = samples.calibration(calibrate)
        return other.fed(other.read(split="train", progress=progress)[0], ())
    if whole is None:
        return None
    if samples.data is None:  # ``whole`` may stand in for it
        return samples.fed(datasets.load(whole.name, "train", progress=progress), ())
    if datasets.is_name(samples.data):
        return samples.fed(samples.read(split="train", progress=progress)[0], ())
    return whole


def _random(file: Path, samples: Source, emit: Emit) -> Dataset:
    """Random samples of the input that the model has, which its float32 file shows."""
    emit(Note(RANDOM))
    plain = _network(converted(file, None, emit, precisions=()), Precision.FLOAT32)
    found, _ = samples.read([taken_by(plain)])
    return replace(found, x=found.x.reshape(len(found), *plain.graph.input.shape[1:]))


def _network(made: Converted, precision: Precision) -> Network:
    file = made.files[precision]
    return Network(model_name(Path(made.name)), file, read_model(file), made=made.record)
