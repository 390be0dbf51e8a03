"""What the host answers to every sample of a run, computed once a network and data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import platformdirs

from hil.bench.cells import Network
from hil.compare import Expected
from hil.records import Dataset
from hil.reference import Reference, encode_inputs, litert, oracle, predict_cached, xnnpack

Tell: TypeAlias = Callable[[str, int, int], None]  # which reference, samples done, samples in all
Maker: TypeAlias = Callable[[Path], Reference]


def cache() -> Path:
    """Where answers are kept."""
    return platformdirs.user_cache_path("tinyml-hil") / "reference"


def expect(
    network: Network, data: Dataset, tell: Tell, *, with_oracle: bool, with_xnnpack: bool
) -> Expected:
    """What each reference answers to all of ``data``."""
    return Expected(
        predict(litert, network, data, tell),
        predict(oracle, network, data, tell) if with_oracle else None,
        predict(xnnpack, network, data, tell) if with_xnnpack else None,
    )


def predict(
    make: Maker, network: Network, data: Dataset, tell: Tell, directory: Path | None = None
) -> npt.NDArray[np.generic]:
    """What one reference answers, (n, output elements); from `cache`, where that holds it."""
    reference, spec = make(network.path), network.graph.input
    return predict_cached(
        reference,
        data.x,
        fingerprint=data.fingerprint,
        ids=data.ids,
        directory=directory or cache(),
        progress=lambda done, total: tell(reference.name, done, total),
        encode=lambda samples: encode_inputs(samples, spec),
    )
