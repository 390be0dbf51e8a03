# SPDX-License-Identifier: Apache-2.0
"""Engines by name, and the one call that writes an image with any of them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from hil.core.errors import ModelError, ToolMissing, UsageError, unknown
from hil.core.records import Precision
from hil.engines import bakenn, tflm
from hil.engines.aot.engine import arena_bytes, compile_model, layers_of
from hil.engines.aot.faults import Fault
from hil.engines.image import MANIFEST, CompiledModel, Image, manifest, table_files, write_changed
from hil.tflite import Graph, read_model
from hil.tflite.graph import Layer, constant_bytes, largest_inner, largest_step

# (name in the image, file or the graph that was read from it) of each model, in order
Models: TypeAlias = Sequence[tuple[str, Path | Graph]]


@dataclass(frozen=True, slots=True)
class Special:
    """How a model differs from a measured one: it shows its ``layers``, or has a ``fault``."""

    layers: bool = False
    fault: Fault | None = None


# (checked model, its C name, its file's name, how it is special) -> the model in C
Compiler: TypeAlias = Callable[[Graph, str, str, Special], CompiledModel]


def _no_files(_: Sequence[Graph]) -> dict[str, str]:
    return {}


def _nothing(_: Sequence[Graph]) -> None:
    """No engine but tflm has anything to prepare."""


def _no_layers(_: Graph) -> tuple[Layer, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Engine:
    """How an engine turns a model into C, and what it can do."""

    compile: Compiler
    # ModelError with every reason why it cannot take a model, without generating it
    check: Callable[[Graph], object]
    # minimum bytes of (flash, arena) for a model, known without compiling it
    at_least: Callable[[Graph], tuple[int, int]]
    # further files of an image by name, from all of its models
    shared: Callable[[Sequence[Graph]], dict[str, str]] = _no_files
    # the layers of a model that the firmware shows; may be empty
    layers: Callable[[Graph], tuple[Layer, ...]] = _no_layers
    precisions: tuple[Precision, ...] = tuple(Precision)  # of models that it accepts
    # what is faster for many models at once than for each; `check` and `compile` need it not
    prepare: Callable[[Sequence[Graph]], None] = _nothing
    near: bool = False  # float32 is close to LiteRT's reference, not equal to it
    breakable: bool = False  # it can compile a model with a `Fault`


def _aot(engine: str, *, fused: bool) -> Compiler:
    def compiler(graph: Graph, name: str, source: str, special: Special) -> CompiledModel:
        return compile_model(
            graph,
            name,
            source,
            engine=engine,
            layers=special.layers,
            fault=special.fault,
            fused=fused,
        )

    return compiler


ENGINES: Mapping[str, Engine] = MappingProxyType(
    {
        "aot": Engine(
            compile=_aot("aot", fused=False),
            check=layers_of,
            at_least=lambda graph: (constant_bytes(graph), arena_bytes(graph)),
            layers=layers_of,
            breakable=True,
        ),
        # rounds a float32 product and its sum once; int8 is the same as in aot
        "aot-fast": Engine(
            compile=_aot("aot-fast", fused=True),
            check=layers_of,
            at_least=lambda graph: (constant_bytes(graph), arena_bytes(graph)),
            layers=layers_of,
            near=True,
            breakable=True,
        ),
        "tflm": Engine(
            compile=lambda graph, name, source, _: tflm.compile_model(graph, name, source),
            check=tflm.check,
            at_least=lambda graph: (constant_bytes(graph), largest_step(graph)),
            shared=tflm.shared_files,
            prepare=tflm.prepare,
        ),
        "bakenn": Engine(
            compile=lambda graph, name, _source, _: bakenn.compile_model(graph, name),
            check=bakenn.check,
            at_least=lambda graph: (constant_bytes(graph), largest_inner(graph)),
            precisions=(Precision.INT8,),
        ),
    }
)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
# lower-case words that C or C++ reserves, beyond those that Python also reserves
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


def _reserved(name: str) -> bool:
    return name in _RESERVED or keyword.iskeyword(name) or name.startswith("hil_")


def model_name(file: Path) -> str:
    """A name that `write_image` accepts, made from the file's name."""
    name = re.sub(r"\W", "_", file.stem, flags=re.ASCII).lower()
    return (name if name[:1].isalpha() and not _reserved(name) else f"m_{name}")[:31]


