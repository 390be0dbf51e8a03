# SPDX-License-Identifier: Apache-2.0
"""Boards that restart during a run: when they do, what they printed, and what they were asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hil.bench.inputs import Inputs
from hil.bench.lab import Firmware
from hil.bench.prepare import Prepared
from hil.core.errors import BoardCrashed, HilError, NoAnswer
from hil.core.text import shorten
from hil.firmware import places
from hil.runs.restarts import KEPT, after_every, pattern
from hil.runs.schema import Restart
from hil.wire.panics import addresses, built_from

CAREFUL: Final = 16  # samples after a restart that are sent one at a time: it shows which one it is
ENOUGH: Final = 5  # restarts after the same number of inferences, after which a run may end
TOO_MANY: Final = 100  # restarts to come that are not worth waiting for
_SAID: Final = 300  # characters of a panic that are stored

CHECK_POWER: Final = (
    "check its power, its watchdog, and the size of its stack; `pio device monitor` shows what it "
    "prints"
)


def restarts_when(key: str, when: str, problem: HilError | None) -> BoardCrashed:
    """The error of a board that restarts instead of answering, with what it prints."""
    crashed = isinstance(problem, BoardCrashed)
    said = f": {problem.what}" if problem and crashed else ""
    hint = problem.hint if problem and crashed else CHECK_POWER
    return BoardCrashed(f"{key}: the board restarts {when}{said}", hint)


def last_request(prepared: Prepared, inputs: Inputs, i: int) -> str:
    """Sample number ``i`` as it was sent, in words."""
    plan = prepared.plan
    return (
        f"sample {inputs.data.ids[i]} for {plan.model} {plan.precision} ({len(inputs[i]):,} bytes)"
    )


def decoded(firmware: Firmware, printed: str) -> tuple[str, ...]:
    """Where the last panic of ``printed`` was in the program; empty if that cannot be known."""
    if firmware.file is None or not (found := addresses(printed)):
        return ()
    if not firmware.sha256.startswith(built_from(printed)):
        return ()  # the board runs another build
    return places(firmware.file, found)


def with_details(
    problem: NoAnswer | BoardCrashed, firmware: Firmware, printed: str, last: str
) -> NoAnswer:
    """``problem`` with the places of a panic and the last request."""
    where = decoded(firmware, printed) if isinstance(problem, BoardCrashed) else ()
    at = f"; it was in {chain(where)}" if where else ""
    return type(problem)(f"{problem.what}{at}; the last request was {last}", problem.hint)


def chain(where: tuple[str, ...]) -> str:
    """Places, the innermost first, in words."""
    return ", called from ".join(where)


@dataclass
class Restarts:
    """The restarts of one run so far. ``clock``: in seconds, of the line that is open."""

    prepared: Prepared
    inputs: Inputs
    found: list[Restart] = field(default_factory=list)
    _began: float = 0.0
    _answer_at: float = 0.0

    def ready(self, clock: Callable[[], float]) -> None:
        """The board is ready for samples."""
        self._began = self._answer_at = clock()

    def answered(self, clock: Callable[[], float]) -> None:
        """An answer arrived."""
        self._answer_at = clock()

    @property
    def seconds(self) -> float:
        """From `ready` to the last answer."""
        return self._answer_at - self._began

    def add(
        self, first: int, answered: int, seconds: float, problem: HilError | None, printed: str
    ) -> Restart:
        """Record a restart before sample number ``first`` was answered."""
        at = decoded(self.prepared.firmware, printed) if problem else ()
        restart = Restart(
            sample=self.inputs.data.ids[min(first, len(self.inputs) - 1)],
            answered=answered,
            seconds=round(max(0.0, seconds), 3),
            said=shorten(problem.what, _SAID) if problem else "",
            at=at,
        )
        self.found.append(restart)
        return restart

    def words(self, restart: Restart, first: int) -> str:
        """What is known about the latest restart, for the event."""
        said = [restart.said] if restart.said else []
        said += [f"it was in {chain(restart.at)}"] if restart.at else []
        if first < len(self.inputs):
            said.append(f"the last request was {last_request(self.prepared, self.inputs, first)}")
        when = pattern(self.found)
        return "; ".join([*said, f"it restarts {when}"] if when else said)

    def hopeless(self, key: str, left: int, warm_up: int) -> BoardCrashed | None:
        """The error if the board restarts so often that ``left`` samples would take hours."""
        recent = self.found[-ENOUGH:]
        n = after_every(recent) if len(recent) == ENOUGH else None
        if n is None or left <= TOO_MANY * max(1, n - warm_up):
            return None
        last = recent[-1]
        said = BoardCrashed(last.said, CHECK_POWER) if last.said else None
        return restarts_when(key, f"after every {n} inferences", said)

    @property
    def kept(self) -> tuple[Restart, ...]:
        """Those that are stored."""
        return tuple(self.found[:KEPT])
