"""What shall go wrong on a line, and how often: `Chaos`, and its text form for a command line."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from hil.errors import UsageError

# of one bit, of one byte and of one frame (a delimiter crossed) in either direction
BITS: Final = ("flip",)
BYTES: Final = ("drop", "duplicate", "delay", "reorder")
FRAMES: Final = ("inject", "replay", "freeze", "reset", "cut")
FAULTS: Final = (*BITS, *BYTES, *FRAMES)


@dataclass(frozen=True, slots=True)
class Chaos:
    """Probabilities of each fault, and for how many seconds those that last do.

    ``flip`` is of a bit: the bit error rate. Of a byte: ``drop`` loses it, ``duplicate`` sends it
    twice, ``delay`` stops its direction for up to ``delay_s``, ``reorder`` lets the next byte pass
    it. Of a frame, when its delimiter has crossed: ``inject`` puts boot text or another program's
    output behind it, ``replay`` a frame that crossed earlier, undamaged; ``freeze`` holds both
    directions for ``freeze_s`` and loses nothing; ``reset`` calls back whoever can restart the
    board; ``cut`` pulls the cable for ``cut_s``: what was under way is lost and every call is a
    LinkError until it is back. The same seed does the same to the same bytes.
    """

    seed: int = 0
    flip: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    reorder: float = 0.0
    inject: float = 0.0
    replay: float = 0.0
    freeze: float = 0.0
    reset: float = 0.0
    cut: float = 0.0
    delay_s: float = 0.05
    freeze_s: float = 0.5
    cut_s: float = 2.0

    def __post_init__(self) -> None:
        for name in FAULTS:
            if not 0 <= getattr(self, name) <= 1:  # NaN as well
                raise UsageError(
                    f"chaos: {name}={getattr(self, name)} is no probability", "give one of 0 to 1"
                )
        for name in ("delay_s", "freeze_s", "cut_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"chaos: {name}={getattr(self, name)}", "give seconds, 0 or more")

    def __str__(self) -> str:
        """As `parse_chaos` takes it."""
        said = [
            f"{field.name}={getattr(self, field.name):g}"
            for field in fields(self)
            if field.name != "seed" and getattr(self, field.name) != field.default
        ]
        return f"{self.seed}:{','.join(said)}"


def mixture(seed: int) -> Chaos:
    """All faults: what a seed alone stands for.

    Over the 10,000 digits of MNIST in PackBits (20,000 frames, 2.5 million bytes) that is about
    200 flipped bits, 25 of each byte's fault, 20 injections, 200 replays, 2 freezes, 2 resets and
    one cut.
    """
    return Chaos(
        seed,
        flip=1e-5,
        drop=1e-5,
        duplicate=1e-5,
        delay=1e-5,
        reorder=1e-5,
        inject=1e-3,
        replay=1e-2,
        freeze=1e-4,
        reset=1e-4,
        cut=5e-5,
    )


def parse_chaos(text: str) -> Chaos:
    """``SEED`` for `mixture`, or ``SEED:flip=1e-4,cut_s=60`` for these faults alone; UsageError."""
    seed, colon, rest = text.partition(":")
    try:
        number = int(seed)
    except ValueError:
        raise _unclear(text, f"{seed!r} is no whole number") from None
    if not colon:
        return mixture(number)
    names = {field.name for field in fields(Chaos)} - {"seed"}
    given: dict[str, float] = {}
    for item in filter(None, (part.strip() for part in rest.split(","))):
        name, equals, value = item.partition("=")
        if name not in names or not equals:
            raise _unclear(text, f"{item!r} is no fault; there are {', '.join(sorted(names))}")
        try:
            given[name] = float(value)
        except ValueError:
            raise _unclear(text, f"{value!r} is no number") from None
    return Chaos(number, **given)


def _unclear(text: str, why: str) -> UsageError:
    return UsageError(
        f"chaos {text!r}: {why}", "give a seed, or a seed and rates: 7:flip=1e-4,drop=1e-5"
    )
