# SPDX-License-Identifier: Apache-2.0
"""Stored runs made from a seed: as a bench would write them, and damaged ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET
from sklearn.datasets import load_digits

from hil.core.records import TimeUnit
from hil.runs.cells import Cell, cells
from hil.runs.load import StoredRun
from hil.runs.schema import (
    SCHEMA,
    Clock,
    DatasetUsed,
    Git,
    Host,
    Manifest,
    Memory,
    Picture,
    RunEnd,
    RunPlan,
    Sample,
    Tensor,
)
from hil.runs.schema_host import HostLatencies, HostMachine, HostTimes
from tests.support.quant_pairs import quant_pair

ORACLES = {"int8": "tflite-micro 0.dev20261023182759", "float32": "LiteRT BUILTIN_REF 2.3"}
# instructions, arena, model flash, accuracy; of the size of what was measured
NETS = {
    ("teacher", "float32"): (14_492_092, 28_544, 900_136, 0.99),
    ("teacher", "int8"): (6_533_441, 7_936, 228_904, 0.99),
    ("student", "float32"): (621_164, 5_472, 87_592, 0.97),
    ("student", "int8"): (412_385, 2_544, 23_480, 0.965),
}

Floats = npt.NDArray[np.float32]


def plan(
    model: str = "student",
    precision: str = "int8",
    *,
    board: str = "mps2",
    title: str = "QEMU mps2-an500 (Cortex-M7)",
    unit: TimeUnit = "instructions",
    oracle: str | None = None,
    toolchain: str = "GCC 12.2.1",
    classes: int = 10,
    tolerance: float = 0.0,
) -> RunPlan:
    """One run of the matrix, complete with hashes."""
    dtype = 9 if precision == "int8" else 0
    return RunPlan(
        key=f"{board}/aot/{model}/{precision}",
        board=board,
        board_title=title,
        emulated=unit in ("instructions", "cycles"),
        engine="aot",
        model=model,
        precision=precision,
        model_file=f"models/mnist/{model}_{precision}.tflite",
        model_sha256=hashlib.sha256(f"{model} {precision}".encode()).hexdigest(),
        parameters=21_898 if model == "student" else 225_034,
        macs=70_464 if model == "student" else 2_630_000,
        input=Tensor(dtype=dtype, shape=(1, 28, 28, 1), scale=1 / 255, zero_point=-128),
        output=Tensor(dtype=dtype, shape=(1, classes), scale=0.1, zero_point=3),
        firmware_sha256="cd" * 32,
        toolchain=toolchain,
        clock=Clock(
            unit=unit,
            detail="CMSDK TIMER0 under -icount shift=6",
            hertz=16_000_000 if unit == "cycles" else UNSET,
        ),
        oracle=ORACLES[precision] if oracle is None else oracle,
        tolerance=tolerance,
        tolerance_why="contracted" if tolerance else "",
    )


def matrix() -> list[RunPlan]:
    """Teacher and student in both precisions on the emulator."""
    return [plan(m, p) for m in ("teacher", "student") for p in ("float32", "int8")]


def end(of: RunPlan, n: int) -> RunEnd:
    """Memory and link of a finished run."""
    _, arena, flash, _ = NETS.get((of.model, of.precision), NETS["student", "int8"])
    return RunEnd(
        key=of.key,
        memory=Memory(
            arena=arena, flash_model=flash, flash_code=11_264, ram_static=arena + 3_120, stack=944
        ),
        bytes_out=n * 808,
        bytes_in=n * 40,
        seconds=n / 61,
        retries=0,
    )


def manifest(*plans: RunPlan, n: int = 200, **changes: object) -> Manifest:
    """A complete bench of ``n`` samples per run; ``changes`` replace fields."""
    found = Manifest(
        schema=SCHEMA,
        run_id="20260102-030405-mps2",
        created="2026-01-02T03:04:05Z",
        state="complete",
        command=("hil", "bench", "--limit", str(n)),
        hil="0.1.0",
        git=Git(commit="0123456789abcdef0123456789abcdef01234567", dirty=False),
        host=Host(
            platform="Linux-6.1-x86_64",
            cpu="x86_64, 2 cores",
            python="3.11.7",
            packages={"ai-edge-litert": "2.3.0", "numpy": "2.4.6"},
        ),
        dataset=DatasetUsed(name="mnist", split="test", fingerprint="ef" * 32, total=10_000, n=n),
        runs=plans,
        ends=tuple(end(p, n) for p in plans),
    )
    return msgspec.structs.replace(found, **changes)


def samples(
    of: RunPlan,
    n: int = 200,
    *,
    seed: int = 1,
    off_by_one: int = 0,
    broken: int = 0,
    constant: bool = False,
) -> list[Sample]:
    """Answers of one run: ``off_by_one`` of them differ from LiteRT by a step in an output that is
    not the answer, ``broken`` differ from the oracle and in the answer."""
    rng = np.random.default_rng([seed, sum(of.model.encode()), sum(of.precision.encode())])
    digits = np.random.default_rng(seed)
    classes = of.output.shape[-1]
    labels = digits.permutation(np.arange(n) % classes)
    hard = digits.random(n)  # the same samples are hard for every network
    cost, _, _, accuracy = NETS.get((of.model, of.precision), NETS["student", "int8"])
    if of.clock.unit == "us":
        cost //= 240
    dtype = np.dtype("i1" if of.precision == "int8" else "<f4")
    found = []
    for i in range(n):
        scores = rng.normal(-20, 10, classes)
        wrong = hard[i] + rng.normal(0, 0.01) > accuracy
        answer = (labels[i] + 1 + int(hard[i] * 1e4) % (classes - 1)) % classes
        scores[answer if wrong else labels[i]] = 60
        device = scores.astype(dtype)
        litert, oracle = None, None
        if i < off_by_one:
            other = device.copy()
            least = int(np.argmin(other))
            other[least] += dtype.type(1 if dtype.kind == "i" else 2**-18)
            litert = other.tobytes()
        elif i < off_by_one + broken:
            other = device.copy()
            other[(labels[i] + 1) % classes] = 90
            litert = oracle = other.tobytes()
        jitter = 0 if constant else int(rng.integers(0, cost // 40))
        time = None if of.clock.unit == "none" else cost + jitter
        found.append(
            Sample(
                run=of.key,
                i=i,
                id=f"mnist/test/{i:05d}",
                label=int(labels[i]),
                device=device.tobytes(),
                litert=litert,
                oracle=oracle,
                time=time,
            )
        )
    return found


def run_of(of: Manifest, stored: Iterable[Sample], *, torn: bool = False) -> StoredRun:
    """A stored run in memory; every planned run has its samples, or none."""
    by_run: dict[str, list[Sample]] = {one.key: [] for one in of.runs}
    for sample in stored:
        by_run[sample.run].append(sample)
    return StoredRun(of, {key: tuple(some) for key, some in by_run.items()}, {}, torn)


def run(*plans: RunPlan, n: int = 200, **how: Any) -> StoredRun:
    """A complete run of these plans; ``how`` as `samples`."""
    return run_of(manifest(*plans, n=n), (s for p in plans for s in samples(p, n, **how)))


def cells_of(stored: StoredRun) -> tuple[Cell, ...]:
    return cells(stored.manifest, stored.samples, stored.host, stored.targets)


def only(stored: StoredRun) -> Cell:
    """The cell of a run that has one."""
    (cell,) = cells_of(stored)
    return cell


def host(of: Manifest, n: int = 1000, *, noisy: str = "", threads: int = 1) -> HostLatencies:
    """LiteRT's times of every model of ``of``, for at most ``n`` samples.

    In nanoseconds, a fiftieth of its instructions with XNNPACK, a fifth with the reference kernels.
    """
    machine = HostMachine(
        cpu="Example CPU", cores=2, governor="performance", load=0.25, busy=0.01, noisy=noisy
    )
    found: dict[tuple[str, str], HostTimes] = {}
    kinds: tuple[tuple[Literal["xnnpack", "reference"], int], ...]
    kinds = (("xnnpack", 50), ("reference", 5))
    n = min(n, of.dataset.n)
    for one in of.runs:
        for kernels, share in kinds:
            cost = NETS.get((one.model, one.precision), NETS["student", "int8"])[0] // share
            rng = np.random.default_rng([cost, n])
            found[one.model_sha256, kernels] = HostTimes(
                model=one.model,
                precision=one.precision,
                model_sha256=one.model_sha256,
                kernels=kernels,
                version="LiteRT 2.3.0",
                threads=threads if kernels == "xnnpack" else 1,
                first=9 * cost,
                times=tuple(int(t) for t in rng.integers(cost, cost + cost // 10, n)),
            )
    return HostLatencies(machine=machine, times=tuple(found.values()))


def physical(times: Sequence[int], trips: Sequence[int] | None = None, **of_end: Any) -> StoredRun:
    """A run of one physical board with these times and round trips, in microseconds."""
    of = msgspec.structs.replace(plan(board="esp32", title="ESP32", unit="us"), emulated=False)
    n = len(times)
    stored = (
        msgspec.structs.replace(s, time=t, round_trip=trips[s.i] if trips else None)
        for s, t in zip(samples(of, n), times, strict=True)
    )
    ended = msgspec.structs.replace(end(of, n), **of_end)
    return run_of(manifest(of, n=n, ends=(ended,)), stored)


def pictures(stored: list[Sample]) -> dict[str, Picture]:
    """A real handwritten digit of the right label for every sample, drawn at 28 x 28."""
    data = load_digits()
    by_label = {k: data.images[data.target == k] for k in range(10)}
    found: dict[str, Picture] = {}
    for sample in stored:
        pool = by_label[sample.label % 10]
        grey = np.kron(pool[sample.i % len(pool)], np.ones((3, 3)))
        inked = np.pad(np.minimum(grey * 16, 255), 2).astype(np.uint8)
        found.setdefault(sample.id, Picture(shape=(28, 28), pixels=inked.tobytes()))
    return found


def write(
    folder: Path,
    of: Manifest,
    stored: Iterable[Sample],
    drawn: dict[str, Picture] | None = None,
    on_host: HostLatencies | None = None,
) -> Path:
    """Write a run's folder as the bench leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath("manifest.json").write_bytes(msgspec.json.encode(of))
    lines = b"".join(msgspec.json.encode(sample) + b"\n" for sample in stored)
    folder.joinpath("samples.jsonl").write_bytes(lines)
    if drawn is not None:
        folder.joinpath("digits.json").write_bytes(msgspec.json.encode(drawn))
    if on_host is not None:
        folder.joinpath("host.json").write_bytes(msgspec.json.encode(on_host))
    return folder


