# SPDX-License-Identifier: Apache-2.0
"""The outputs and the times of a network's layers, from a second firmware.

Firmware that shows its layers is not the program that is measured. It is built and started only
for this; a board that was flashed gets the measured firmware back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from hil.bench.cases import Case, SketchCase
from hil.bench.events import Emit, Observing, Profiling
from hil.bench.identity import find_model
from hil.bench.inputs import Inputs, encoded, samples_of, taken_by
from hil.bench.lab import Lab, connect
from hil.bench.plan import BenchPlan
from hil.bench.prepare import Prepared
from hil.bench.stream import stored_time
from hil.core.errors import HilError, WrongFirmware
from hil.core.records import Dataset, DType, Encoding, TensorSpec, packed_bytes, unpack_rows
from hil.device import Device, LayerOutput, ask_layer
from hil.engines import ENGINES, Layer
from hil.reference import layer_tensors, oracle_version
from hil.runs.agreement import compare_layer, is_wrong, tolerance
from hil.runs.schema import Sample
from hil.runs.schema_layers import LayerCheck, LayerSeen, LayerTime, Profiled
from hil.tflite.graph import TRANSCENDENTAL
from hil.wire.diagnosis import FLASH_IT
from hil.wire.frames import Frame
from hil.wire.messages import INPUT_LAYER, Profile, profile_request

MAX_SAMPLES: Final = 3  # of one run
_FIRST_ALONE: Final = (  # LAYERS and PROFILE reset the state
    "the network keeps a state, so its layers are known for the first sample of the sequence only"
)


@dataclass(frozen=True, slots=True)
class Observed:
    """A board that shows the layers of one run; ``number`` is that of the run's model on it."""

    item: Prepared
    device: Device
    number: int


def unobservable(item: Prepared, lab: Lab) -> str:
    """Why a run's layers cannot be shown; empty when they can."""
    if isinstance(item.case, SketchCase):
        return "a sketch of your own does not show its layers"
    engine = item.case.image.engine
    if not ENGINES[engine].layers(item.case.network.graph):
        return f"engine {engine} does not show layers"
    return lab.unobservable(item.case.station)


def _case(item: Prepared) -> Case:
    """The case of a run whose layers can be shown: `unobservable` turns sketches away."""
    assert isinstance(item.case, Case)
    return item.case


@contextmanager
def observed(plan: BenchPlan, item: Prepared, lab: Lab) -> Iterator[Observed]:
    """Build the run's image with layers and start it; afterwards restore the measured firmware.

    Raises the errors of the build, of opening the board, and of its requests.
    """
    case = _case(item)
    image = replace(case.image, layers=True)
    try:
        firmware = lab.build(image, plan.project)
        with_layers = replace(item, case=replace(case, image=image), firmware=firmware)
        with lab.open(case.station, image, firmware) as link:
            device = connect(image.board, link)
            number, _ = find_model(device.hello(), with_layers)
            device.speed_up(image.board.serial.faster)
            yield Observed(with_layers, device, number)
            device.slow_down()
    finally:
        _put_back(item, lab)


def _put_back(item: Prepared, lab: Lab) -> None:
    """Flash the measured firmware again, if the other one was flashed."""
    case = item.case
    # if this fails, the next measurement notices: HELLO reports the firmware that runs
    if case.station.port:
        with suppress(HilError), lab.open(case.station, case.image, item.firmware):
            pass


def check_layers(
    plan: BenchPlan,
    prepared: Sequence[Prepared],
    answers: Mapping[str, Sequence[Sample]],
    lab: Lab,
    emit: Emit,
    *,
    always: bool = False,
) -> tuple[LayerCheck, ...]:
    """The layers of the first samples of each run whose output is wrong.

    ``answers``: the stored ones, by `RunPlan.key`. With ``always``, also the layers of the first
    sample of a run without wrong outputs. A board that cannot show its layers is not an error: the
    record gives the reason.
    """
    found: list[LayerCheck] = []
    for item in prepared:
        given = answers.get(item.plan.key, ())
        wanted = list(islice((one for one in given if is_wrong(one, item.plan)), MAX_SAMPLES))
        wanted = wanted or list(given[:1] if always else ())
        if wanted:
            found += _check_run(plan, item, wanted, lab, emit)
    return tuple(found)


