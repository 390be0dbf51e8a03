# SPDX-License-Identifier: Apache-2.0
"""The records of host.json: how long LiteRT takes on the computer that ran the bench.

Keys are a contract, as in `hil.runs.schema`.
"""

from __future__ import annotations

from typing import Literal

from hil.runs.schema import Stored


class HostMachine(Stored, frozen=True):
    """The computer that ran LiteRT. ``governor``: of its first core; empty: not known.

    ``load``: its load average over one minute, before; None: not known. ``busy``: cores that other
    processes kept busy meanwhile; None: not known. ``noisy``: why its times may not repeat; empty:
    nothing was seen.
    """

    cpu: str
    cores: int
    governor: str
    load: float | None
    busy: float | None
    noisy: str = ""


class HostTimes(Stored, frozen=True):
    """LiteRT's invoke of one model with one set of kernels, in nanoseconds.

    ``first``: the first invoke after loading, in no other figure. ``times``: of the samples from
    0 on, in the run's order, after warm-up.
    """

    model: str
    precision: str
    model_sha256: str
    kernels: Literal["xnnpack", "reference"]
    version: str
    threads: int
    first: int
    times: tuple[int, ...]


class HostLatencies(Stored, frozen=True):
    machine: HostMachine
    times: tuple[HostTimes, ...]
