"""What a sweep varies, as a recipe's ``[sweep]`` section spells it. Data only, no Optuna."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import msgspec

from hil.config import Config


class Axis(Config, frozen=True):
    """Numbers from ``low`` to ``high``; ``log``: as many below their geometric mean as above;
    ``step``: only ``low``, ``low + step``, ..."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


Values: TypeAlias = Axis | tuple[float, ...]  # or only these


class Sweep(Config, frozen=True):
    """The section. What is not named stays as the stage has it.

    ``stage``: the one to vary, else the recipe's student. ``width``: a factor on its filters and
    units, the last layer apart.
    """

    stage: str = ""
    temperature: Values | None = None
    alpha: Values | None = None
    learning_rate: Values | None = None
    width: Values | None = None
    batch: Values | None = None
    epochs: Values | None = None


KEYS: Final = ("temperature", "alpha", "learning_rate", "width", "batch", "epochs")
WHOLE: Final = ("batch", "epochs")
OF_LOSS: Final = ("temperature", "alpha")
_BOUNDS: Final = {
    "temperature": (0.01, 1000.0),
    "alpha": (0.0, 1.0),
    "learning_rate": (1e-7, 10.0),
    "width": (0.01, 16.0),
    "batch": (1, 2**20),
    "epochs": (1, 10_000),
}


def axes(sweep: Sweep) -> dict[str, Values]:
    """What a section names."""
    named = {key: getattr(sweep, key) for key in KEYS}
    return {key: values for key, values in named.items() if values is not None}


def usual(learning_rate: float, *, loss: bool, width: bool) -> dict[str, Values]:
    """What is varied where a recipe has no section.

    Args:
        learning_rate: the stage's own, the middle of the range.
        loss: whether the stage has one with a T and an alpha.
        width: whether its layers may change.
    """
    found: dict[str, Values] = {}
    if loss:
        found["temperature"] = Axis(low=1, high=20, log=True)
        found["alpha"] = Axis(low=0, high=1)
    reach = math.sqrt(10)
    low, high = learning_rate / reach, min(10.0, learning_rate * reach)
    found["learning_rate"] = Axis(low=float(f"{low:.3g}"), high=float(f"{high:.3g}"), log=True)
    if width:
        found["width"] = Axis(low=0.25, high=2, step=0.25)
    return found


def fault(sweep: Sweep) -> str:
    """What is wrong with a section, its key first; empty when nothing is."""
    for key, values in axes(sweep).items():
        what = _fault(key, values)
        if what:
            return f"sweep.{key}: {what}"
    return ""


def _fault(key: str, values: Values) -> str:
    if isinstance(values, Axis):
        low, high, step = values.low, values.high, values.step
        if not low < high:
            return f"low {low:g} is not below high {high:g}"
        if values.log and (low <= 0 or step is not None):
            return "a logarithmic axis begins above 0 and has no step"
        if step is not None and not 0 < step <= high - low:
            return f"a step of {step:g} does not fit between {low:g} and {high:g}"
        numbers: tuple[float, ...] = (low, high) if step is None else (low, high, low + step)
    else:
        numbers = values
        if not numbers:
            return "names no values"
        if len(set(numbers)) < len(numbers):
            return "one value is there twice"
    least, most = _BOUNDS[key]
    outside = [n for n in numbers if not least <= n <= most]
    if outside:
        return f"{outside[0]:g} is not within {least:g}..{most:g}"
    if key in WHOLE and any(n != int(n) for n in numbers):
        return "takes whole numbers"
    return ""


def encode(found: dict[str, Values]) -> str:
    """Axes as one line of JSON."""
    return msgspec.json.encode(found, order="sorted").decode()
