"""Engines by name, and the one call that writes an image with any of them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from hil.engines import bakenn, tflm
from hil.engines.aot.engine import arena_bytes, compile_model, layers_of
from hil.engines.aot.faults import Fault
from hil.engines.describe import Layer, constant_bytes, largest_inner, largest_step
from hil.engines.image import CompiledModel, Image, table_files, write_changed
from hil.errors import UsageError
from hil.records import Precision
from hil.tflite import Graph, read_model


@dataclass(frozen=True, slots=True)
class Special:
    """What a model is built for besides being run: to show its ``layers``, or broken."""

    layers: bool = False
    fault: Fault | None = None


# (checked model, its C name, its file, what is special) -> the model in C
Compiler: TypeAlias = Callable[[Graph, str, Path, Special], CompiledModel]
# (checked models of an image) -> further files of the image, by name
Sharer: TypeAlias = Callable[[Sequence[Graph]], dict[str, str]]


def _nothing(_: Sequence[Graph]) -> dict[str, str]:
    return {}


# checked model -> bytes of (flash, arena) that it takes at the least, without compiling it
Bound: TypeAlias = Callable[[Graph], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Engine:
    """How an engine turns one model into C, what all models of an image share, and the least
    memory of one."""

    compile: Compiler
    shared: Sharer
    at_least: Bound
    layers: Callable[[Graph], tuple[Layer, ...]]  # that firmware shows; none: it shows none
    precisions: tuple[Precision, ...] = tuple(Precision)  # of the models that it takes
    near: bool = False  # float32 is near LiteRT's reference, not equal to it


def _aot(graph: Graph, name: str, path: Path, special: Special) -> CompiledModel:
    return compile_model(graph, name, path.name, layers=special.layers, fault=special.fault)


def _aot_fast(graph: Graph, name: str, path: Path, special: Special) -> CompiledModel:
    return compile_model(
        graph,
        name,
        path.name,
        engine="aot-fast",
        layers=special.layers,
        fault=special.fault,
        fused=True,
    )


def _tflm(graph: Graph, name: str, path: Path, special: Special) -> CompiledModel:
    if special.fault:
        raise UsageError("engine tflm cannot be broken on purpose", "break aot")
    return tflm.compile_model(graph, name, path)


def _bakenn(graph: Graph, name: str, path: Path, special: Special) -> CompiledModel:
    if special.fault:
        raise UsageError("engine bakenn cannot be broken on purpose", "break aot")
    return bakenn.compile_model(graph, name, path)


ENGINES: Mapping[str, Engine] = MappingProxyType(
    {
        "aot": Engine(
            _aot,
            _nothing,
            lambda graph: (constant_bytes(graph), arena_bytes(graph)),
            layers_of,
        ),
        # one rounding for a product and its sum; int8 is that of aot
        "aot-fast": Engine(
            _aot_fast,
            _nothing,
            lambda graph: (constant_bytes(graph), arena_bytes(graph)),
            layers_of,
            near=True,
        ),
        "tflm": Engine(
            _tflm,
            tflm.shared_files,
            lambda graph: (constant_bytes(graph), largest_step(graph)),
            lambda _: (),
        ),
        "bakenn": Engine(
            _bakenn,
            _nothing,
            lambda graph: (constant_bytes(graph), largest_inner(graph)),
            lambda _: (),
            (Precision.INT8,),
        ),
    }
)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
# lower-case words that C or C++ keeps for itself, beyond those that Python also keeps
# fmt: off
_RESERVED = frozenset((
    "auto", "bool", "case", "catch", "char", "const", "default", "delete", "do", "double",
    "enum", "explicit", "export", "extern", "false", "float", "friend", "goto", "inline", "int",
    "long", "mutable", "namespace", "new", "operator", "private", "protected", "public",
    "register", "restrict", "short", "signed", "sizeof", "static", "struct", "switch",
    "template", "this", "throw", "true", "typedef", "typename", "union", "unsigned", "using",
    "virtual", "void", "volatile",
))
# fmt: on


def model_name(file: Path) -> str:
    """A name that `write_image` takes, from a file's own."""
    name = re.sub(r"\W", "_", file.stem, flags=re.ASCII).lower()
    taken = name in _RESERVED or keyword.iskeyword(name) or name.startswith("hil_")
    return (name if name[:1].isalpha() and not taken else f"m_{name}")[:31]


def write_image(
    engine: str,
    models: Sequence[tuple[str, Path]],
    out: Path,
    arena: int | None = None,
    *,
    layers: bool = False,
    fault: str = "",
    table: bool = True,
) -> Image:
    """Write into folder ``out`` what a firmware needs to hold ``models`` ((name, file) each).

    One header a model (``<name>.h``), ``hil_image.h``, ``hil_image.c`` and what the engine adds;
    only files whose content changed are touched. ``arena`` is the bytes of RAM to reserve, if not
    what the models ask for: a model that needs more answers with an error. ``layers`` is for
    firmware built with HIL_LAYERS, which shows what each layer makes of an input; ``fault``
    breaks one of them, see `Fault`. Without ``table`` there is no ``hil_image.[ch]``, which only
    compile beside the firmware's own headers. Raises `UsageError` for an unknown engine, no arena
    or a name that is no C identifier, `ModelError` for a model the engine cannot run, `ToolMissing`
    without what the engine generates with, `StorageError` when ``out`` cannot be written. Nothing
    is written unless every model can be.
    """
    if engine not in ENGINES:
        raise UsageError(f"no engine {engine!r}", f"known: {', '.join(sorted(ENGINES))}")
    names = [name for name, _ in models]
    if not names:
        raise UsageError("an image needs a model", "name at least one")
    for name in names:
        word = name in _RESERVED or keyword.iskeyword(name) or name.startswith("hil_")
        if not _NAME.fullmatch(name) or word or names.count(name) > 1:
            raise UsageError(
                f"{name!r} cannot name a model in an image",
                "use different words of small letters, digits and _, 31 characters at most",
            )
    if arena is not None and arena < 1:
        raise UsageError(f"an arena of {arena} bytes", "give a positive number, or none")
    broken = Fault.parse(fault) if fault else None
    target = broken.model if broken else ""
    if broken and target not in names:
        raise UsageError(f"there is no {target} to break", f"the image has {', '.join(names)}")
    chosen = ENGINES[engine]
    graphs = [read_model(path) for _, path in models]
    compiled = [
        chosen.compile(graph, name, path, Special(layers, broken if name == target else None))
        for graph, (name, path) in zip(graphs, models, strict=True)
    ]
    files = {f"{m.info.name}.h": m.header for m in compiled}
    files |= {file: text for m in compiled for file, text in m.files.items()}
    files |= chosen.shared(graphs)
    if table:
        files |= table_files(compiled, arena, layers=layers)
    for file, text in files.items():
        write_changed(out / file, text)
    return Image(
        engine=engine,
        folder=out,
        models=tuple(m.info for m in compiled),
        headers=tuple(out / f"{m.info.name}.h" for m in compiled),
    )
