"""What each layer of a run's network takes, asked of firmware that shows its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from hil.bench.events import Emit, Profiling
from hil.bench.lab import Lab
from hil.bench.observing import Observed, observed, unobservable
from hil.bench.plan import Plan, wire_inputs
from hil.bench.prepare import Prepared
from hil.compare import count
from hil.device import Device
from hil.engines import ENGINES
from hil.errors import HilError, WrongFirmware
from hil.records import Dataset, Encoding
from hil.runlog.schema import Sample
from hil.runlog.schema_layers import LayerTime, Profiled
from hil.wire.frames import Frame
from hil.wire.messages import Profile, profile_request


def profile(
    plan: Plan,
    prepared: Sequence[Prepared],
    answers: Mapping[str, Sequence[Sample]],
    lab: Lab,
    emit: Emit,
) -> tuple[Profiled, ...]:
    """What the layers of every run take on its first answered sample.

    A board that cannot be asked, or has no clock, is no error: the record says why.
    """
    found: list[Profiled] = []
    for item in prepared:
        for sample in answers.get(item.plan.key, ())[:1]:
            found.append(_of_run(plan, item, sample, lab, emit))
    return tuple(found)


def _of_run(plan: Plan, item: Prepared, sample: Sample, lab: Lab, emit: Emit) -> Profiled:
    key = item.plan.key
    if item.cell.image.board.clock.unit == "none":
        why = f"board {item.cell.image.board.name} has no clock"
    else:
        why = unobservable(item, lab)
    if not why:
        emit(Profiling(key, sample.id))
        try:
            with observed(plan, item, lab) as looked_at:
                return _ask(looked_at, plan.data, sample)
        except HilError as problem:
            why = str(problem)
    return Profiled(run=key, id=sample.id, why=why)


def _ask(looked_at: Observed, data: Dataset, sample: Sample) -> Profiled:
    item = looked_at.item
    image = item.cell.image
    layers = ENGINES[image.engine].layers(item.cell.network.graph)
    encoding, inputs = wire_inputs(data)
    values = next(islice(inputs, sample.i, None))
    # the first inference of a boot warms what there is to warm
    for _ in looked_at.device.infer(looked_at.number, encoding, [values]):
        pass
    said = _question(looked_at.device, looked_at.number, encoding, values)
    if len(said.laps) != len(layers):
        raise WrongFirmware(
            f"{item.plan.key}: the board timed {len(said.laps)} layers, expected {len(layers)}",
            "build the firmware of this checkout",
        )
    clock = image.board.clock
    times = [count(clock.time(lap)) for lap in said.laps]
    return Profiled(
        run=item.plan.key,
        id=sample.id,
        layers=tuple(
            LayerTime(name=layer.name, op=layer.ops, macs=layer.macs, time=time)
            for layer, time in zip(layers, times, strict=True)
        ),
        total=count(clock.time(said.total)),
        firmware_sha256=item.firmware.sha256,
    )


def _question(device: Device, model: int, encoding: Encoding, values: bytes) -> Profile:
    """What every layer takes on one sample, asked for in as many pieces as the board wants."""
    found: Profile | None = None
    while found is None or len(found.laps) < found.layers:
        first = len(found.laps) if found else 0
        ask = partial(_request, model, encoding, values, first)
        part = device.insist(ask, Profile, f"PROFILE of layer {first}")
        if (part.model, part.layer) != (model, first):
            raise WrongFirmware(
                f"asked for times of model {model} from layer {first} on, the board answered "
                f"layer {part.layer} of model {part.model}",
                "flash the firmware of this checkout",
            )
        found = replace(found, laps=found.laps + part.laps) if found else part
    return found


def _request(model: int, encoding: Encoding, values: bytes, layer: int, seq: int) -> Frame:
    return profile_request(seq, model, encoding, values, layer)