def _check_run(
    plan: BenchPlan, item: Prepared, wanted: Sequence[Sample], lab: Lab, emit: Emit
) -> list[LayerCheck]:
    found: list[LayerCheck] = []
    why = _impossible(item, lab)
    if not why and _case(item).network.graph.stateful:
        beyond = [one.i for one in wanted if one.i > 0]
        wanted = [one for one in wanted if one.i == 0] or wanted[:1]
        why = _FIRST_ALONE if wanted[0].i in beyond else ""
    if not why:
        emit(Observing(item.plan.key, tuple(one.id for one in wanted)))
        try:
            with observed(plan, item, lab) as board:
                for check in _ask_layers(board, plan.data, wanted):  # keep those before a failure
                    found.append(check)
        except HilError as problem:
            why = str(problem)
    if why and len(found) < len(wanted):
        found.append(LayerCheck(run=item.plan.key, id=wanted[len(found)].id, why=why))
    return found


def _impossible(item: Prepared, lab: Lab) -> str:
    """Why a run's layers cannot be compared; empty when they can."""
    if why := unobservable(item, lab):
        return why
    graph = _case(item).network.graph
    if graph.precision.integer and not item.plan.oracle and not item.plan.oracle_why:
        return "no oracle is available to compare layers with"
    return ""


def _asks_tflm(item: Prepared) -> bool:
    """Whether layers are compared with TFLM's, not with LiteRT's."""
    integer = _case(item).network.graph.precision.integer
    return bool(item.plan.oracle) and (integer or bool(item.plan.host))


def _ask_layers(board: Observed, data: Dataset, wanted: Sequence[Sample]) -> Iterator[LayerCheck]:
    item, device, number = board.item, board.device, board.number
    graph = _case(item).network.graph
    layers = ENGINES[_case(item).image.engine].layers(graph)
    taken_in = taken_by(_case(item).network)
    inputs = Inputs(data, taken_in)
    for sample in wanted:
        encoding, values = inputs.encoding, inputs[sample.i]
        if graph.stateful:
            device.reset_state(number)
        (answer,) = device.infer(number, encoding, [values], sequence=graph.stateful)
        taken = ask_layer(device, number, encoding, values, INPUT_LAYER)
        reported = [ask_layer(device, number, encoding, values, i) for i in range(len(layers))]
        arrays = samples_of(data, taken_in)
        x = encoded([one[sample.i : sample.i + 1] for one in arrays], taken_in)
        yield LayerCheck(
            run=item.plan.key,
            id=sample.id,
            reference=oracle_version() if _asks_tflm(item) else "LiteRT",
            layers=_compare(item, layers, reported, x),
            same_output=answer.result.output == sample.device,
            firmware_sha256=item.firmware.sha256,
            input=_compare_inputs(item, taken, x),
        )


def _compare_inputs(
    item: Prepared, taken: LayerOutput, x: Sequence[npt.NDArray[np.generic]]
) -> LayerSeen:
    """The inputs on the device; of several, the first that differs, if one does."""
    graph = _case(item).network.graph
    _check_bytes(item, "input", taken, graph.input.dtype, packed_bytes(graph.inputs))
    found = unpack_rows(graph.inputs, np.frombuffer(taken.data, np.uint8)[None])
    names = graph.names_in if len(found) > 1 else ("input",)
    seen = [
        compare_layer(name, "", device.reshape(spec.shape), wanted[0])
        for name, device, wanted, spec in zip(names, found, x, graph.inputs, strict=True)
    ]
    return next((one for one in seen if one.differing), seen[0])


def _compare(
    item: Prepared,
    layers: Sequence[Layer],
    reported: Sequence[LayerOutput],
    x: Sequence[npt.NDArray[np.generic]],
) -> tuple[LayerSeen, ...]:
    graph = _case(item).network.graph
    path, numbers = _case(item).network.path, [layer.tensor for layer in layers]
    expected = layer_tensors(path, x, numbers, tflm=_asks_tflm(item))
    seen: list[LayerSeen] = []
    image, exponential = _case(item).image, False
    near, fma = ENGINES[image.engine].near, image.board.fma
    for layer, output, wanted in zip(layers, reported, expected, strict=True):
        tensor = graph.tensors[layer.tensor]
        device = _values(item, layer.name, output, TensorSpec(DType(tensor.dtype), tensor.shape))
        exponential |= bool(TRANSCENDENTAL.intersection(layer.ops.split(" + ")))
        allowed, _ = tolerance(graph.precision, near=near, fma=fma, exponential=exponential)
        seen.append(compare_layer(layer.name, layer.ops, device, wanted, allowed))
    return tuple(seen)


