# SPDX-License-Identifier: Apache-2.0
"""After the last answer: whether the data is plausible for each network (`hil.checks`)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Final

import msgspec
from msgspec import UNSET

from hil import checks
from hil.bench.cases import Network
from hil.bench.inputs import samples_of, taken_by
from hil.core.errors import DataError, ModelError, ToolMissing
from hil.core.records import Dataset
from hil.datasets import subset
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun
from hil.runs.schema_checks import CheckFinding
from hil.runs.task import WITH_CLASSES

_SAME: Final = 0.9  # share of answers; a device below that is at fault itself


def check(
    networks: Mapping[str, Network | None], data: Dataset, stored: StoredRun
) -> list[CheckFinding]:
    """What explains wrong answers; empty if all of them are plausible, or have no accuracy.

    ``networks``: what the host runs, by the key of the run. Runs of one network are checked once,
    runs with equal answers too. Without a network, only labels can be tried.
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
        causes = _causes(networks.get(runs[0].plan.key), runs, data)
        found += causes
        seen: dict[bytes, list[CheckFinding]] = {}
        for cell in filter(_agrees, runs):
            answers = checks.of_answers(cell, explained=bool(causes))
            known = seen.setdefault(cell.answers.tobytes(), answers)
            if known is not answers:
                known[:] = [_with_run(one, cell.plan.key) for one in known]
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


def _causes(network: Network | None, runs: list[Cell], data: Dataset) -> list[CheckFinding]:
    """Findings about samples and labels; empty where the host cannot try others."""
    first = runs[0]
    if max(cell.right.mean() for cell in runs if cell.right is not None) > (1 - checks.GAIN):
        return []
    keys, name = tuple(cell.plan.key for cell in runs), f"{first.plan.model} {first.plan.precision}"
    if network is None:
        assert first.labels is not None
        of_device = checks.Answered(first.name, first.answers, first.labels, first.classes)
        return checks.find_label_causes(of_device, keys)
    graph = network.graph
    if len(graph.inputs) > 1 or len(graph.outputs) > 1 or graph.stateful:
        return []
    try:
        some = subset(data, checks.samples_for(graph))
        (x,) = samples_of(some, taken_by(network))
        threshold = None if first.plan.threshold is UNSET else first.plan.threshold
        of = checks.Subject(name, network.path, graph, x, some.y, some.input, threshold)
        return checks.find_causes(of, keys)
    except (DataError, ModelError, ToolMissing):
        return []  # the references have said so
