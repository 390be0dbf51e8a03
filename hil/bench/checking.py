# SPDX-License-Identifier: Apache-2.0
"""Whether the data is plausible for each network (`hil.checks`): on the host, before anything is
built, and on the device's answers, after the last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET

from hil import checks
from hil.bench.cases import Network
from hil.bench.events import Emit, Implausible
from hil.bench.inputs import samples_of, taken_by
from hil.bench.task import Criterion
from hil.core.errors import DataError, ModelError, ToolMissing
from hil.core.records import Dataset
from hil.datasets import subset
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun
from hil.runs.schema_checks import CheckFinding
from hil.runs.task import WITH_CLASSES

_SAME: Final = 0.9  # share of answers; a device below that is at fault itself


Known: TypeAlias = Mapping[str, Sequence[CheckFinding]]  # by the network's SHA-256, without runs


def check_before(networks: Sequence[tuple[Network, Criterion]], data: Dataset, emit: Emit) -> Known:
    """What explains wrong answers of each network on the host; emitted, and kept for `check`."""
    known: dict[str, Sequence[CheckFinding]] = {}
    for network, criterion in networks:
        found = _causes(network, criterion, data)
        known[network.graph.sha256] = found
        if found:
            emit(Implausible(_name(network), tuple(found)))
    return known


def check(
    networks: Mapping[str, Network | None],
    data: Dataset | None,
    stored: StoredRun,
    known: Known | None = None,
) -> list[CheckFinding]:
    """What explains wrong answers; empty if all of them are plausible, or have no accuracy.

    ``networks``: what the host runs, by the key of the run. ``data``: None if only a sketch knows
    its samples. ``known``: what `check_before` found; what is missing there is found now. Runs of
    one network are checked once, runs with equal answers too. Without a network, only labels can be
    tried.
    """
    judged = [
        cell
        for cell in cells(stored.manifest, stored.samples, stored.host, stored.targets)
        if cell.complete and cell.right is not None and cell.task in WITH_CLASSES
    ]
    found: list[CheckFinding] = []
    judged.sort(key=_whose)
    for _, group in groupby(judged, key=_whose):
        runs = list(group)
        causes = _of_runs(networks.get(runs[0].plan.key), runs, data, known or {})
        found += causes
        seen: dict[bytes, list[CheckFinding]] = {}
        for cell in filter(_agrees, runs):
            answers = checks.of_answers(cell, explained=bool(causes))
            same = seen.setdefault(cell.answers.tobytes(), answers)
            if same is not answers:
                same[:] = [_with_run(one, cell.plan.key) for one in same]
        found += [one for answers in seen.values() for one in answers]
    order = {plan.key: i for i, plan in enumerate(stored.manifest.runs)}
    return sorted(found, key=lambda one: order[one.runs[0]])


def _whose(cell: Cell) -> str:
    """Equal for runs of one network; a sketch without a named network is one of its own."""
    return cell.plan.model_sha256 or cell.plan.key


def _agrees(cell: Cell) -> bool:
    """Whether the host gives the same answers, so that data or network explain them."""
    return cell.same is None or bool(cell.same.mean() >= _SAME)


def _with_run(one: CheckFinding, key: str) -> CheckFinding:
    return msgspec.structs.replace(one, runs=(*one.runs, key))


def _name(network: Network) -> str:
    return f"{network.name} {network.graph.precision}"


def _of_runs(
    network: Network | None, runs: list[Cell], data: Dataset | None, known: Known
) -> list[CheckFinding]:
    """Findings about samples and labels of ``runs``; empty where the device is mostly right."""
    first = runs[0]
    if max(cell.right.mean() for cell in runs if cell.right is not None) > (1 - checks.GAIN):
        return []
    keys = tuple(cell.plan.key for cell in runs)
    if network is None or data is None:
        assert first.labels is not None
        of_device = checks.Answered(first.name, first.answers, first.labels, first.classes)
        return checks.find_label_causes(of_device, keys)
    found = known.get(network.graph.sha256)
    if found is None:
        threshold = None if first.plan.threshold is UNSET else first.plan.threshold
        found = _causes(network, Criterion(first.task, threshold), data)
    return [msgspec.structs.replace(one, runs=keys) for one in found]


def _causes(network: Network, criterion: Criterion, data: Dataset) -> list[CheckFinding]:
    """Findings about samples and labels; empty where the host cannot try others."""
    graph = network.graph
    several = len(graph.inputs) > 1 or len(graph.outputs) > 1
    if several or graph.stateful or criterion.task not in WITH_CLASSES:
        return []
    try:
        some = subset(data, checks.samples_for(graph))
        (x,) = samples_of(some, taken_by(network))
        of = checks.Subject(
            _name(network), network.path, graph, x, some.y, some.input, criterion.threshold
        )
        return checks.find_causes(of, ())
    except (DataError, ModelError, ToolMissing):
        return []  # the references say so
