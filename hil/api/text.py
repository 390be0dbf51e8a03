# SPDX-License-Identifier: Apache-2.0
"""Sketches that print lines of text: from the options of `hil bench --protocol text` and
`hil listen` to a set-up, samples and a link."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hil import datasets
from hil.api.options import BenchOptions
from hil.bench.cases import Network
from hil.bench.checking import order_of
from hil.bench.events import Downloading, Emit, NotCounted, Note, Starting
from hil.bench.host import HostTiming
from hil.bench.inputs import Taken, taken_by
from hil.bench.lines import Outcome, TextSetup, type_of
from hil.bench.plan import one_of_each
from hil.bench.source import Source
from hil.bench.store import dataset_used
from hil.bench.text import BOOT_S, Sending, bench
from hil.boards.config import Board, load_board
from hil.boards.session import open_port
from hil.core.errors import UsageError, unknown
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
from hil.wire.patterns import choose_patterns

BAUD: Final = 9600  # what most examples of sketches use
TYPES: Final = {"float32": DType.FLOAT32, "uint8": DType.UINT8, "int8": DType.INT8}


def run_text(
    options: BenchOptions,
    host: HostTiming,
    emit: Emit,
    command: tuple[str, ...] | None = None,
) -> Path:
    """Send each sample to a sketch and read its answer from lines; returns the run's folder."""
    port = options.port
    if port is None:
        raise UsageError("--protocol text needs a port", "add --port; `hil boards` lists the ports")
    if len(options.board) > 1 or len(options.model) > 1:
        raise UsageError("--protocol text runs one board and one model", "give each a bench")
    if options.send not in FORMATS:
        raise unknown(f"--send {options.send} is unknown", options.send, FORMATS)
    if options.send_type is not None and options.send_type not in TYPES:
        raise unknown(f"--send-type {options.send_type} is unknown", options.send_type, TYPES)
    if options.repeat not in (1, 2):
        raise UsageError(f"--repeat {options.repeat}", "1, or 2 to send each sample twice")
    if options.limit is not None and options.limit < 1:
        raise UsageError("--limit must be at least 1", "omit it to use the whole test set")
    board = next((one for one in options.board if one != "auto"), None)
    setup = make_setup(
        port,
        options.pattern,
        board,
        Path(options.model[0]) if options.model else None,
        options.classes,
        options.outputs,
        options.tolerance,
        options.name,
        emulated=False,
        command=command,
    )
    form = next(one for one in FORMATS if one == options.send)
    kind = TYPES[options.send_type] if options.send_type else None
    boot = setup.board.timeouts.boot if setup.board else BOOT_S
    sending = Sending(
        form,
        kind,
        _unescaped(options.end),
        options.repeat,
        options.timeout,
        max(boot, options.timeout),
    )
    source = Source(options.data, options.dataset, options.target, options.resize, options.input)
    whole = read_data(source, setup.model, emit)
    data = datasets.subset(whole, options.limit) if options.limit else whole
    rate = baud_of(options.baud, setup.board)
    used = dataset_used(data, len(whole), "")

    @contextmanager
    def opens() -> Iterator[Link]:
        link = open_link(port, setup.board, rate)
        try:
            yield link
        finally:
            link.close()

    with run_folder(options.out, name_of(setup.board), "text") as folder:
        what = f"{len(data):,} samples of {data.name} as {form} on {port} at {rate:,} baud"
        emit(Starting(what, folder))
        order = order_of(data, whole)
        outcome = bench(setup, sending, data, used, folder, emit, opens, host, order)
        tell_dropped(outcome, emit)
    return folder


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
    command: tuple[str, ...] | None = None,
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
        command=command,
    )


def read_data(source: Source, model: Network | None, emit: Emit) -> Dataset:
    """The samples of ``source`` for ``model``, if one was named."""

    def downloads(name: str, done: int, total: int) -> None:
        emit(Downloading(name, done, total))

    source, takers = source.resolved(), [taken_by(model)] if model else []
    found, note = source.read(takers, progress=downloads)
    if note:
        emit(Note(note))
    # without a model, what is printed is what the sketch takes, whatever its type
    return source.fed(found, takers or [Taken("the sketch", (type_of(found),))])


def name_of(board: Board | None) -> str:
    """The board's name in the name of a run's folder."""
    return board.name if board else "board"


def baud_of(baud: int | None, board: Board | None) -> int:
    """The rate of a port: as given, else the board's, else `BAUD`."""
    return baud or (board.serial.baud if board else BAUD)


def open_link(port: str, board: Board | None, baud: int) -> Link:
    """Open the port as the board's file says, if there is one."""
    if board is None:
        return SerialLink(port, baud)
    link = open_port(board, port)
    if link.baud != baud:
        link.set_baud(baud)
    return link


def tell_dropped(outcome: Outcome, emit: Emit) -> None:
    """Say which lines did not count, and how often."""
    for why, times in sorted(outcome.dropped.items()):
        emit(NotCounted(why, times, shorten(outcome.examples.get(why, ""), 60)))


def _unescaped(text: str) -> bytes:
    r"""``--end`` as bytes: \n, \r, \t and \0 stand for those characters."""
    for name, char in (("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t"), ("\\0", "\0")):
        text = text.replace(name, char)
    return text.encode()