def _values(
    item: Prepared, name: str, reported: LayerOutput, spec: TensorSpec
) -> npt.NDArray[np.generic]:
    _check_bytes(item, name, reported, spec.dtype, spec.nbytes)
    return np.frombuffer(reported.data, spec.dtype.numpy).reshape(spec.shape)


def _check_bytes(
    item: Prepared, name: str, reported: LayerOutput, dtype: DType, nbytes: int
) -> None:
    if (reported.dtype, len(reported.data)) != (dtype, nbytes):
        raise WrongFirmware(
            f"{item.plan.key}: {name} has {len(reported.data)} bytes of {reported.dtype.name}, "
            f"expected {nbytes} of {dtype.name}",
            "build the firmware of this version",
        )


def profile(
    plan: BenchPlan,
    prepared: Sequence[Prepared],
    answers: Mapping[str, Sequence[Sample]],
    lab: Lab,
    emit: Emit,
) -> tuple[Profiled, ...]:
    """The time of each layer of every run on its first answered sample.

    A board that cannot show its layers, or has no clock, is not an error: the record gives the
    reason.
    """
    found: list[Profiled] = []
    for item in prepared:
        for sample in answers.get(item.plan.key, ())[:1]:
            found.append(_profile_run(plan, item, sample, lab, emit))
    return tuple(found)


def _profile_run(plan: BenchPlan, item: Prepared, sample: Sample, lab: Lab, emit: Emit) -> Profiled:
    key = item.plan.key
    if item.case.image.board.clock.unit == "none":
        why = f"board {item.case.image.board.name} has no clock"
    else:
        why = unobservable(item, lab)
    if not why and sample.i and _case(item).network.graph.stateful:
        why = _FIRST_ALONE
    if not why:
        emit(Profiling(key, sample.id))
        try:
            with observed(plan, item, lab) as board:
                return _ask_profile(board, plan.data, sample)
        except HilError as problem:
            why = str(problem)
    return Profiled(run=key, id=sample.id, why=why)


def _ask_profile(board: Observed, data: Dataset, sample: Sample) -> Profiled:
    item = board.item
    image = _case(item).image
    graph = _case(item).network.graph
    layers = ENGINES[image.engine].layers(graph)
    inputs = Inputs(data, taken_by(_case(item).network))
    encoding, values = inputs.encoding, inputs[sample.i]
    # the first inference of a boot takes longer: caches are cold
    for _ in board.device.infer(board.number, encoding, [values], sequence=graph.stateful):
        pass
    reported = ask_times(board.device, board.number, encoding, values)
    if len(reported.laps) != len(layers):
        raise WrongFirmware(
            f"{item.plan.key}: the board timed {len(reported.laps)} layers, expected {len(layers)}",
            "build the firmware of this version",
        )
    clock = image.board.clock
    times = [stored_time(clock.time(lap)) for lap in reported.laps]
    return Profiled(
        run=item.plan.key,
        id=sample.id,
        layers=tuple(
            LayerTime(name=layer.name, op=layer.ops, macs=layer.macs, time=time)
            for layer, time in zip(layers, times, strict=True)
        ),
        total=stored_time(clock.time(reported.total)),
        firmware_sha256=item.firmware.sha256,
    )


def ask_times(device: Device, model: int, encoding: Encoding, values: bytes) -> Profile:
    """The time of every layer on one sample, in as many replies as the board needs."""
    found: Profile | None = None
    while found is None or len(found.laps) < found.layers:
        first = len(found.laps) if found else 0
        ask = partial(_request, model, encoding, values, first)
        part = device.insist(ask, Profile, f"PROFILE of layer {first}")
        if (part.model, part.layer) != (model, first):
            raise WrongFirmware(
                f"requested the times of model {model} from layer {first} on, but the board sent "
                f"those of model {part.model} from layer {part.layer} on",
                FLASH_IT,
            )
        found = replace(found, laps=found.laps + part.laps) if found else part
    return found


def _request(model: int, encoding: Encoding, values: bytes, layer: int, seq: int) -> Frame:
    return profile_request(seq, model, encoding, values, layer)
