"""A stored run as a pandas table, for questions that no report asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hil.records import DType
from hil.runlog.load import StoredRun, load


def read_frame(folder: Path) -> pd.DataFrame:
    """`frame` of a run's folder. StorageError as `hil.runlog.load.load`."""
    return frame(load(folder))


def frame(run: StoredRun) -> pd.DataFrame:
    """One row an answered sample: board, engine, model, precision, id, label, the answers of
    device and host (LiteRT), whether every output byte equals LiteRT's, the oracle's and
    LiteRT's default kernels' (None without one), time in ``unit``, attempts, whether a fault
    came between (its times are then no latency), round trip in microseconds of the host."""
    manifest = run.manifest
    plans = {plan.key: plan for plan in manifest.runs}
    rows = []
    for sample in (one for some in run.samples.values() for one in some):
        plan = plans[sample.run]
        kind = DType(plan.output.dtype).numpy
        litert = sample.device if sample.litert is None else sample.litert
        rows.append(
            {
                "board": plan.board,
                "engine": plan.engine,
                "model": plan.model,
                "precision": plan.precision,
                "id": sample.id,
                "label": sample.label,
                "device": int(np.frombuffer(sample.device, kind).argmax()),
                "host": int(np.frombuffer(litert, kind).argmax()),
                "equals_litert": sample.litert is None,
                "equals_oracle": sample.oracle is None if plan.oracle else None,
                "equals_xnnpack": sample.xnnpack is None if plan.xnnpack else None,
                "time": sample.time,
                "unit": plan.clock.unit,
                "attempts": sample.attempts,
                "disturbed": sample.disturbed or sample.attempts > 1,
                "round_trip": sample.round_trip,
            }
        )
    return pd.DataFrame(rows)
