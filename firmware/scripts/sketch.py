# SPDX-License-Identifier: Apache-2.0
"""With a sketch: builds a user's sketch, with this board's port, in place of an image of models.

`sketch`, from image.py, is an .ino file or the folder of a sketch, relative to the project. As in
the Arduino IDE, all .ino files of the folder are one program, its C and C++ files are compiled too,
and those in its folder src, recursively. The sources are copied into the build folder, because
several boards may be built from one sketch at a time; `#line` keeps their names in messages. Run by
image.py.
"""

import re
import sys
from pathlib import Path

from platformio.builder.tools.pioino import InoToCPPConverter
from SCons.Script import Import

Import("env", "sketch")
env, sketch = globals()["env"], globals()["sketch"]

PROJECT = Path(env.subst("$PROJECT_DIR"))
COPY = Path(env.subst("$BUILD_DIR")) / "sketch"
SKETCHES = (".ino", ".pde")
SOURCES = (".c", ".cc", ".cpp", ".cxx", ".S")
HEADERS = (".h", ".hh", ".hpp", ".hxx", ".inc", ".ipp", ".tpp")
# A string, a character or a comment; only comments are removed.
_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.DOTALL)


def fail(message):
    sys.stderr.write(f"Error: {message}\n")
    env.Exit(1)


def find_sketch(named):
    """The folder of the sketch, and its main file if it has .ino files."""
    place = PROJECT / Path(named).expanduser()
    folder = place if place.is_dir() else place.parent
    if not place.exists():
        fail(f"HIL_SKETCH={named} does not exist; set it to an .ino file or the folder of a sketch")
    inos = sorted(path for path in folder.iterdir() if path.suffix in SKETCHES)
    if place.suffix in SKETCHES:
        return folder, [place, *(path for path in inos if path != place)]
    return folder, sorted(inos, key=lambda path: path.stem != folder.name)


def without_comments(text):
    def blank(match):
        token = match[0]
        return token if token[0] in "\"'" else " " + "\n" * token.count("\n")

    return _TOKEN.sub(blank, text)


def line(path):
    return f'#line 1 "{path.as_posix()}"\n'


def merged(inos):
    """The .ino files as one C++ file, with the prototypes that the Arduino IDE adds."""
    parts = ["#include <Arduino.h>"]
    for path in inos:
        text = without_comments(path.read_text("utf-8", "replace"))
        parts += [f'# 1 "{path.as_posix()}"', text]
    converter = InoToCPPConverter(env)
    converter._main_ino = inos[0].as_posix()  # for the #line after the prototypes
    return converter.append_prototypes("\n".join(parts))


def copies(folder, inos):
    """What the build folder must contain: path -> text."""
    wanted = {COPY / f"{inos[0].name}.cpp": merged(inos)} if inos else {}
    for path in [*folder.iterdir(), *(folder / "src").rglob("*")]:
        if path.is_file() and path.suffix in (*SOURCES, *HEADERS):
            text = path.read_text("utf-8", "surrogateescape")
            plain = path.suffix in (".S", ".inc")  # of an assembler, or of any program
            wanted[COPY / path.relative_to(folder)] = text if plain else line(path) + text
    return wanted


def update(wanted):
    """Write what has changed, so that only that is compiled again; remove what is gone."""
    for path, text in wanted.items():
        data = text.encode("utf-8", "surrogateescape")
        if not path.is_file() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for path in COPY.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()


def relax():
    """A sketch and its libraries may have warnings, and need newer C++ than this project."""
    flags = [str(flag).replace("-Werror", "") for flag in env.get("BUILD_FLAGS", [])]
    env.Replace(BUILD_FLAGS=[*flags, "-Wno-error"])
    if "arduino" not in env.get("PIOFRAMEWORK", []) and env["PIOENV"] != "mega2560":
        env.Append(BUILD_UNFLAGS=["-std=c++11"], BUILD_FLAGS=[])
        env.Append(CXXFLAGS=["-std=gnu++17"])


folder, inos = find_sketch(sketch)
found = copies(folder, inos)
if not any(path.suffix in SOURCES for path in found):
    fail(f"{folder} has no sketch: no .ino, .cpp or .c file; correct HIL_SKETCH")
update(found)
env.Replace(PROJECT_SRC_DIR=str(COPY))
env.Append(CPPPATH=[str(folder)])  # for includes such as "../shared.h"
relax()
