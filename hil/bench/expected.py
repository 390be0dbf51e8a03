# SPDX-License-Identifier: Apache-2.0
"""The host's answers to every sample, computed once per network and data set, and cached."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.bench.cases import Network
from hil.bench.events import Emit, Referencing
from hil.bench.inputs import encoded, samples_of, taken_by
from hil.bench.prepare import Prepared, output_of
from hil.core.errors import HilError
from hil.core.processes import serve, start, stop
from hil.core.records import Dataset
from hil.reference import (
    Reference,
    cache_folder,
    convert_outputs,
    litert,
    oracle,
    predict_cached,
    xnnpack,
)
from hil.runs.schema import RunPlan


@dataclass(frozen=True)
class Expected:
    """The host's answers, one row per sample, in the device's output type; of several outputs, the
    bytes of all of them, as a RESULT has them.

    ``litert``: LiteRT with its reference kernels, which users compare with, or what stands in for
    it (`RunPlan.host`); None without a model file. ``oracle``: TFLM, None where it cannot run.
    ``xnnpack``: LiteRT with its default kernels, None if not requested.
    """

    litert: npt.NDArray[np.generic] | None
    oracle: npt.NDArray[np.generic] | None
    xnnpack: npt.NDArray[np.generic] | None = None


Tell: TypeAlias = Callable[[str, int, int], None]  # reference, samples done, samples in total
Maker: TypeAlias = Callable[[Path], Reference]


def host_maker(plan: RunPlan) -> Maker:
    """The interpreter whose answers are the host's."""
    if not plan.host:
        return litert
    return oracle if plan.oracle else xnnpack


def expect(item: Prepared, data: Dataset, emit: Emit) -> Expected:
    """The answers of each reference of a run to all samples of ``data``."""
    network, plan = item.case.network, item.plan
    if network is None:
        return Expected(None, None)

    def tell(reference: str, done: int, total: int) -> None:
        emit(Referencing(plan.key, reference, done, total))

    def of(make: Maker) -> npt.NDArray[np.generic]:
        outputs = predict(make, network, data, tell)
        if len(network.graph.outputs) > 1:  # only of our firmware, whose types are the file's
            return outputs
        return convert_outputs(outputs, network.graph.output, output_of(plan))

    return Expected(
        of(host_maker(plan)),
        of(oracle) if plan.oracle else None,
        of(xnnpack) if plan.xnnpack else None,
    )


def predict(
    make: Maker, network: Network, data: Dataset, tell: Tell, directory: Path | None = None
) -> npt.NDArray[np.generic]:
    """The answers of one reference, as `hil.reference.Reference.predict`; from the cache if they
    are there. A network with state sees all samples as one sequence."""
    reference, taken = make(network.path), taken_by(network)
    return predict_cached(
        reference,
        samples_of(data, taken),
        fingerprint=data.fingerprint,
        ids=data.ids,
        directory=directory or cache_folder(),
        progress=lambda done, total: tell(reference.name, done, total),
        encode=lambda samples: encoded(tuple(samples), taken),
    )


LEAST: Final = 1000  # samples: fewer take less time than starting a process
# the reverse of a run's order, so that the first run and this process share the work
_MAKERS: Final = (xnnpack, oracle, litert)


@contextlib.contextmanager
def computed_ahead(networks: Sequence[Network], data: Dataset) -> Iterator[None]:
    """During the ``with`` block, another process fills the cache with the answers of ``networks``.

    Its errors are ignored: the run that needs the answers fails in the same way and reports it.
    No process is started for few samples, or if the cache is not writable.
    """
    directory = cache_folder()
    if len(data) < LEAST or not _writable(directory):
        yield
        return
    worker = start(_main)
    try:
        different = {network.graph.sha256: network for network in networks}
        with contextlib.suppress(OSError):  # it died: the runs compute their own answers
            worker.pipe.send((tuple(different.values()), data, directory))
        yield
    finally:
        stop([worker])


def _writable(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
    return os.access(directory, os.W_OK)


def _main(pipe: Connection) -> None:
    serve(pipe, lambda: _work(*pipe.recv()))


def _work(networks: Sequence[Network], data: Dataset, directory: Path) -> None:
    for network in networks:
        for make in _MAKERS:
            with contextlib.suppress(HilError):
                predict(make, network, data, _silent, directory)


def _silent(_: str, __: int, ___: int) -> None:
    """Ignore progress: the run that needs the answers reports it."""
