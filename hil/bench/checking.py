# SPDX-License-Identifier: Apache-2.0
"""Whether the data is plausible for each network (`hil.checks`): on the host, before anything is
built, and on the device's answers, after the last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET

from hil import checks
from hil.bench.cases import Network
from hil.bench.events import Emit, Implausible
from hil.bench.inputs import samples_of, taken_by
from hil.bench.task import Criterion
from hil.core.errors import DataError, ModelError, ToolMissing
from hil.core.records import Dataset, DType, Task
from hil.datasets.sampling import stratified_order, take
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun
from hil.runs.schema_checks import CheckFinding
from hil.runs.task import WITH_CLASSES, WITH_TARGETS

Known: TypeAlias = Mapping[str, Sequence[CheckFinding]]  # by the network's SHA-256, without runs


def order_of(some: Dataset, whole: Dataset) -> checks.Order:
    """Where ``some`` samples of ``whole`` stand in it, and all of its labels or targets."""
    labels = whole.y if whole.targets is None else whole.targets.reshape(len(whole), -1)
    if some.ids is whole.ids:
        return checks.Order(np.arange(len(whole)), labels)
    places = {name: place for place, name in enumerate(whole.ids)}
    return checks.Order(np.array([places[name] for name in some.ids]), labels)


def check_before(
    networks: Sequence[tuple[Network, Criterion]],
    data: Dataset,
    order: checks.Order | None,
    emit: Emit,
) -> Known:
    """What the host finds about each network and the data; emitted, and kept for `check`."""
    known: dict[str, Sequence[CheckFinding]] = {}
    for network, criterion in networks:
        found = _causes(network, criterion, data, order)
        known[network.graph.sha256] = found
        if found:
            emit(Implausible(_name(network), tuple(found)))
    return known


def check(
    networks: Mapping[str, Network | None],
    data: Dataset | None,
    stored: StoredRun,
    known: Known | None = None,
    order: checks.Order | None = None,
) -> list[CheckFinding]:
    """What explains wrong answers; empty if all of them are plausible, or cannot be judged.

    ``networks``: what the host runs, by the key of the run. ``data``: None if only a sketch knows
    its samples. ``known``: what `check_before` found; what is missing there is found now. Runs of
    one network are checked once. Without a network, only labels and answers can be.
    """
    every = cells(stored.manifest, stored.samples, stored.host, stored.targets)
    found: list[CheckFinding] = []
    judged = sorted((cell for cell in every if cell.complete and _judged(cell)), key=_whose)
    for _, group in groupby(judged, key=_whose):
        runs = list(group)
        network = networks.get(runs[0].plan.key)
        if network is None or data is None:
            found += [one for cell in runs for one in _of_device(cell)]
            continue
        causes = (known or {}).get(network.graph.sha256)
        if causes is None:
            plan = runs[0].plan
            threshold = None if plan.threshold is UNSET else plan.threshold
            causes = _causes(network, Criterion(runs[0].task, threshold), data, order)
        wrong = tuple(cell.plan.key for cell in runs if not _mostly_right(cell))
        found += [msgspec.structs.replace(one, runs=wrong) for one in causes if wrong]
        found += [one for cell in runs for one in _late(cell)]
    places = {plan.key: i for i, plan in enumerate(stored.manifest.runs)}
    return sorted(found, key=lambda one: places[one.runs[0]])


def _judged(cell: Cell) -> bool:
    """Whether the run has right and wrong answers, or errors."""
    return cell.right is not None if cell.task in WITH_CLASSES else cell.task in WITH_TARGETS


def _mostly_right(cell: Cell) -> bool:
    return cell.right is not None and float(cell.right.mean()) > 1 - checks.GAIN


def _whose(cell: Cell) -> str:
    """Equal for runs of one network; a sketch without a named network is one of its own."""
    return cell.plan.model_sha256 or cell.plan.key


def _answered(cell: Cell) -> checks.Answered:
    assert cell.labels is not None
    rows = np.arange(cell.n)
    quantised = cell.plan.output.dtype != DType.FLOAT32
    return checks.Answered(
        cell.name,
        cell.answers,
        cell.labels,
        cell.classes,
        cell.names,
        checks.Order(rows, cell.labels),
        cell.device if quantised else None,
    )


def _of_device(cell: Cell) -> list[CheckFinding]:
    """What the answers alone say, in the order in which the device gave them."""
    if cell.task not in WITH_CLASSES or _mostly_right(cell):
        return []
    of, runs = _answered(cell), (cell.plan.key,)
    causes = checks.find_label_causes(of, runs)
    return [*causes, *checks.of_answers(of, runs, explained=bool(causes))]


def _late(cell: Cell) -> list[CheckFinding]:
    if cell.host_answers is None or cell.labels is None or cell.task not in WITH_CLASSES:
        return []
    return checks.late_answers(_answered(cell), cell.host_answers, (cell.plan.key,))


def _name(network: Network) -> str:
    return f"{network.name} {network.graph.precision}"


def _causes(
    network: Network, criterion: Criterion, data: Dataset, order: checks.Order | None
) -> list[CheckFinding]:
    """What the host finds; empty where it cannot try other samples."""
    graph = network.graph
    several = len(graph.inputs) > 1 or len(graph.outputs) > 1
    judged = criterion.task in (*WITH_CLASSES, *WITH_TARGETS)
    if several or graph.stateful or not judged:
        return []
    try:
        places = stratified_order(data.ids, data.y)[: checks.samples_for(graph)]
        some = take(data, places)
        (x,) = samples_of(some, taken_by(network))
        rebuilds = criterion.task is Task.RECONSTRUCTION
        targets = None if rebuilds or some.targets is None else some.targets.reshape(len(some), -1)
        of = checks.Subject(
            _name(network),
            network.path,
            graph,
            x,
            some.y,
            some.input,
            criterion.threshold,
            data.classes,
            None if order is None else order.taken(places),
            targets,
            rebuilds,
        )
        return checks.of_network(of)
    except (DataError, ModelError, ToolMissing):
        return []  # the references say so
