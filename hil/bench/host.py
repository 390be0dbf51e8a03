# SPDX-License-Identifier: Apache-2.0
"""After the last answer: how long LiteRT takes for the same samples on this computer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Protocol, TypeAlias

from hil.bench.cases import Network
from hil.bench.events import Emit, NoisyHost, TimingHost, Untimed
from hil.bench.inputs import encoded, samples_of, taken_by
from hil.bench.prepare import Prepared
from hil.core.errors import DataError, ModelError
from hil.core.host import OtherLoad, cpu_name, governor, is_virtual, load_average
from hil.core.processes import cores
from hil.core.records import Dataset
from hil.reference import (
    KERNELS,
    Kernels,
    cache_folder,
    refusals,
    threads_of,
    time_invokes,
    version_of,
)
from hil.runs.schema_host import HostLatencies, HostMachine, HostTimes

SAMPLES: Final = 1000  # their median has an interval of about 1 %, and few networks take long
QUIET_CORES: Final = 0.1  # that others may keep busy before a timing counts as disturbed


class Others(Protocol):
    """Watches the other processes from its creation on."""

    def cores(self) -> float | None:
        """How many cores they kept busy on average; None if that is not known."""
        ...


@dataclass(frozen=True, slots=True)
class HostTiming:
    """How to time LiteRT on this computer.

    ``samples``: how many of the run's at most, per network and set of kernels; 0: none.
    ``threads``: of XNNPACK. ``clock``: in nanoseconds. ``watch`` starts to watch other processes.
    """

    samples: int = SAMPLES
    threads: int = 1
    clock: Callable[[], int] = time.perf_counter_ns
    watch: Callable[[], Others] = OtherLoad


Save: TypeAlias = Callable[[HostLatencies], None]
Key: TypeAlias = tuple[str, Kernels]  # a model's SHA-256, and which kernels ran it


def time_host(
    prepared: Sequence[Prepared],
    data: Dataset,
    timing: HostTiming,
    stored: HostLatencies | None,
    save: Save,
    emit: Emit,
) -> None:
    """`time_networks` for the models of ``prepared``."""
    networks = [item.case.network for item in prepared if item.plan.litert]
    time_networks([one for one in networks if one], data, timing, stored, save, emit)


def time_networks(
    every: Sequence[Network],
    data: Dataset,
    timing: HostTiming,
    stored: HostLatencies | None,
    save: Save,
    emit: Emit,
) -> None:
    """Time each network with each set of kernels, and ``save`` after each.

    The samples are the first ones of ``data``, which is in random order. What ``stored`` already
    has is not measured again, unless it comes from another computer. Runs of one model file share
    its times. Kernels that cannot run a model are left out.
    """
    n = min(timing.samples, len(data))
    networks = {network.graph.sha256: network for network in every}
    every_key = product(networks, KERNELS) if n else ()
    wanted = [(sha256, one) for sha256, one in every_key if _runs(networks[sha256], one, emit)]
    before = _Before(stored, cpu_name(), cores(), timing, n)
    found = {key: times for key in wanted if (times := before.times(key))}
    missing = [key for key in wanted if key not in found]
    if not missing:
        return
    load, others = load_average(), timing.watch()
    machine = None
    for sha256, kernels in missing:
        times = _time(networks[sha256], data, kernels, n, timing, emit)
        if times is not None:
            found[sha256, kernels] = times
            machine = before.machine(load, others.cores())
            ordered = tuple(found[key] for key in wanted if key in found)
            save(HostLatencies(machine=machine, times=ordered))
    if machine and machine.noisy:
        emit(NoisyHost(machine.noisy))


_INTERPRETERS: Final[dict[Kernels, str]] = {"xnnpack": "xnnpack", "reference": "litert"}


def _runs(network: Network, kernels: Kernels, emit: Emit) -> bool:
    why = refusals(network.path, cache_folder()).get(_INTERPRETERS[kernels])
    if why is None:
        return True
    what = f"LiteRT's {kernels} kernels cannot run {network.path.name} ({why})"
    emit(Untimed(network.name, network.graph.precision, what))
    return False


def _time(
    network: Network, data: Dataset, kernels: Kernels, n: int, timing: HostTiming, emit: Emit
) -> HostTimes | None:
    graph = network.graph

    def tell(done: int, total: int) -> None:
        emit(TimingHost(network.name, graph.precision, kernels, done, total))

    try:
        taken = taken_by(network)
        x = encoded([samples[:n] for samples in samples_of(data, taken)], taken)
        invokes = time_invokes(
            network.path, x, kernels, threads=timing.threads, clock=timing.clock, progress=tell
        )
    except (DataError, ModelError) as problem:
        emit(Untimed(network.name, graph.precision, str(problem)))
        return None
    return HostTimes(
        model=network.name,
        precision=graph.precision,
        model_sha256=graph.sha256,
        kernels=kernels,
        version=invokes.version,
        threads=invokes.threads,
        first=invokes.first,
        times=invokes.times,
    )


@dataclass(frozen=True, slots=True)
class _Before:
    """What an earlier try has stored, as far as it still holds: for this computer, which has
    ``cpu`` and ``cores``, and for ``n`` samples."""

    stored: HostLatencies | None
    cpu: str
    cores: int
    timing: HostTiming
    n: int

    def times(self, key: Key) -> HostTimes | None:
        """The stored times of a model; None if they are to be measured."""
        return next((one for one in self._holds() if _key(one) == key), None)

    def machine(self, load: float | None, busy: float | None) -> HostMachine:
        """This computer; its loads are the highest of all tries that measured something."""
        if self.stored and self._holds():
            load = max((x for x in (load, self.stored.machine.load) if x is not None), default=None)
            busy = max((x for x in (busy, self.stored.machine.busy) if x is not None), default=None)
        rule = governor()
        return HostMachine(
            cpu=self.cpu,
            cores=self.cores,
            governor=rule,
            load=load,
            busy=busy,
            noisy=noise(busy, rule, virtual=is_virtual()),
        )

    def _holds(self) -> list[HostTimes]:
        old = self.stored
        if old is None or (old.machine.cpu, old.machine.cores) != (self.cpu, self.cores):
            return []
        return [
            one
            for one in old.times
            if (one.version, one.threads, len(one.times))
            == (version_of(one.kernels), threads_of(one.kernels, self.timing.threads), self.n)
        ]


def _key(times: HostTimes) -> Key:
    return times.model_sha256, times.kernels


def noise(busy: float | None, rule: str, *, virtual: bool) -> str:
    """Why times on a computer may not repeat, in words; empty if nothing shows that.

    ``busy``: cores that other processes kept busy. ``rule``: the governor; only "performance" keeps
    the clock up, and an empty one is not known. ``virtual``: a hypervisor may run others here.
    """
    reasons = []
    if busy is not None and busy > QUIET_CORES:
        reasons.append(f"other processes kept {busy:.1f} cores busy")
    if rule not in ("", "performance"):
        reasons.append(f"the governor {rule} changes the processor's clock")
    if virtual:
        reasons.append("it is a virtual machine")
    return "; ".join(reasons)
