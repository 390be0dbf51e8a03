# SPDX-License-Identifier: Apache-2.0
"""`hil mlperf` and `hil mlperf-data`: run MLPerf Tiny, or prepare data for its own runner."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

from hil import datasets
from hil.api.records_mlperf import (
    MlperfAccuracy,
    MlperfDataOutput,
    MlperfEnergy,
    MlperfEnergyWindow,
    MlperfOutput,
    MlperfWindow,
)
from hil.bench.inputs import Taken
from hil.bench.lines import type_of
from hil.bench.source import Source
from hil.boards.config import load_board
from hil.cli.console import Downloads, out, progress, say
from hil.cli.data import DataOption, InputOption, ResizeOption, TargetOption
from hil.cli.output import result
from hil.cli.output import shown as shown_path
from hil.core.errors import UsageError, unknown
from hil.energy import Instrument, powered
from hil.firmware import find_project
from hil.mlperf.data import TESTS, DataFolder, export, require_labels
from hil.mlperf.dut import Identity
from hil.mlperf.energy import Energy, refuse_without_gate
from hil.mlperf.measure import Accuracy
from hil.mlperf.protocol import shown
from hil.mlperf.session import MODES, Outcome, is_pty, on_board, on_port, refuse_emulated_time, run
from hil.runs.log import run_folder

NOT_AS_EXPECTED: Final = 1


def mlperf(
    data: Annotated[
        Path,
        typer.Option("--data", help="Folder with y_labels.csv, or with one such folder per model."),
    ],
    port: Annotated[str | None, typer.Option("--port", help="The device's port.")] = None,
    baud: Annotated[int | None, typer.Option("--baud", help="Baud rate; default: 115200.")] = None,
    mode: Annotated[
        str, typer.Option("--mode", help="accuracy, performance or energy.")
    ] = "accuracy",
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="A new folder; default: one in results/.")
    ] = None,
    board: Annotated[
        str | None,
        typer.Option("--board", help="Emulated board to build and start, or the board on --port."),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="With --board: teacher, student, or a .tflite file.")
    ] = "student",
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="With --board: float32 or int8; default: int8."),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="With --board: inference engine.")
    ] = "aot",
    dataset: Annotated[
        str, typer.Option("--dataset", help="With --board: the data set of the network.")
    ] = "auto",
    read_back: Annotated[
        bool,
        typer.Option("--read-back", help="Read loaded samples and results back, and compare them."),
    ] = False,
    emulated: Annotated[
        bool,
        typer.Option("--emulated", help="The device on --port is emulated; implied for a pty."),
    ] = False,
    power: Annotated[
        str | None,
        typer.Option("--power", help="Instrument of --mode energy, as ppk2:PORT (docs/energy.md)."),
    ] = None,
    voltage: Annotated[
        float | None,
        typer.Option(
            "--voltage", help="Volts of the supply, for an instrument that does not measure them."
        ),
    ] = None,
    supply: Annotated[
        float | None,
        typer.Option(
            "--supply",
            help="Volts that the instrument is to supply; default: the power stays as it is.",
        ),
    ] = None,
    gate: Annotated[
        str,
        typer.Option("--gate", help="Digital input of the pin; default: the instrument's first."),
    ] = "",
) -> None:
    """Run MLPerf Tiny on any device that speaks its protocol, and write a submission's files.

    Exit code 1 if a rule is broken: a window shorter than 10 s, results that are not
    probabilities, or two clocks that disagree.
    """
    wanted = next((one for one in MODES if one == mode), None)
    if wanted is None:
        raise unknown(f"--mode {mode} is unknown", mode, MODES)
    if not port and not board:
        raise UsageError("no device is given", "give --port, or --board mps2 or native")
    project = find_project()
    kind = load_board(board, project) if board else None
    emulated = emulated or bool(port and is_pty(port)) or bool(kind and kind.emulator)
    if (wanted == "energy") != (power is not None):
        raise UsageError("--mode energy and --power need each other", "add the other one")
    if wanted != "energy":
        refuse_emulated_time(wanted, emulated=emulated)
    require_labels(data)  # before anything is built
    if port:
        target = on_port(port, baud, kind, emulated=emulated)
    else:
        assert kind
        target = on_board(kind, project, model, precision, engine, dataset)
    name = kind.name if kind else "board"
    with (
        _powered(power, voltage, supply, gate, emulated=emulated) as instrument,
        run_folder(out_folder, name, "mlperf", mode) as folder,
        _Watching() as watching,
        target as found,
    ):
        outcome = run(
            found.link,
            data,
            folder,
            wanted,
            emulated=found.emulated,
            command=sys.argv[1:],
            watcher=watching,
            read_back=read_back,
            instrument=instrument,
        )
    _show(outcome)
    if outcome.faults:
        raise typer.Exit(NOT_AS_EXPECTED)


@contextmanager
def _powered(
    power: str | None, voltage: float | None, supply: float | None, gate: str, *, emulated: bool
) -> Iterator[Instrument | None]:
    """The opened instrument of energy mode; None in the others."""
    if power is None:
        yield None
        return

    def check(instrument: Instrument) -> None:
        refuse_without_gate(instrument)
        refuse_emulated_time("energy", emulated=emulated, instrument=instrument)

    with powered(
        power, voltage=voltage, supply=supply, gate=gate, pulses=True, check=check
    ) as instrument:
        yield instrument


def mlperf_data(
    folder: Annotated[
        Path, typer.Option("--out", help="Output folder: the runner's --dataset_path.")
    ],
    dataset: Annotated[
        str, typer.Option("--dataset", help=f"One of auto, {', '.join(datasets.NAMES)}.")
    ] = "auto",
    data: DataOption = None,
    target: TargetOption = None,
    resize: ResizeOption = None,
    input: InputOption = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Number of samples, at least one of every class.")
    ] = None,
    model_id: Annotated[
        str, typer.Option("--model-id", help="The id that the device reports for `profile`.")
    ] = "",
) -> None:
    """Write a data set and test scripts for MLCommons' runner."""
    source = Source(data, dataset, target, resize, input).resolved()
    with Downloads() as downloads:
        samples, note = source.read(progress=downloads)
    if note:
        say(note)
    device = Taken("the device", (type_of(samples),))  # it takes the bytes that are written
    samples = source.fed(samples, [device])
    name = samples.name
    written = export(samples, folder, model_id, limit)
    count = min(limit or len(samples), len(samples))
    tests = tuple(shown_path(folder / name) for name in TESTS.values())
    result(MlperfDataOutput(dataset=name, samples=count, folder=shown_path(written), tests=tests))
    where = ", ".join(str(folder / name) for name in TESTS.values())
    out.print(escape(f"{count:,} samples of {name} in {written}"), soft_wrap=True)
    out.print(escape(f"test scripts for MLCommons' runner: {where}"), soft_wrap=True)
    out.print(escape(f"with hil: hil mlperf --data {written} --port PORT"), soft_wrap=True)