def write_image(
    engine: str,
    models: Models,
    out: Path,
    arena: int | None = None,
    *,
    layers: bool = False,
    fault: str = "",
    table: bool = True,
) -> Image:
    """Write into folder ``out`` the files that a firmware with ``models`` needs.

    These are one header per model (``<name>.h``), ``hil_image.h``, ``hil_image.c``, ``image.json``
    (see `manifest`) and the engine's own files; files that do not change are not touched.
    ``arena``: bytes of RAM to reserve instead of the size that the models need; a model that needs
    more then replies with an error. ``layers`` is for firmware built with HIL_LAYERS, which shows
    the output of each layer; ``fault`` breaks one layer, see `Fault`. Without ``table`` only the
    models' own files are written, for use without the firmware. Nothing is written unless every
    model can be.

    Raises:
        UsageError: an unknown engine, an invalid arena, or a name that is not a C identifier.
        ModelError: the engine cannot run a model.
        ToolMissing: the engine's code generator is not installed.
        StorageError: ``out`` cannot be written.
    """
    _check(engine, [name for name, _ in models], arena)
    broken = _faults(engine, fault, [name for name, _ in models]) if fault else {}
    chosen = ENGINES[engine]
    graphs = [one if isinstance(one, Graph) else read_model(one) for _, one in models]
    compiled = tuple(
        _compiled(engine, graph, name, Special(layers, broken.get(name)))
        for graph, (name, _) in zip(graphs, models, strict=True)
    )
    files = {f"{m.info.name}.h": m.header for m in compiled}
    files |= {file: text for m in compiled for file, text in m.files.items()}
    files |= chosen.shared(graphs)
    if table:
        files |= table_files(compiled, arena, layers=layers)
        files[MANIFEST] = manifest(engine, compiled, layers=layers, fault=fault)
    for file, text in files.items():
        write_changed(out / file, text)
    return Image(engine, out, compiled)


def compile_alone(engine: str, name: str, graph: Graph) -> CompiledModel:
    """A model as C code, in no image. Raises what `write_image` raises for it."""
    return _compiled(engine, graph, name, Special())


def check(engine: str, graph: Graph) -> None:
    """Raise `ModelError` with every reason why ``engine`` cannot take a model, and who can.

    Nothing is built. An engine whose package is not installed is not asked, and passes.
    """
    try:
        ENGINES[engine].check(graph)
    except ModelError as problem:
        raise _with_takers(problem, engine, graph) from None
    except ToolMissing:
        return


def takers(graph: Graph) -> tuple[str, ...]:
    """The engines that take a model, of those that are installed; not aot-fast, as aot takes it."""
    return tuple(name for name in ENGINES if name != "aot-fast" and _takes(name, graph))


def _takes(engine: str, graph: Graph) -> bool:
    try:
        ENGINES[engine].check(graph)
    except (ModelError, ToolMissing):
        return False
    return True


def _compiled(engine: str, graph: Graph, name: str, special: Special) -> CompiledModel:
    try:
        return ENGINES[engine].compile(graph, name, _source(graph, name), special)
    except ModelError as problem:
        raise _with_takers(problem, engine, graph) from None


def _with_takers(problem: ModelError, engine: str, graph: Graph) -> ModelError:
    """The same error with the file's name, and the engines that take the file in its hint."""
    what = problem.what if graph.where in problem.what else f"{graph.where}: {problem.what}"
    found = [name for name in takers(graph) if name != engine]
    advice = (
        f"the engine {' or '.join(found)} takes it" if found else "no installed engine takes it"
    )
    return ModelError(what, "; ".join(filter(None, (advice, problem.hint))))


def _check(engine: str, names: Sequence[str], arena: int | None) -> None:
    if engine not in ENGINES:
        raise unknown(f"no engine is called {engine!r}", engine, sorted(ENGINES))
    if not names:
        raise UsageError("an image needs a model", "pass at least one")
    for name in names:
        if not _NAME.fullmatch(name) or _reserved(name) or names.count(name) > 1:
            raise UsageError(
                f"{name!r} cannot name a model in an image",
                "use unique names of lower-case letters, digits and _, 31 characters at most",
            )
    if arena is not None and arena < 1:
        raise UsageError(f"invalid arena of {arena} bytes", "use a positive number, or omit it")


def _faults(engine: str, text: str, names: Sequence[str]) -> dict[str, Fault]:
    """The fault of each model that has one."""
    found = {}
    for one in text.split(","):
        fault = Fault.parse(one)
        if fault.model not in names:
            raise UsageError(
                f"the image has no model {fault.model} to break", f"choose from {', '.join(names)}"
            )
        found[fault.model] = fault
    if not ENGINES[engine].breakable:
        raise UsageError(
            f"engine {engine} cannot be broken on purpose", "use the engine aot or aot-fast"
        )
    return found


def _source(graph: Graph, name: str) -> str:
    return graph.path.name if graph.path else f"{name}.tflite"
