# SPDX-License-Identifier: Apache-2.0
"""The networks of a bench by name: examples for a data set, or files of the user's own, some of
them as teacher and student."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from hil.bench.cases import Network
from hil.bench.convert import is_source
from hil.bench.matrix import Group
from hil.core.errors import UsageError, unknown
from hil.core.records import EXPORTED, Precision
from hil.firmware import firmware_tree
from hil.runs.schema import Role
from hil.tflite import read_model

NETWORKS: Final = ("teacher", "student")


def is_own(name: str) -> bool:
    """Whether a model's name is that of a file or folder of the user's."""
    return name.endswith(".tflite") or is_source(name)


def models_of(project: Path, dataset: str) -> str:
    """Name of the data set whose networks are used: its own, or that of the set it replaces."""
    own = _models_folder(project, dataset).is_dir()
    return dataset if own else dataset.removesuffix("-made")


def _models_folder(project: Path, dataset: str) -> Path:
    """Folder of the networks for a data set: in the user's project, else the examples."""
    own = project / "models" / dataset
    return own if own.is_dir() else firmware_tree(project) / "models" / dataset


def example_networks(
    project: Path, dataset: str, named: Sequence[str], precisions: Sequence[Precision]
) -> list[Group]:
    """Teacher and student for a data set, or those of them that are ``named``."""
    folder = _models_folder(project, dataset)
    if not folder.is_dir():
        raise UsageError(
            f"there are no models for {dataset}", f"train them: hil train --recipe {dataset}"
        )
    groups = []
    for precision in dict.fromkeys(precisions):
        if precision not in EXPORTED:
            raise UsageError(
                f"there are no {precision} models for {dataset}",
                f"choose from {', '.join(EXPORTED)}, or pass --model my.tflite",
            )
        paths = {name: folder / f"{name}_{precision}.tflite" for name in NETWORKS}
        there = {name: file for name, file in paths.items() if file.is_file()}
        if missing := set(named or NETWORKS[-1:]) - set(there):
            raise UsageError(
                f"there is no {precision} {min(missing)} for {dataset} in {folder}",
                f"train it: hil train --recipe {dataset}",
            )
        group = tuple(read_network(name, file, dataset) for name, file in there.items())
        chosen = tuple(n for n in group if not named or n.name in named)
        groups.append(Group(precision, group, chosen))
    return groups


def read_network(name: str, file: Path, trained_on: str = "") -> Network:
    """``file`` as a network; ``trained_on``: see `Network`."""
    return Network(name, file, read_model(file), trained_on)


def own_networks(
    networks: Sequence[Network], precisions: Sequence[Precision], *, asked: bool
) -> list[Group]:
    """One group for each precision that they compute in; ``asked``: each must have a network."""
    if len({(n.name, n.graph.precision) for n in networks}) < len(networks):
        raise UsageError("two --model files have the same name", "rename one of them")
    groups = []
    for precision in precisions:
        group = tuple(n for n in networks if n.graph.precision == precision)
        if group:
            groups.append(Group(precision, group, group))
        elif asked:
            raise UsageError(f"no --model file computes in {precision}", "omit --precision")
    return groups


def with_role(
    source: Path, network: Network, teachers: Sequence[str], students: Sequence[str]
) -> Network:
    """A user's network from ``source``. Without `--teacher` and `--student`, its name may say its
    role."""
    roles: dict[Path, Role] = {Path(one): "teacher" for one in teachers}
    others: dict[Path, Role] = {Path(one): "student" for one in students}
    if both := roles.keys() & others.keys():
        raise UsageError(f"{min(both)} is --teacher and --student", "give two files")
    roles |= others
    named: dict[str, Role] = {"teacher": "teacher", "student": "student"}
    role = roles.get(source, "") if roles else named.get(network.name, "")
    return replace(network, role=role)


def check_pairs(networks: Sequence[Network]) -> None:
    """UsageError for a student without a teacher of its precision, and for several teachers."""
    for student in networks:
        if student.role != "student":
            continue
        precision = student.graph.precision
        teachers = [
            n.path.name for n in networks if n.role == "teacher" and n.graph.precision == precision
        ]
        if len(teachers) != 1:
            found = f"so do {' and '.join(teachers)}" if teachers else "no --teacher does"
            raise UsageError(
                f"{student.path.name} computes in {precision}, and {found}",
                "pass one --teacher in the precision of each --student",
            )


def precision_called(name: str) -> Precision:
    """A precision by name; UsageError for any other."""
    try:
        return Precision(name)
    except ValueError:
        raise unknown(f"no precision is called {name!r}", name, Precision) from None
