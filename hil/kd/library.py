"""Recipes by name, and a user's own by path."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from hil.config import read_toml
from hil.errors import UsageError
from hil.kd import checks
from hil.kd.recipe import Recipe

_HINT = "see docs/recipes.md"


@dataclass(frozen=True, slots=True)
class Found:
    """A recipe, what its results are called, and the folder its own files are in."""

    name: str
    folder: Path
    recipe: Recipe


def names() -> list[str]:
    """The recipes that come with `hil`."""
    return sorted(path.stem for path in _shipped().glob("*.toml"))


def find(wanted: str) -> Found:
    """A recipe by its name, or by the path of a .toml file; checked as far as it can be alone.

    Raises:
        UsageError: there is none of that name.
        ConfigError: the file is missing, or what it says cannot work.
    """
    own = wanted.endswith(".toml")
    if not own and wanted not in names():
        what = f"no recipe called {wanted!r}"
        raise UsageError(what, f"choose one of {', '.join(names())}, or give a .toml file")
    path = Path(wanted) if own else _shipped() / f"{wanted}.toml"
    recipe = read_toml(path, Recipe, hint=_HINT)
    checks.recipe(recipe, str(path) if own else path.name)
    return Found(path.stem, path.parent, recipe)


def _shipped() -> Path:
    return Path(str(resources.files("hil.kd") / "recipes"))
