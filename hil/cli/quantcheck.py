# SPDX-License-Identifier: Apache-2.0
"""`hil quantcheck`: where does int8 lose accuracy?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from hil.cli.console import out
from hil.cli.data import DATA_HELP, InputOption, ResizeOption, TargetOption
from hil.cli.output import result

if TYPE_CHECKING:
    from hil.runs.schema_quant import QuantPair

FOUND = 1


def quantcheck(
    float_file: Annotated[
        Path, typer.Argument(metavar="FLOAT", help="The .tflite file in float32.")
    ],
    int8_file: Annotated[
        Path, typer.Argument(metavar="INT8", help="The .tflite file that was made from it.")
    ],
    data: Annotated[str, typer.Option("--data", metavar="DATA", help=f"Samples: {DATA_HELP}")],
    target: TargetOption = None,
    resize: ResizeOption = None,
    input: InputOption = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Samples at most; default: 200.")
    ] = None,
) -> None:
    """Show where an int8 network loses accuracy to the float32 network that it was made from.

    Compares both layer by layer on the host, replaces each layer by its float32 values, and names
    the cause and what to do. Needs no board, no compiler and no TensorFlow. Exit code 1 if there is
    a warning.
    """
    from hil.api.quantcheck import check_files  # scipy takes half a second to load
    from hil.api.records import QuantcheckOutput
    from hil.bench.source import Source
    from hil.cli.running import Bars

    source = Source(data, target=target, resize=resize, input=input)
    with Bars() as shown:
        pair = check_files(float_file, int8_file, source, limit, shown)
    result(QuantcheckOutput(pair=pair))
    show_pair(pair)
    if any(one.severity == "warning" for one in pair.findings):
        raise typer.Exit(FOUND)


def show_pair(pair: QuantPair) -> None:
    """Print the table of layers and what was found."""
    from hil.cli.report import printed
    from hil.report.quant import layer_table, lines

    table = layer_table(pair, f"{pair.int8_file}: layers in int8")
    out.print(printed(table.title, table.head, table.rows))
    out.print(escape(table.note), soft_wrap=True, style="dim")
    for line in lines(pair):
        out.print(escape(line), soft_wrap=True)
    for one in pair.findings:
        out.print(f"[bold yellow]{one.severity}:[/] {escape(one.line)}", soft_wrap=True)
    if not pair.findings:
        out.print("[green]int8 loses nothing that matters on these samples[/]")
