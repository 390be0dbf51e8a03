# SPDX-License-Identifier: Apache-2.0
"""`hil listen`, and `hil bench --protocol text`: for sketches that cannot be changed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

from hil import datasets
from hil.bench.cases import Network
from hil.bench.host import HostTiming
from hil.bench.lines import Outcome, TextSetup
from hil.bench.listen import Chunk, Listening, from_file, from_link
from hil.bench.listen import listen as listen_to
from hil.bench.plan import one_of_each
from hil.bench.store import dataset_used
from hil.bench.text import BOOT_S, Sending
from hil.bench.text import bench as bench_text
from hil.boards.config import Board, load_board
from hil.boards.session import open_port
from hil.cli.console import Downloads, out, progress, say
from hil.cli.report import show_report
from hil.cli.running import Bars, again, answered, may_open, with_hint
from hil.core.errors import DeviceError, HilError, UsageError
from hil.core.records import Dataset, DType
from hil.core.text import shorten
from hil.device.text import FORMATS
from hil.engines import model_name
from hil.firmware import find_project
from hil.link import Link
from hil.link.serial_port import SerialLink
from hil.mlperf.session import is_pty
from hil.runs.log import run_folder
from hil.tflite import read_model
from hil.wire.patterns import READY, choose_patterns

BAUD: Final = 9600  # what most examples of sketches use
TYPES: Final = {"float32": DType.FLOAT32, "uint8": DType.UINT8, "int8": DType.INT8}
PATTERN_HELP: Final = (
    "How to read a line: a regular expression with groups such as (?P<label>[0-9]+), or "
    f"{', '.join(READY)}; repeatable."
)


def listen(
    port: Annotated[
        str, typer.Option("--port", help="Port that the sketch prints on, a saved log, or - .")
    ],
    pattern: Annotated[list[str], typer.Option("--pattern", help=PATTERN_HELP)] = [],
    board: Annotated[
        str | None, typer.Option("--board", help="Board, for its name and how to open the port.")
    ] = None,
    baud: Annotated[
        int | None, typer.Option("--baud", help="Baud rate; default: the board's, or 9600.")
    ] = None,
    classes: Annotated[
        str, typer.Option("--classes", help="Names of the classes in order: cat,dog,bird.")
    ] = "",
    outputs: Annotated[
        int | None,
        typer.Option("--outputs", help="Outputs of an answer; default: as in the first one."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Samples that the sketch predicts: an .npz file.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Or a data set: mnist, digits, ...")
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample", help="The only sample in the sketch, by its position in the data set."
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="The .tflite file that the sketch runs.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance", help="Difference of an output that is expected; default: as printed."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", help="Answers; default: until Ctrl-C or the log's end.")
    ] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="How long to listen.")] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Seconds without an answer, after which it fails.")
    ] = 60.0,
    name: Annotated[
        str, typer.Option("--name", help="Name and version of the sketch, for the report.")
    ] = "",
    emulated: Annotated[
        bool,
        typer.Option(
            "--emulated",
            help="The board is emulated: its times are not latencies. Implied "
            "for a pty and an emulated board.",
        ),
    ] = False,
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", help="Run folder. An interrupted run in it is resumed."),
    ] = None,
    open_report: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the report in a browser.")
    ] = None,
) -> None:
    """Collect predictions and times that a sketch prints by itself, and write a report.

    Nothing is sent to the sketch, and it need not be changed: --pattern says how to read its lines.
    With --data and --sample, or an index in the lines, predictions are compared with the labels;
    with --model also with the host's. Exit code 1 if an output is not as expected.
    """
    setup = make_setup(
        port, pattern, board, model, classes, outputs, tolerance, name, emulated=emulated
    )
    found = _data(data, dataset)
    listening = Listening(found, sample, count, seconds, timeout)
    listening.check(setup)
    rate = _baud(baud, setup.board)
    source = f"listening on {port} at {rate:,} baud" if _is_port(port) else f"reading {port}"

    def run(folder: Path) -> Outcome:
        say(f"{source} -> {folder}")
        with _chunks(port, setup.board, rate) as chunks, progress() as bars:
            joined, at = _is_port(port), rate if _is_port(port) else 0
            return listen_to(setup, listening, folder, Bars(bars), chunks, joined=joined, baud=at)

    finish(run, setup, "listen", out_folder, open_report)


@dataclass(frozen=True, slots=True)
class TextOptions:
    """The options of `hil bench` for ``--protocol text``, as given."""

    pattern: Sequence[str]
    port: str | None
    board: Sequence[str]
    model: Sequence[str]
    classes: str
    outputs: int | None
    tolerance: float | None
    name: str
    baud: int | None
    send: str
    send_type: str | None
    end: str
    repeat: int
    timeout: float
    data: Path | None
    dataset: str
    limit: int | None
    host: HostTiming


def bench_lines(given: TextOptions, folder: Path | None, open_report: bool | None) -> None:
    """`hil bench --protocol text`: send each sample, and read its answer from lines."""
    if given.port is None:
        raise UsageError("--protocol text needs a port", "add --port; `hil boards` lists the ports")
    if len(given.board) > 1 or len(given.model) > 1:
        raise UsageError("--protocol text runs one board and one model", "give each a bench")
    if given.send not in FORMATS:
        raise UsageError(f"--send {given.send} is unknown", f"one of {', '.join(FORMATS)}")
    if given.send_type is not None and given.send_type not in TYPES:
        raise UsageError(f"--send-type {given.send_type} is unknown", f"one of {', '.join(TYPES)}")
    if given.repeat not in (1, 2):
        raise UsageError(f"--repeat {given.repeat}", "1, or 2 to send each sample twice")
    if given.limit is not None and given.limit < 1:
        raise UsageError("--limit must be at least 1", "omit it to use the whole test set")
    board = next((one for one in given.board if one != "auto"), None)
    setup = make_setup(
        given.port,
        given.pattern,
        board,
        Path(given.model[0]) if given.model else None,
        given.classes,
        given.outputs,
        given.tolerance,
        given.name,
        emulated=False,
    )
    form = next(one for one in FORMATS if one == given.send)
    kind = TYPES[given.send_type] if given.send_type else None
    boot = setup.board.timeouts.boot if setup.board else BOOT_S
    sending = Sending(
        form, kind, _unescaped(given.end), given.repeat, given.timeout, max(boot, given.timeout)
    )
    whole = _data(given.data, None if given.data else given.dataset)
    assert whole is not None
    data = datasets.subset(whole, given.limit) if given.limit else whole
    rate = _baud(given.baud, setup.board)
    say(f"{len(data):,} samples of {data.name} as {form} on {given.port} at {rate:,} baud")
    used = dataset_used(data, len(whole), "")

    @contextmanager
    def opens() -> Iterator[Link]:
        link = _open(given.port or "", setup.board, rate)
        try:
            yield link
        finally:
            link.close()

    def run(folder: Path) -> Outcome:
        with progress() as bars:
            return bench_text(setup, sending, data, used, folder, Bars(bars), opens, given.host)

    finish(run, setup, "text", folder, open_report)


def make_setup(
    port: str,
    pattern: Sequence[str],
    board: str | None,
    model: Path | None,
    classes: str,
    outputs: int | None,
    tolerance: float | None,
    name: str,
    *,
    emulated: bool,
) -> TextSetup:
    """The sketch that the options describe; UsageError for what contradicts."""
    project = find_project()
    kind = load_board(board, project) if board else None
    names = tuple(word.strip() for word in classes.split(",")) if classes else ()
    if len(set(names)) < len(names) or "" in names:
        raise UsageError("--classes has an empty name, or one twice", "name each class once")
    if outputs is not None and (outputs < 1 or (names and outputs != len(names))):
        raise UsageError(f"--outputs {outputs} does not fit", "leave it out, or correct --classes")
    network = Network(model_name(model), model, read_model(model)) if model else None
    if network:
        one_of_each(network, "a sketch that prints lines of text")
    count = outputs
    if network and (names or outputs):
        elements = network.graph.output.elements
        if elements != (len(names) or outputs):
            raise UsageError(
                f"{network.path.name} has {elements} outputs, the options say "
                f"{len(names) or outputs}",
                "correct --classes or --outputs",
            )
    if network and count is None:
        count = network.graph.output.elements
    return TextSetup(
        project=project,
        patterns=choose_patterns(pattern),
        port=port,
        board=kind,
        name=name,
        model=network,
        classes=names,
        outputs=count,
        tolerance=tolerance,
        emulated=emulated or is_pty(port) or bool(kind and kind.emulator),
    )


def finish(
    run: Callable[[Path], Outcome],
    setup: TextSetup,
    what: str,
    given: Path | None,
    open_report: bool | None,
) -> None:
    """Run in folder ``given``, or a new one, say what did not count, and report; after Ctrl-C or an
    error, what there is."""
    kind = setup.board.name if setup.board else "board"
    with run_folder(given, kind, what) as folder:
        _finish(run, folder, open_report)


def _finish(run: Callable[[Path], Outcome], folder: Path, open_report: bool | None) -> None:
    try:
        outcome = run(folder)
    except KeyboardInterrupt:
        _report_what_there_is(folder)
        say(f"interrupted; to resume: hil {again(folder)}")
        raise
    except DeviceError as problem:
        if _report_what_there_is(folder):
            raise with_hint(problem, folder) from problem
        raise
    for why, times in sorted(outcome.dropped.items()):
        example = outcome.examples.get(why)
        said = f", such as: {shorten(example, 60)}" if example else ""
        out.print(f"did not count: {times:,} {escape(why)}{escape(said)}", soft_wrap=True)
    show_report(folder, browse=may_open() if open_report is None else open_report)


def _report_what_there_is(folder: Path) -> bool:
    found = answered(folder)
    if found:
        with suppress(HilError, typer.Exit):
            show_report(folder, browse=False)
    return found


def _data(data: Path | None, dataset: str | None) -> Dataset | None:
    if data is not None:
        if dataset is not None:
            raise UsageError("--data and --dataset contradict", "give one of them")
        return datasets.load_npz(data)
    if dataset is None:
        return None
    with Downloads() as downloads:
        name, note = datasets.choose(dataset, progress=downloads)
        found = datasets.load(name, progress=downloads)
    if note:
        say(f"note: {note}")
    return found


def _is_port(port: str) -> bool:
    return port != "-" and not Path(port).is_file()


def _baud(baud: int | None, board: Board | None) -> int:
    return baud or (board.serial.baud if board else BAUD)


def _open(port: str, board: Board | None, baud: int) -> Link:
    if board is None:
        return SerialLink(port, baud)
    link = open_port(board, port)
    if link.baud != baud:
        link.set_baud(baud)
    return link


@contextmanager
def _chunks(port: str, board: Board | None, baud: int) -> Iterator[Iterator[Chunk]]:
    if port == "-":
        yield from_file(sys.stdin.buffer)
    elif not _is_port(port):
        with Path(port).open("rb") as file:
            yield from_file(file)
    else:
        link = _open(port, board, baud)
        try:
            yield from_link(link)
        finally:
            link.close()


def _unescaped(text: str) -> bytes:
    r"""``--end`` as bytes: \n, \r, \t and \0 stand for those characters."""
    for name, char in (("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t"), ("\\0", "\0")):
        text = text.replace(name, char)
    return text.encode()
