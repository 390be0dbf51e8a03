# SPDX-License-Identifier: Apache-2.0
"""`hil mlperf` and `hil mlperf-data`: MLPerf Tiny's protocol, with any device and any runner."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

from hil import datasets
from hil.boards.config import load_board
from hil.cli.console import Downloads, out, progress, say
from hil.core.errors import UsageError
from hil.firmware import find_project
from hil.mlperf.data import TESTS, DataFolder, export
from hil.mlperf.dut import Identity
from hil.mlperf.measure import Accuracy
from hil.mlperf.protocol import shown
from hil.mlperf.session import MODES, Outcome, is_pty, on_board, on_port, refuse_emulated_time, run

NOT_AS_EXPECTED: Final = 1


def mlperf(
    data: Annotated[
        Path, typer.Option("--data", help="Folder with y_labels.csv, or with one a model in it.")
    ],
    port: Annotated[str | None, typer.Option("--port", help="The device's port.")] = None,
    baud: Annotated[int | None, typer.Option("--baud", help="Its rate; default: 115200.")] = None,
    mode: Annotated[str, typer.Option("--mode", help="accuracy or performance.")] = "accuracy",
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="A new folder; default: one below results/.")
    ] = None,
    board: Annotated[
        str | None,
        typer.Option("--board", help="An emulated board to build and start, or what --port is."),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="With --board: the network, or a .tflite file.")
    ] = "student",
    precision: Annotated[
        str | None, typer.Option("--precision", help="With --board; default: int8.")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="With --board.")] = "aot",
    dataset: Annotated[
        str, typer.Option("--dataset", help="With --board: whose network.")
    ] = "auto",
    read_back: Annotated[
        bool, typer.Option("--read-back", help="Have loads and results said again, and compare.")
    ] = False,
    emulated: Annotated[
        bool, typer.Option("--emulated", help="What is on --port is no board; a pty is none.")
    ] = False,
) -> None:
    """Drive any device that speaks MLPerf Tiny's protocol, and write a submission's three files.

    Exit code 1 when a rule is not kept: a window shorter than 10 s, results that are no
    probabilities.
    """
    wanted = next((one for one in MODES if one == mode), None)
    if wanted is None:
        raise UsageError(f"no mode is called {mode!r}", f"there are: {', '.join(MODES)}")
    if not port and not board:
        raise UsageError("nothing says which device", "give --port, or --board mps2 or native")
    project = find_project()
    kind = load_board(board, project) if board else None
    emulated = emulated or bool(port and is_pty(port)) or bool(kind and kind.emulator)
    refuse_emulated_time(wanted, emulated=emulated)
    if port:
        target = on_port(port, baud, kind, emulated=emulated)
    else:
        assert kind
        target = on_board(kind, project, model, precision, engine, dataset)
    folder = out_folder or _new_folder(project, mode)
    with target as found, _Watching() as watching:
        outcome = run(
            found.link,
            data,
            folder,
            wanted,
            emulated=found.emulated,
            command=sys.argv[1:],
            watcher=watching,
            read_back=read_back,
        )
    _show(outcome)
    if outcome.faults:
        raise typer.Exit(NOT_AS_EXPECTED)


def mlperf_data(
    dataset: Annotated[
        str, typer.Option("--dataset", help=f"One of auto, {', '.join(datasets.NAMES)}.")
    ],
    folder: Annotated[Path, typer.Option("--out", help="The runner's --dataset_path.")],
    limit: Annotated[
        int | None, typer.Option("--limit", help="So many samples, with every class among them.")
    ] = None,
    model_id: Annotated[
        str, typer.Option("--model-id", help="What the device names in `profile`.")
    ] = "",
) -> None:
    """Write a data set in the layout that MLCommons' runner reads, with its test scripts."""
    with Downloads() as downloads:
        name, note = datasets.choose(dataset, progress=downloads)
        data = datasets.load(name, progress=downloads)
    if note:
        say(note)
    written = export(data, folder, model_id, limit)
    count = min(limit or len(data), len(data))
    where = ", ".join(str(folder / name) for name in TESTS.values())
    out.print(escape(f"{count:,} samples of {name} in {written}"), soft_wrap=True)
    out.print(escape(f"test scripts for MLCommons' runner: {where}"), soft_wrap=True)
    out.print(escape(f"with hil: hil mlperf --data {written} --port PORT"), soft_wrap=True)


class _Watching:
    """A bar, once there is something to count."""

    def __init__(self) -> None:
        self._bars = progress()
        self._task = self._bars.add_task("finding the device", total=None)

    def __enter__(self) -> _Watching:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def found(self, device: Identity, data: DataFolder) -> None:
        """The device has been found."""
        say(
            f"device [{shown(device.vendor)}] runs model [{shown(device.model)}]: "
            f"{len(data.items):,} files of {data.classes} classes"
        )
        self._bars.update(self._task, description=escape(shown(device.model)))

    def done(self, count: int, total: int) -> None:
        """``count`` of ``total`` are through."""
        self._bars.update(self._task, completed=count, total=total)


def _new_folder(project: Path, mode: str) -> Path:
    now = datetime.now(UTC)
    return project / "results" / f"{now:%Y%m%d-%H%M%S}-mlperf-{mode}"


def _show(outcome: Outcome) -> None:
    found = outcome.found
    if isinstance(found, Accuracy):
        count = "" if found.correct is None else f" ({found.correct:,} of {found.n:,})"
        out.print(f"Top-1 {found.top1:.2f} %{count}, AUC {found.auc:.4f}")
    else:
        for number, window in enumerate(found.windows, 1):
            out.print(
                f"window {number}: {window.iterations:,} inferences in {window.us / 1e6:.3f} s, "
                f"{window.rate:,.3f}/s"
            )
        out.print(f"median {found.median:,.3f} inferences/s")
    if outcome.retries:
        out.print(f"asked again {outcome.retries:,} times; nothing of those is in a figure")
    if outcome.emulated:
        out.print("the device is emulated: nothing here is a time")
    for fault in outcome.faults:
        out.print(f"[bold red]not as expected:[/] {escape(fault)}", soft_wrap=True)
    out.print(escape(f"submission and run folder: {outcome.folder}"), soft_wrap=True)
