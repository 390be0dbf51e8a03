# SPDX-License-Identifier: Apache-2.0
"""The reference of all commands, a page of the documentation site, from the commands
themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hil.cli.examples import EXAMPLES
from hil.cli.main import COMMANDS, load_command

_HEAD = """\
# Commands

`hil COMMAND --help` prints the same in a terminal. Exit codes: 0 success; 1 a result is wrong, or
worse than its limit allows; 2 usage or environment; 130 Ctrl-C.
"""


def reference() -> str:
    """The page, in Markdown."""
    names = [name for name, found in COMMANDS.items() if not found.hidden]
    listed = "\n".join(f"- [`hil {name}`](#hil-{name}): {COMMANDS[name].summary}" for name in names)
    parts = [_HEAD, listed + "\n"]
    for name in names:
        parts += _command(f"hil {name}", load_command(name, COMMANDS[name]))
    return "\n".join(parts)


def _command(title: str, command: Any) -> Iterator[str]:
    """A section of ``command``, and one of each of its subcommands."""
    yield f"## {title}\n"
    yield _text(command.help or "")
    inner = getattr(command, "commands", {})
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    words = " ".join(_metavar(one) for one in arguments)
    yield f"```text\n{title} [OPTIONS]{' ' + words if words else ''}\n```\n"
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    rows = [
        f"| `{', '.join((*one.opts, *one.secondary_opts))}` | {_cell(one.help or '')} "
        f"| {_default(one)} |"
        for one in options
        if one.name not in ("help", "install_completion", "show_completion")
    ]
    if rows:
        yield "| option | meaning | default |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    if found := EXAMPLES.get(title.removeprefix("hil ")):
        lines = "\n".join(f"$ {line}" for line in found)
        yield f"```console\n{lines}\n```\n"
    for name, one in inner.items():
        yield from _command(f"{title} {name}", one)


def _metavar(argument: Any) -> str:
    word = argument.metavar or argument.name.upper()
    more = "..." if argument.nargs == -1 and not word.endswith("...") else ""
    return f"{word}{more}" if argument.required else f"[{word}{more}]"


def _default(option: Any) -> str:
    value = option.default
    if value in (None, "", [], ()) or isinstance(value, bool) or callable(value):
        return ""
    words = value if isinstance(value, (list, tuple)) else [value]
    return _code(" ".join(str(word) for word in words))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _text(text: str) -> str:
    return re.sub(r"[ \t]+\n", "\n", text.replace("\b", "")).strip() + "\n"


def _cell(text: str) -> str:
    one = re.sub(r"\s+", " ", text).strip()
    return one.replace("|", "\\|").replace("<", "&lt;")
