# SPDX-License-Identifier: Apache-2.0
"""Stored runs whose plan is that of an MLPerf Tiny network, without the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from hil.core.records import TimeUnit
from hil.league.published import NetworkName
from hil.runs.load import StoredRun
from hil.runs.schema import CYCLES, RunPlan, Tensor
from hil.runs.schema_cycles import CycleEstimate
from tests.support import reports

# MACs, parameters, shapes of input and output, as Netron shows them
SHAPES: Final[dict[NetworkName, tuple[int, int, tuple[int, ...], tuple[int, ...]]]] = {
    "ad": (264_192, 265_864, (1, 640), (1, 640)),
    "kws": (2_656_768, 22_604, (1, 49, 10, 1), (1, 12)),
    "ic": (12_501_632, 77_706, (1, 32, 32, 3), (1, 10)),
    "vww": (7_489_664, 210_850, (1, 96, 96, 3), (1, 2)),
}


def plan(
    network: NetworkName = "kws",
    *,
    board: str = "mps2",
    unit: TimeUnit = "instructions",
    precision: str = "int8",
    **changes: object,
) -> RunPlan:
    macs, parameters, inputs, outputs = SHAPES[network]
    kind = 9 if precision == "int8" else 0
    of = reports.plan(network, precision, board=board, unit=unit)
    return msgspec.structs.replace(
        of,
        macs=macs,
        parameters=parameters,
        input=Tensor(dtype=kind, shape=inputs, scale=0.5, zero_point=0),
        output=Tensor(dtype=kind, shape=outputs, scale=0.5, zero_point=0),
        task="none",
        **changes,
    )


def stored(*plans: RunPlan, time: int, cycles: Sequence[int] = (), n: int = 3) -> StoredRun:
    """Runs in which each inference took ``time``; ``cycles``: the estimate of each plan."""
    found = reports.run(*plans, n=n)
    samples = {
        key: tuple(msgspec.structs.replace(one, time=time, label=-1) for one in some)
        for key, some in found.samples.items()
    }
    estimates = tuple(
        CycleEstimate(
            run=of.key, id="0", core="cortex-m7", llvm="14", cycles=one, instructions=time
        )
        for of, one in zip(plans, cycles, strict=False)
    )
    dataset = msgspec.structs.replace(found.manifest.dataset, labelled=False)
    manifest = msgspec.structs.replace(found.manifest, dataset=dataset)
    return StoredRun(manifest, samples, {}, torn=False, estimates=estimates)


def written(folder: Path, run: StoredRun) -> Path:
    """The run's folder, as the bench leaves it."""
    reports.write(folder, run.manifest, (one for some in run.samples.values() for one in some))
    if run.estimates:
        (folder / CYCLES).write_bytes(msgspec.json.encode(run.estimates))
    return folder
