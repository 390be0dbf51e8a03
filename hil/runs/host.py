# SPDX-License-Identifier: Apache-2.0
"""host.json read: which times of LiteRT on the host belong to a run, and their figures."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from hil import stats
from hil.runs.schema import (
    Manifest,
    RunPlan,
)
from hil.runs.schema_host import HostLatencies, HostTimes
from hil.runs.summary import HostLatency
from hil.stats import series
from hil.stats.series import AnySeries, Latencies, device_over_host


def fault(host: HostLatencies, manifest: Manifest) -> str:
    """What is wrong with a stored record; empty when nothing is."""
    machine, seen = host.machine, set()
    loads = [machine.load or 0.0, machine.busy or 0.0]
    if machine.cores < 1 or not all(math.isfinite(one) and one >= 0 for one in loads):
        return "the host has no cores, or a load that is not a positive number"
    known = {plan.model_sha256 for plan in manifest.runs if plan.litert}
    for one in host.times:
        name = f"{one.model} {one.precision} ({one.kernels})"
        if one.model_sha256 not in known:
            return f"the times of {name} do not fit any run"
        if (one.model_sha256, one.kernels) in seen:
            return f"the times of {name} are stored twice"
        if not 1 <= len(one.times) <= manifest.dataset.n:
            return f"{len(one.times)} times of {name} for {manifest.dataset.n} samples"
        if one.threads < 1 or min(one.first, *one.times) < 0:
            return f"a time of {name} is negative, or it has no thread"
        seen.add((one.model_sha256, one.kernels))
    return ""


def times_of(plan: RunPlan, host: HostLatencies | None) -> dict[str, HostTimes]:
    """The times of a run's model, by kernels; empty if it was not measured."""
    if host is None or not plan.litert:
        return {}
    return {one.kernels: one for one in host.times if one.model_sha256 == plan.model_sha256}


def latencies(times: HostTimes) -> series.HostLatencies:
    """The times after warm-up, in the run's order of samples."""
    return series.HostLatencies(np.array(times.times, np.int64))


def over_host(device: AnySeries | None, host: series.HostLatencies) -> stats.Estimate | None:
    """`device_over_host`; None unless a board's clock shows its latency, and both clocks advanced.

    An emulator has no latency, so its counts are not divided by a time.
    """
    if not isinstance(device, Latencies) or min(device.values.min(), host.values.min()) <= 0:
        return None
    return device_over_host(device, host)


def figures(
    device: AnySeries | None, times: Mapping[str, HostTimes]
) -> tuple[dict[str, HostLatency], dict[str, stats.Estimate]]:
    """The host's figures in a summary row by kernels, and their estimates by path in the row."""
    rows: dict[str, HostLatency] = {}
    estimates: dict[str, stats.Estimate] = {}
    for kernels, one in times.items():
        host = latencies(one)
        ratio = over_host(device, host)
        rows[kernels] = HostLatency(
            threads=one.threads,
            median=host.median.point,
            p5=stats.percentile(host.values, 5),
            p95=stats.percentile(host.values, 95),
            n=len(one.times),
            first=one.first,
            ratio=ratio.point if ratio else None,
        )
        estimates[f"host_latency.{kernels}.median"] = host.median
        if ratio:
            estimates[f"host_latency.{kernels}.ratio"] = ratio
    return rows, estimates
