"""What of the models asked for a small board can hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, TypeVar

from hil.boards.config import Board
from hil.errors import UsageError
from hil.records import Precision


class Named(Protocol):
    """A network, as far as it matters here."""

    @property
    def name(self) -> str:
        """The name a firmware image gives it."""
        ...


N = TypeVar("N", bound=Named)
Group: TypeAlias = tuple[Precision, tuple[N, ...], tuple[N, ...]]  # networks embedded, and run


def check_engines(board: Board, engines: Sequence[str]) -> None:
    """UsageError, with the figures of the board's file, for an engine that cannot run on it."""
    if refused := [name for name in engines if name in board.refused_engines]:
        raise UsageError(
            f"engine {refused[0]} does not fit board {board.name}: "
            f"{board.refused_engines[refused[0]]}",
            "bench another --engine there, or choose another --board",
        )


def fitting(
    board: Board, models: Sequence[str], precisions: Sequence[str], wanted: Sequence[Group[N]]
) -> list[Group[N]]:
    """``wanted`` without what ``board`` is not made for; all where its file restricts nothing.

    ``models`` and ``precisions`` were asked for by name: UsageError when one of them does not fit.
    A network of the user's own (a file) is held back by its precision alone: the compiler knows
    the rest.
    """
    own = any(name.endswith(".tflite") for name in models)
    held = () if own else board.models
    for allowed, asked in ((held, models), (board.precisions, precisions)):
        if allowed and (refused := [name for name in asked if name not in allowed]):
            raise _too_much(board, refused)
    groups = [
        (precision, _held(held, embedded), _held(held, run))
        for precision, embedded, run in wanted
        if not board.precisions or precision in board.precisions
    ]
    if not groups:
        raise _too_much(board, [precision for precision, _, _ in wanted])
    return groups


def taken(
    engine: str, takes: Sequence[Precision], precisions: Sequence[str], wanted: Sequence[Group[N]]
) -> list[Group[N]]:
    """``wanted`` without the precisions that ``engine`` does not take.

    UsageError when such a one was asked for by name (``precisions``), or nothing is left.
    """
    left = [group for group in wanted if group[0] in takes]
    refused = [name for name in precisions if name not in takes]
    if refused or not left:
        names = refused or [precision for precision, _, _ in wanted]
        raise UsageError(
            f"engine {engine} does not take {', '.join(dict.fromkeys(names))}: "
            f"it computes in {' and '.join(takes)} only",
            "bench another --precision by it, or another --engine",
        )
    return left


def _held(allowed: Sequence[str], networks: tuple[N, ...]) -> tuple[N, ...]:
    return tuple(n for n in networks if not allowed or n.name in allowed)


def _too_much(board: Board, refused: Sequence[str]) -> UsageError:
    fits = " ".join([*board.models, *board.precisions])
    return UsageError(
        f"{', '.join(refused)} does not fit board {board.name}"
        f"{f': {board.restriction}' if board.restriction else ''}",
        f"bench what fits there ({fits}), or choose another --board",
    )
