# SPDX-License-Identifier: Apache-2.0
"""`hil init`: a project of the user's own, from the templates in hil/init/."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from jinja2 import Environment, StrictUndefined
from rich.markup import escape

import hil
from hil.api.records import InitOutput
from hil.cli.console import out
from hil.cli.output import result, shown
from hil.core.errors import UsageError
from hil.core.files import replace_file
from hil.core.records import DType, TensorSpec
from hil.engines import write_image
from hil.firmware import installed_tree, is_checkout
from hil.firmware.toolchain import emulated_envs
from hil.tflite import read_model

_SUFFIX: Final = ".jinja"  # of templates, which keeps their tools from reading them
NETWORK: Final = "network.tflite"
_EXAMPLE: Final = "models/digits/student_int8.tflite"
_MACHINE: Final = ".hil/installed.ini"  # says where things are on this machine: always written
_TYPES: Final = {DType.INT8: "int8_t", DType.UINT8: "uint8_t", DType.FLOAT32: "float"}
_LONGEST: Final = 24  # of a sketch's name


def init(
    folder: Annotated[Path, typer.Argument(help="Default: the current folder.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Also replace files that exist.")] = False,
) -> None:
    """Write a project of your own into FOLDER: a sketch, its network, settings and tests.

    Files that exist are kept, so it can be run again: on another machine, it only writes where
    tinyml-hil is installed there.
    """
    if is_checkout(folder):
        raise UsageError(f"{folder} is a checkout of tinyml-hil", "choose another folder")
    wrote, kept = [], []
    for name, content in _files(folder, force=force):
        file = folder / name
        if file.exists() and not force and name != _MACHINE:
            kept.append(name)
            out.print(f"kept  {escape(str(file))}", soft_wrap=True)
            continue
        replace_file(file, content)
        wrote.append(name)
        out.print(f"wrote {escape(str(file))}", soft_wrap=True)
    result(InitOutput(folder=shown(folder), wrote=tuple(wrote), kept=tuple(kept)))
    out.print("\nnext:")
    if folder.resolve() != Path.cwd():
        out.print(f"  cd {escape(str(folder))}", soft_wrap=True)
    out.print("  hil bench              # the network and the sketch on an emulated Cortex-M7")
    out.print(
        "  pytest -m hil          # the same as tests: tests/test_hil.py (pip install pytest)"
    )
    out.print("  pio run -e mps2        # the sketch alone")


def _files(folder: Path, *, force: bool) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file of a new project."""
    tree = installed_tree()
    own = folder / NETWORK
    network = own if own.exists() and not force else tree / _EXAMPLE
    if network != own:
        yield NETWORK, network.read_bytes()
    values = _values(folder, tree)
    with tempfile.TemporaryDirectory() as place:
        named = Path(place) / NETWORK  # the header names its source
        shutil.copyfile(network, named)
        image = write_image("aot", [(named.stem, named)], Path(place), table=False)
        yield "src/network.h", image.headers[0].read_bytes()
        graph = read_model(named)
        values |= {
            "arena": f"{image.models[0].arena:,}".replace(",", "_"),
            "input": graph.input,
            "output": graph.output,
            "input_type": _type(graph.input),
            "output_type": _type(graph.output),
        }
    jinja = Environment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # noqa: S701 - these are sources and settings, not pages
    )
    templates = Path(str(resources.files("hil"))) / "init"
    for template in sorted(templates.rglob(f"*{_SUFFIX}")):
        name = template.relative_to(templates).as_posix().removesuffix(_SUFFIX)
        yield name, jinja.from_string(template.read_text("utf-8")).render(values).encode()


def _values(folder: Path, tree: Path) -> dict[str, Any]:
    """What the templates say of the project and the installation."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name).strip("-")[:_LONGEST]
    return {
        "name": name or "sketch",
        "version": hil.__version__,
        "firmware": (tree / "firmware").as_posix(),
        "emulated": emulated_envs(tree / "platformio.ini"),
    }


def _type(spec: TensorSpec) -> str:
    """The C type of the sketch's input or output."""
    if spec.dtype not in _TYPES:
        raise UsageError(
            f"{NETWORK} has a tensor of {spec.dtype}, which a sketch cannot have",
            "use a network with float32, int8 or uint8 inputs and outputs",
        )
    return _TYPES[spec.dtype]
