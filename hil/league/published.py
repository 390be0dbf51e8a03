# SPDX-License-Identifier: Apache-2.0
"""MLPerf Tiny's published results on processor cores: published.toml, with its sources.

A result is an inference rate at a stated clock. Cycles per MAC are clock / rate / MACs, with the
MACs of the reference network, which the closed division prescribes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, Literal, TypeAlias

from hil.core.files import Config, read_toml

NetworkName: TypeAlias = Literal["ad", "kws", "ic", "vww"]
Precision: TypeAlias = Literal["int8", "float32"]
NETWORKS: Final[tuple[NetworkName, ...]] = ("ad", "kws", "ic", "vww")
REPOSITORY: Final = "https://github.com/mlcommons/tiny_results_v{round}"
_NETWORKS_AT: Final = "benchmark/training/"


class Network(Config, frozen=True):
    """A reference network. ``inputs``, ``outputs``: values. ``files``: path -> SHA-256."""

    title: str
    macs: int
    parameters: int
    inputs: int
    outputs: int
    files: dict[str, str]

    def file(self, sha256: str) -> str:
        """The path in mlcommons/tiny of the file with that hash; empty if none has it."""
        found = (path for path, one in self.files.items() if one == sha256)
        return next((f"{_NETWORKS_AT}{path}" for path in found), "")


class _Figures(Config, frozen=True):
    """``per_s``: inferences per second. ``uj``: microjoules. ``top1`` in percent."""

    per_s: float
    uj: float | None = None
    auc: float | None = None
    top1: float | None = None


class _System(Config, frozen=True):
    """One submission. ``description``, ``results``: paths in the round's repository."""

    round: str
    submitter: str
    board: str
    core: str
    mhz: float
    software: str
    description: str
    results: str
    file: str = "results.txt"
    precision: Precision = "int8"
    status: Literal["available", "preview", "rdi"] = "available"
    note: str = ""
    ad: _Figures | None = None
    kws: _Figures | None = None
    ic: _Figures | None = None
    vww: _Figures | None = None

    def figures(self) -> Iterator[tuple[NetworkName, _Figures]]:
        found: Mapping[NetworkName, _Figures | None] = {
            "ad": self.ad,
            "kws": self.kws,
            "ic": self.ic,
            "vww": self.vww,
        }
        for name, one in found.items():
            if one is not None:
                yield name, one


class _File(Config, frozen=True):
    """``commits``: of each round's repository."""

    commits: dict[str, str]
    networks: dict[NetworkName, Network]
    systems: tuple[_System, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """A published result of one network. ``accuracy``: AUC of ad, Top-1 in percent of the others;
    None: not published. ``source``: the file that has the rate."""

    network: NetworkName
    round: str
    submitter: str
    board: str
    core: str
    mhz: float
    software: str
    precision: Precision
    status: str
    per_s: float
    uj: float | None
    accuracy: float | None
    source: str
    description: str
    note: str

    @property
    def ms(self) -> float:
        return 1000 / self.per_s

    @property
    def cycles_per_mac(self) -> float:
        return self.mhz * 1e6 / self.per_s / network(self.network).macs


@cache
def _read() -> _File:
    return read_toml(Path(str(resources.files("hil.league"))) / "published.toml", _File)


def network(name: NetworkName) -> Network:
    return _read().networks[name]


@cache
def results() -> tuple[Result, ...]:
    """Every published result, by round."""
    found = _read()
    return tuple(
        Result(
            network=name,
            round=one.round,
            submitter=one.submitter,
            board=one.board,
            core=one.core,
            mhz=one.mhz,
            software=one.software,
            precision=one.precision,
            status=one.status,
            per_s=figures.per_s,
            uj=figures.uj,
            accuracy=figures.auc if name == "ad" else figures.top1,
            source=_at(one, found, f"{one.results}/{name}/performance/{one.file}"),
            description=_at(one, found, one.description),
            note=one.note,
        )
        for one in found.systems
        for name, figures in one.figures()
    )


def _at(one: _System, found: _File, path: str) -> str:
    where = REPOSITORY.format(round=one.round)
    return f"{where}/blob/{found.commits[one.round]}/{path}".replace(" ", "%20")