class _Watching:
    """Shows the progress of a session."""

    def __init__(self) -> None:
        self._bars = progress()
        self._task = self._bars.add_task("preparing the device", total=None)

    def __enter__(self) -> _Watching:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def found(self, device: Identity, data: DataFolder) -> None:
        """Print what the device reported."""
        say(
            f"device [{shown(device.vendor)}] runs model [{shown(device.model)}]: "
            f"{len(data.items):,} files of {data.classes} classes"
        )
        self._bars.update(self._task, description=escape(shown(device.model)))

    def done(self, count: int, total: int) -> None:
        """``count`` of ``total`` are done."""
        self._bars.update(self._task, completed=count, total=total)


def _show(outcome: Outcome) -> None:
    found = outcome.found
    result(_record(outcome))
    if isinstance(found, Accuracy):
        count = "" if found.correct is None else f" ({found.correct:,} of {found.n:,})"
        out.print(f"Top-1 {found.top1:.2f} %{count}, AUC {found.auc:.4f}")
    elif isinstance(found, Energy):
        for number, trial in enumerate(found.windows, 1):
            out.print(
                f"window {number}: {trial.iterations:,} inferences in {trial.seconds:.3f} s, "
                f"{trial.per_inference * 1e6:,.3f} uJ each"
            )
        out.print(f"median {found.median * 1e6:,.3f} uJ per inference at {found.volts:.3g} V")
        if found.simulated:
            out.print("the instrument is simulated: no energy is measured")
    else:
        for number, window in enumerate(found.windows, 1):
            out.print(
                f"window {number}: {window.iterations:,} inferences in {window.us / 1e6:.3f} s, "
                f"{window.rate:,.3f}/s"
            )
        out.print(f"median {found.median:,.3f} inferences/s")
    if outcome.retries:
        out.print(f"{outcome.retries:,} retries; no figure includes them")
    if outcome.emulated:
        out.print("the device is emulated: these figures are not measured times")
    for fault in outcome.faults:
        out.print(f"[bold red]not as expected:[/] {escape(fault)}", soft_wrap=True)
    out.print(escape(f"submission and run folder: {outcome.folder}"), soft_wrap=True)


def _record(outcome: Outcome) -> MlperfOutput:
    found = outcome.found
    accuracy = windows = median = energy = None
    if isinstance(found, Accuracy):
        accuracy = MlperfAccuracy(**dataclasses.asdict(found))
    elif isinstance(found, Energy):
        energy = MlperfEnergy(
            instrument=shown(found.instrument),
            volts=found.volts,
            simulated=found.simulated,
            median=found.median,
            windows=tuple(
                MlperfEnergyWindow(
                    iterations=one.iterations, seconds=one.seconds, joules=one.joules
                )
                for one in found.windows
            ),
        )
    else:
        windows = [(one.iterations, one.us, one.rate) for one in found.windows]
        median = found.median
    return MlperfOutput(
        folder=shown_path(outcome.folder),
        vendor=shown(outcome.device.vendor),
        model=shown(outcome.device.model),
        emulated=outcome.emulated,
        retries=outcome.retries,
        faults=outcome.faults,
        accuracy=accuracy,
        windows=tuple(
            MlperfWindow(iterations=n, us=us, rate=rate) for n, us, rate in windows or ()
        ),
        median=median,
        energy=energy,
    )
