"""Where device and reference part, layer by layer, on samples that are not answered rightly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from hil.bench.events import Emit, Observing
from hil.bench.lab import Lab
from hil.bench.observing import Observed, observed, unobservable
from hil.bench.plan import Plan, wire_inputs
from hil.bench.prepare import Prepared
from hil.compare import EXP_TOLERANCE, FMA_TOLERANCE, NEAR_TOLERANCE, compare_layer, departs
from hil.device_layers import LayerOutput, ask_layer
from hil.engines import ENGINES, Layer
from hil.errors import HilError, WrongFirmware
from hil.records import Dataset, DType, Precision, TensorSpec
from hil.reference import encode_inputs, layer_tensors, oracle_version
from hil.runlog.schema import Sample
from hil.runlog.schema_layers import LayerSeen, Parting
from hil.tflite import Graph
from hil.wire.messages import INPUT_LAYER

MOST: Final = 3  # samples a run


def part(
    plan: Plan,
    prepared: Sequence[Prepared],
    answers: Mapping[str, Sequence[Sample]],
    lab: Lab,
    emit: Emit,
    *,
    always: bool = False,
) -> tuple[Parting, ...]:
    """What the layers made of the first samples of each run that are not what they must be.

    ``answers`` are the stored ones of each run. With ``always`` the first sample of a run is asked
    for when none departs. A board that cannot be asked is no error: the record says why.
    """
    found: list[Parting] = []
    for item in prepared:
        given = answers.get(item.plan.key, ())
        wanted = list(islice((one for one in given if departs(one, item.plan)), MOST))
        wanted = wanted or list(given[:1] if always else ())
        if wanted:
            found += _of_run(plan, item, wanted, lab, emit)
    return tuple(found)


def _of_run(
    plan: Plan, item: Prepared, wanted: Sequence[Sample], lab: Lab, emit: Emit
) -> list[Parting]:
    found: list[Parting] = []
    why = _impossible(item, lab)
    if not why:
        emit(Observing(item.plan.key, tuple(one.id for one in wanted)))
        try:
            with observed(plan, item, lab) as looked_at:
                for parting in _ask(looked_at, plan.data, wanted):
                    found.append(parting)
        except HilError as problem:
            why = str(problem)
    if why and len(found) < len(wanted):
        found.append(Parting(run=item.plan.key, id=wanted[len(found)].id, why=why))
    return found


def _impossible(item: Prepared, lab: Lab) -> str:
    """Why the layers cannot be compared; empty when they can."""
    graph = item.cell.network.graph
    if why := unobservable(item, lab):
        return why
    if graph.precision is Precision.INT8 and not item.plan.oracle:
        return "there is no oracle here to compare layers with"
    return ""


def _ask(looked_at: Observed, data: Dataset, wanted: Sequence[Sample]) -> Iterator[Parting]:
    item, device, number = looked_at.item, looked_at.device, looked_at.number
    graph = item.cell.network.graph
    layers = ENGINES[item.cell.image.engine].layers(graph)
    for sample in wanted:
        encoding, inputs = wire_inputs(data)
        values = next(islice(inputs, sample.i, None))
        (answer,) = device.infer(number, encoding, [values])
        taken = ask_layer(device, number, encoding, values, INPUT_LAYER)
        said = [ask_layer(device, number, encoding, values, i) for i in range(len(layers))]
        x = encode_inputs(data.x[sample.i : sample.i + 1], graph.input)
        yield Parting(
            run=item.plan.key,
            id=sample.id,
            reference=oracle_version() if graph.precision is Precision.INT8 else "LiteRT",
            layers=_compare(item, layers, said, x),
            same_output=answer.result.output == sample.device,
            firmware_sha256=item.firmware.sha256,
            input=compare_layer("input", "", _values(item, "input", taken, graph.input), x[0]),
        )


def _compare(
    item: Prepared,
    layers: Sequence[Layer],
    said: Sequence[LayerOutput],
    x: npt.NDArray[np.generic],
) -> tuple[LayerSeen, ...]:
    graph = item.cell.network.graph
    expected = layer_tensors(item.cell.network.path, x, [layer.tensor for layer in layers])
    seen: list[LayerSeen] = []
    inexact = False
    for layer, output, wanted in zip(layers, said, expected, strict=True):
        tensor = graph.tensors[layer.tensor]
        device = _values(item, layer.name, output, TensorSpec(DType(tensor.dtype), tensor.shape))
        inexact |= "SOFTMAX" in layer.ops
        allowed = _allowed(item, graph, inexact)
        seen.append(compare_layer(layer.name, layer.ops, device, wanted, allowed))
    return tuple(seen)


def _values(
    item: Prepared, name: str, said: LayerOutput, spec: TensorSpec
) -> npt.NDArray[np.generic]:
    if (said.dtype, len(said.data)) != (spec.dtype, spec.nbytes):
        raise WrongFirmware(
            f"{item.plan.key}: {name} came as {len(said.data)} bytes of {said.dtype.name}, "
            f"expected {spec.nbytes} of {spec.dtype.name}",
            "build the firmware of this checkout",
        )
    return np.frombuffer(said.data, spec.dtype.numpy).reshape(spec.shape)


def _allowed(item: Prepared, graph: Graph, inexact: bool) -> float:
    """What `hil.compare.tolerance` allows the output, for a layer: ``inexact`` from exp() on."""
    if graph.precision is not Precision.FLOAT32:
        return 0.0
    if ENGINES[item.cell.image.engine].near:
        return NEAR_TOLERANCE
    if item.cell.image.board.fma:
        return FMA_TOLERANCE
    return EXP_TOLERANCE if inexact else 0.0
