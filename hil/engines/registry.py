"""Engines by name, and the one call that writes an image with any of them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from hil.engines.aot.engine import compile_model
from hil.engines.image import CompiledModel, Image, table_files, write_changed
from hil.errors import UsageError
from hil.tflite import Graph, read_model

# (checked model, its C name, its file's name) -> the model in C
Compiler: TypeAlias = Callable[[Graph, str, str], CompiledModel]

ENGINES: Mapping[str, Compiler] = MappingProxyType({"aot": compile_model})

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


def write_image(engine: str, models: Sequence[tuple[str, Path]], out: Path) -> Image:
    """Write into folder ``out`` what a firmware needs to hold ``models`` ((name, file) each).

    One header a model (``<name>.h``), ``hil_image.h`` and ``hil_image.c``; only files whose
    content changed are touched. Raises `UsageError` for an unknown engine or a name that is no
    C identifier, `ModelError` for a model the engine cannot run, `StorageError` when ``out``
    cannot be written. Nothing is written unless every model can be.
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
    compiled = [ENGINES[engine](read_model(path), name, path.name) for name, path in models]
    files = {f"{m.info.name}.h": m.header for m in compiled} | table_files(compiled)
    for file, text in files.items():
        write_changed(out / file, text)
    return Image(
        engine=engine,
        folder=out,
        models=tuple(m.info for m in compiled),
        headers=tuple(out / f"{m.info.name}.h" for m in compiled),
    )
