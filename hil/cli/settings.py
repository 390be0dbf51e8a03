# SPDX-License-Identifier: Apache-2.0
"""Options that `hil.toml` sets where the command line leaves them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from typer.core import TyperCommand

from hil.core.settings import bench_options
from hil.firmware import find_project

_USER: Final = "user"  # the engine of a user's own sketch
# an option on the command line -> settings that would contradict it
_EXCLUDES: Final[Mapping[str, frozenset[str]]] = {
    "--data": frozenset({"dataset", "target", "resize", "input"}),
    "--dataset": frozenset({"data", "target", "resize", "input"}),
    "--firmware": frozenset({"sketch"}),
    "--model": frozenset({"teacher", "student"}),
    "--protocol": frozenset({"engine", "precision", "sketch"}),
}


class SettingsCommand(TyperCommand):
    """A command with the options of `[bench]` in the project's `hil.toml` as its defaults."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        several = {
            param.name: bool(getattr(param, "multiple", False))
            for param in self.params
            if param.name
        }
        own = applicable(bench_options(find_project()), args)
        ctx.default_map = {
            name: value if several[name] else _only(name, value)
            for name, value in own.items()
            if name in several
        }
        return super().parse_args(ctx, args)


def applicable(own: Mapping[str, Any], args: Sequence[str]) -> dict[str, Any]:
    """The settings ``own`` without those that the words ``args`` of a command line contradict."""
    given = [word.partition("=") for word in args if word.startswith("--")]
    dropped = {name for option, _, _ in given for name in _EXCLUDES.get(option, ())}
    if any(option == "--engine" for option, _, _ in given) and not (
        _USER in args or f"--engine={_USER}" in args
    ):
        dropped |= {"sketch", "tolerance"}
    return {name: value for name, value in own.items() if name not in dropped}


def _only(name: str, value: Any) -> Any:
    """One word for an option that takes only one: the first; of engines, the first that builds an
    image. None if several precisions are set, which leaves the choice to the command."""
    if not isinstance(value, list):
        return value
    if name == "engine":
        value = [word for word in value if word != _USER]
    if name == "precision" and len(value) > 1:
        return None
    return value[0] if value else None
