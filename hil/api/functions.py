# SPDX-License-Identifier: Apache-2.0
"""`hil.bench`, `hil.compare`, `hil.quantcheck`, `hil.conform` and `hil.boards`: for Python code and
notebooks.

`hil` imports this module when one of them is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, Unpack

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from hil import datasets
from hil.api.bench import answered, how_to_resume, run_bench
from hil.api.boards import list_boards
from hil.api.conform import Conformed, ConformOptions, Noted, run_conform
from hil.api.options import BenchOptions
from hil.api.progress import Progress, watcher
from hil.api.quantcheck import check_files
from hil.bench.events import Event, Starting
from hil.bench.source import Source
from hil.compare.compare import compare_runs
from hil.compare.limits import read_limits
from hil.compare.notebook import Compared
from hil.conform.run import COUNT
from hil.conform.shrink import ROUNDS
from hil.core.errors import DeviceError, HilError, UsageError
from hil.core.records import Dataset
from hil.firmware import find_project
from hil.report import write
from hil.runs.notebook import Run, read
from hil.runs.schema_quant import QuantPair

File: TypeAlias = str | PathLike[str]
Array: TypeAlias = npt.NDArray[Any]
Data: TypeAlias = File | Dataset | Array | tuple[Array, Array | None]


class More(TypedDict, total=False):
    """The further options of `hil bench`; see `hil bench --help`."""

    teacher: File | Iterable[File]
    student: File | Iterable[File]
    target: str
    resize: str
    input: str
    port: str
    flash: bool
    sketch: File
    firmware: File
    tolerance: float
    clock: str
    chaos: str
    power: str
    voltage: float
    supply: float
    gate: str
    idle_mode: str
    protocol: str
    pattern: str | Iterable[str]
    send: str
    send_type: str
    end: str
    repeat: int
    timeout: float
    baud: int
    classes: str
    outputs: int
    name: str
    host_samples: int
    host_threads: int


def bench(
    model: File | Iterable[File] = (),
    data: Data | None = None,
    *,
    board: str | Iterable[str] = "auto",
    engine: str | Iterable[str] = "aot",
    precision: str | Iterable[str] = (),
    dataset: str = "auto",
    calibrate: Data | None = None,
    limit: int | None = None,
    out: File | None = None,
    jobs: int | None = None,
    layers: bool = False,
    profile: bool = False,
    cycles: bool = False,
    progress: Progress = None,
    **more: Unpack[More],
) -> Run:
    """Run models on boards, compare every answer with the host's, and write a report.

    A result that is not as expected raises nothing: `Run.problems` lists what is wrong.

    Args:
        model: a ``.tflite`` file, a model to convert, "teacher" or "student", or several of them;
            default: teacher and student.
        data: samples: what --data takes (a file, a name, "random"), a `hil.core.records.Dataset`,
            an array x of samples, or (x, y) with labels. Without it, ``dataset``.
        board: "mps2", "native", "esp32dev@/dev/ttyUSB0", ...; or several. "auto": mps2 if its tools
            are installed, else native. "all": every emulated board whose tools are installed.
        engine: "aot", "tflm", ...; or several.
        precision: "float32" or "int8"; default: all that there are.
        dataset: "mnist", "digits", "tabular", "noise", "cifar10"; "auto": MNIST, else digits.
        calibrate: like ``data``: the samples that a model to convert (``.keras``, a SavedModel
            folder) is calibrated on; default: ``data``.
        limit: samples per run; None: all.
        out: the run's folder; None: a new one in ``results/``. An interrupted run in it is resumed.
        jobs: emulators at once; None: one per core.
        layers: compare the first sample layer by layer, also if its output is right.
        profile: also measure the time of each layer.
        cycles: also estimate the cycles of an emulated core, by a model of LLVM's.
        progress: True or False, or a function that takes each event of `hil.bench.events`; None:
            shown in notebooks and at terminals.
        more: all other options of `hil bench`, named like there: ``host_samples=0``.

    Raises:
        hil.errors.HilError: the bench cannot run, or a board failed. Answers that were stored by
            then stay: the hint names the folder.
    """
    given: dict[str, Any] = {
        "board": _names(board),
        "model": _names(model),
        "precision": _names(precision),
        "engine": _names(engine),
        "dataset": dataset,
        "data": _data(data),
        "calibrate": _data(calibrate),
        "limit": limit,
        "out": _path(out),
        "jobs": jobs,
        "layers": layers,
        "profile": profile,
        "cycles": cycles,
        **more,
    }
    if unknown := set(given) - set(BenchOptions.__dataclass_fields__):
        raise TypeError(f"hil.bench() has no argument {min(unknown)!r}")
    for name in ("sketch", "firmware"):
        given[name] = _path(given.get(name))
    for name in ("teacher", "student", "pattern"):
        given[name] = _names(given.get(name, ()))
    options = BenchOptions(**given)
    shown = watcher(progress)
    folder: Path | None = None

    def emit(event: Event) -> None:
        nonlocal folder
        if isinstance(event, Starting):
            folder = event.folder
        shown(event)

    try:
        done = run_bench(options, emit, (_call(options),))
    except DeviceError as problem:
        if folder is None or not answered(folder):
            raise
        with suppress(HilError):
            write(folder)
        raise how_to_resume(problem, f"out={str(folder)!r}") from problem
    write(done)
    return read(done)


def compare(
    base: File | Run,
    new: File | Run,
    *,
    limits: File | None = None,
    allow: str | Iterable[str] = (),
    allow_missing: bool = False,
) -> Compared:
    """Whether each figure is better, worse, the same or undecided, as `hil compare` shows it.

    ``limits``: a limits.toml. ``allow``: fields that may differ. NotComparable if the runs measured
    different things.
    """
    if limits is not None and not Path(limits).is_file():
        raise UsageError(f"limits {limits}: the file does not exist", "check the path")
    held = read_limits(Path(limits)) if limits is not None else None
    found = compare_runs(
        _folder(base), _folder(new), held, allow=_names(allow), allow_missing=allow_missing
    )
    return Compared(found)


def quantcheck(
    float32: File,
    int8: File,
    data: Data,
    *,
    target: str | None = None,
    resize: str | None = None,
    input: str | None = None,
    limit: int | None = None,
    progress: Progress = None,
) -> QuantPair:
    """Where the file ``int8`` loses to the file ``float32`` that it was made from, as
    `hil quantcheck` shows it.

    Args:
        float32: a ``.tflite`` file.
        int8: the quantised ``.tflite`` file of the same network.
        data: samples, as for `bench`.
        target: of a .csv: the column with labels or targets.
        resize: of a folder of pictures: HEIGHTxWIDTH[xCHANNELS].
        input: what the values stand for; see `hil quantcheck --help`.
        limit: samples at most; None: 200.
        progress: as for `bench`.

    Raises:
        hil.errors.ModelError: the files are not two precisions of one network.
        hil.errors.DataError: the samples do not fit it.
    """
    source = Source(_data(data), target=target, resize=resize, input=input)
    return check_files(Path(float32), Path(int8), source, limit, watcher(progress))


def conform(
    *,
    board: str = "auto",
    engine: str = "aot",
    kernels: str | Iterable[str] = (),
    precisions: str | Iterable[str] = (),
    seed: int = 1,
    count: int = COUNT,
    rounds: int = ROUNDS,
    port: str | None = None,
    out: File | None = None,
    progress: Progress = None,
) -> Conformed:
    """Whether the kernels of an engine on a board compute what the reference computes.

    The arguments are the options of `hil conform`; ``progress`` as in `hil.bench`. Wrong answers
    raise nothing: see `Conformed.conforms`.

    Raises:
        hil.errors.HilError: the run cannot start, or the board failed.
    """
    options = ConformOptions(
        board, engine, _names(kernels), _names(precisions), seed, count, rounds, port, _path(out)
    )
    emit = watcher(progress)
    return run_conform(options, Noted(emit), ("hil.conform()",))


def boards(*, probe: bool = False) -> pd.DataFrame:
    """One row per known board, by name: title, clock, emulated, state, ports, missing, where, said.

    As `hil boards` lists them; `hil.api.boards.BoardState` says what the columns mean. ``probe``:
    ask each board what it runs, which may reset it.
    """
    found = list_boards(find_project(), probe=probe)
    rows = [msgspec.structs.asdict(one) for one in found.boards]
    return pd.DataFrame(rows).set_index("name")


def _names(given: File | Iterable[File]) -> tuple[str, ...]:
    return (str(given),) if isinstance(given, str | PathLike) else tuple(map(str, given))


def _folder(run: File | Run) -> Path:
    return run.folder if isinstance(run, Run) else Path(run)


def _path(given: Any) -> Path | None:
    return None if given is None else Path(given)


def _data(given: Data | None) -> datasets.Given | None:
    """A file or a name as it is; arrays as a data set."""
    if given is None or isinstance(given, Dataset | str):
        return given
    if isinstance(given, PathLike):
        return Path(given)
    if isinstance(given, tuple):
        if len(given) != 2:
            raise UsageError(f"data is a tuple of {len(given)}", "pass (x, y), or x alone")
        x, y = given
        return datasets.from_arrays(np.asarray(x), None if y is None else np.asarray(y))
    return datasets.from_arrays(np.asarray(given))


def _call(options: BenchOptions) -> str:
    """The call, for the manifest: what differs from the defaults."""
    words = []
    for name, value in options.given().items():
        shown = f"<{len(value)} samples of {value.name}>" if isinstance(value, Dataset) else ""
        if isinstance(value, tuple):
            value = value[0] if len(value) == 1 else list(value)
        words.append(f"{name}={shown or repr(str(value) if isinstance(value, Path) else value)}")
    return f"hil.bench({', '.join(words)})"
