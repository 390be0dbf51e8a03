"""What training tells whoever watches; nothing here prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Event:
    """One step of the pipeline.

    ``kind``: ``start`` of a stage, ``epoch`` done (counted from 1), ``kept`` because its
    result was there already, ``done``, or a ``warning``, whose words are in ``text``.
    ``metrics`` are Keras's names: accuracy, loss, val_accuracy, ...
    """

    stage: str
    kind: Literal["start", "epoch", "kept", "done", "warning"]
    epoch: int = 0
    epochs: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    text: str = ""


OnEvent: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The watcher that does not watch."""
    del event
