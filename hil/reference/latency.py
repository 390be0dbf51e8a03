# SPDX-License-Identifier: Apache-2.0
"""How long LiteRT takes for one sample on this computer: `invoke` alone, on a monotonic clock.

Not timed: loading the model, encoding a sample, copying it into the input tensor, reading the
output. Timed with ``invoke``: Python's call of it, about 0.1 us.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from hil.reference.interpreters import (
    Progress,
    Values,
    cannot_run,
    litert_tensors,
    litert_version,
    load_litert,
    read,
    xnnpack_version,
)

Kernels: TypeAlias = Literal["xnnpack", "reference"]
Clock: TypeAlias = Callable[[], int]  # nanoseconds
T = TypeVar("T")  # a sample

KERNELS: Final[tuple[Kernels, ...]] = ("xnnpack", "reference")

# Warm-up: the first invokes pay for page faults, empty caches and the start of XNNPACK's threads,
# and a processor needs some ten milliseconds to raise its clock. So at least five invokes, and more
# until 50 ms are over; no more than 1,000, whatever the clock says.
WARM_UP_LEAST: Final = 5
WARM_UP_MOST: Final = 1000
WARM_UP_NS: Final = 50_000_000

_EVERY: Final = 64  # samples between two calls of the progress callback, which disturbs the caches


@dataclass(frozen=True, slots=True)
class Invokes:
    """Durations of LiteRT's ``invoke``, in nanoseconds.

    ``first``: the first one after loading. ``times``: one per sample, in order, after warm-up.
    ``threads``: those that the kernels can use.
    """

    version: str
    threads: int
    first: int
    times: tuple[int, ...]


def version_of(kernels: Kernels) -> str:
    """Name and version of LiteRT with these kernels."""
    return xnnpack_version() if kernels == "xnnpack" else litert_version()


def threads_of(kernels: Kernels, requested: int) -> int:
    """The threads that these kernels use: the reference kernels run on one, whatever they get."""
    return requested if kernels == "xnnpack" else 1


def time_invokes(
    path: Path,
    x: Values,
    kernels: Kernels,
    *,
    threads: int = 1,
    clock: Clock = time.perf_counter_ns,
    progress: Progress | None = None,
) -> Invokes:
    """Time one invoke for each sample of ``x``: values as for `Reference.predict`.

    Python's garbage collector is paused meanwhile. Raises `ModelError` if LiteRT cannot run the
    model.
    """
    data, _ = read(path)
    used = threads_of(kernels, threads)
    try:
        interpreter = load_litert(data, default_kernels=kernels == "xnnpack", threads=used)
        sources, _ = litert_tensors(interpreter)
        arrays = (x,) if isinstance(x, np.ndarray) else tuple(x)

        def give(sample: tuple[npt.NDArray[np.generic], ...]) -> None:
            for index, values in zip(sources, sample, strict=True):
                interpreter.set_tensor(index, values)

        samples = list(zip(*arrays, strict=True))
        with _no_collector():
            first, times = measure(give, interpreter.invoke, samples, clock, progress)
    except (ValueError, RuntimeError) as error:
        raise cannot_run("LiteRT", path, error) from error
    return Invokes(version_of(kernels), used, first, times)


def measure(
    give: Callable[[T], None],
    invoke: Callable[[], Any],
    x: Sequence[T],
    clock: Clock,
    progress: Progress | None = None,
) -> tuple[int, tuple[int, ...]]:
    """The first duration of ``invoke``, and after warm-up one for each of ``x``.

    ``give`` passes a sample to the interpreter, and is not timed.
    """

    def timed(sample: T) -> int:
        give(sample)
        start = clock()
        invoke()
        return clock() - start

    first, start = timed(x[0]), clock()
    for i in range(1, WARM_UP_MOST + 1):
        timed(x[i % len(x)])
        if i >= WARM_UP_LEAST and clock() - start >= WARM_UP_NS:
            break
    times = []
    for i, sample in enumerate(x, 1):
        times.append(timed(sample))
        if progress and (i % _EVERY == 0 or i == len(x)):
            progress(i, len(x))
    return first, tuple(times)


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """Pause Python's garbage collector."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
