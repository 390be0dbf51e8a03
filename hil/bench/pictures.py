"""Which digits a report will draw: those on which somebody is wrong or two disagree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import numpy as np

from hil.records import Dataset, DType
from hil.runlog.schema import Picture, Sample

MOST: Final = 256


def pictures(
    data: Dataset, samples: Iterable[Sample], dtypes: dict[str, DType]
) -> dict[str, Picture]:
    """Sample id -> picture, at most `MOST`, the most disputed first. Empty for data that
    is no picture; ``dtypes`` gives each run's output type."""
    if data.x.dtype != np.uint8 or data.x.ndim != 4 or data.x.shape[3] not in (1, 3):
        return {}
    answers: dict[str, set[int]] = defaultdict(set)
    index = {}
    for sample in samples:
        kind = dtypes[sample.run].numpy
        for raw in (sample.device, sample.litert):
            if raw is not None:
                answers[sample.id].add(int(np.frombuffer(raw, kind).argmax()))
        answers[sample.id].add(sample.label)
        index[sample.id] = sample.i
    disputed = [key for key, given in answers.items() if len(given) > 1]
    disputed.sort(key=lambda key: (-len(answers[key]), index[key]))
    return {key: _picture(data, index[key]) for key in disputed[:MOST]}


def _picture(data: Dataset, i: int) -> Picture:
    rows, columns, channels = data.x.shape[1:]
    return Picture(
        shape=(rows, columns), pixels=data.x[i].tobytes(), channels=3 if channels == 3 else 1
    )