def full(folder: Path, n: int = 200) -> Path:
    """The `matrix`, with all outputs right."""
    plans = matrix()
    stored = [s for p in plans for s in samples(p, n, off_by_one=7 if p.precision == "int8" else 0)]
    return write(folder, manifest(*plans, n=n), stored, pictures(stored))


def hosted(folder: Path, n: int = 200) -> Path:
    """The `full` run, with LiteRT's times on the host, and what int8 loses."""
    full(folder, n)
    folder.joinpath("quant.json").write_bytes(msgspec.json.encode([quant_pair()]))
    on_host = host(manifest(*matrix(), n=n), n)
    folder.joinpath("host.json").write_bytes(msgspec.json.encode(on_host))
    return folder


def on_board(folder: Path, n: int = 200) -> Path:
    """Teacher and student on a board with a clock, with LiteRT's times on the host."""
    plans = [
        plan(m, p, board="esp32", title="ESP32 DevKit", unit="us")
        for m in ("teacher", "student")
        for p in ("float32", "int8")
    ]
    stored = [sample for one in plans for sample in samples(one, n)]
    of = manifest(*plans, n=n)
    return write(folder, of, stored, pictures(stored), host(of, n, noisy="load 3.2 on 2 cores"))


def interrupted(folder: Path, n: int = 200) -> Path:
    """The second run incomplete, the third not started, the last line cut off."""
    plans = [plan("teacher"), plan("student"), plan("student", "float32")]
    stored = samples(plans[0], n) + samples(plans[1], n)[: n // 3]
    of = manifest(*plans, n=n, state="interrupted", ends=(end(plans[0], n),))
    write(folder, of, stored, pictures(stored))
    with folder.joinpath("samples.jsonl").open("ab") as file:
        file.write(b'{"run":"mps2/aot/student/int8","i":66,"id":"mn')
    return folder


def timed(stored: StoredRun, **how: Any) -> StoredRun:
    """The same run with LiteRT's times on the host; ``how`` as `host`."""
    return replace(stored, host=host(stored.manifest, **how))


HOSTILE = "<script>alert(1)</script>|`x`\x1b[31m[a](http://evil)\u202e\n# Ω"


def hostile(folder: Path, n: int = 60) -> Path:
    """Boards with different clocks, one of which reports hostile strings about itself."""
    plans = [
        plan("teacher", title=HOSTILE, toolchain=HOSTILE),
        plan("student", title=HOSTILE, toolchain=HOSTILE),
        plan("teacher", board="esp32", title="ESP32 DevKit", unit="us"),
        plan("student", board="esp32", title="ESP32 DevKit", unit="us"),
        plan("student", "float32", board="native", title="this computer", unit="none"),
    ]
    stored = [s for p in plans for s in samples(p, n, broken=2 if p.board == "esp32" else 0)]
    stored[0] = msgspec.structs.replace(stored[0], id=HOSTILE)
    of = manifest(*plans, n=n, run_id=HOSTILE)
    on_host = host(of, n, noisy=HOSTILE)
    machine = msgspec.structs.replace(on_host.machine, cpu=HOSTILE, governor=HOSTILE)
    on_host = msgspec.structs.replace(on_host, machine=machine)
    pair = quant_pair(name=HOSTILE, layers=50)
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath("quant.json").write_bytes(msgspec.json.encode([pair]))
    return write(folder, of, stored, pictures(stored), on_host)
