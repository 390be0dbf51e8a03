# SPDX-License-Identifier: Apache-2.0
"""The same samples as other programs prepare them: other values, or turned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.generic]
Floats: TypeAlias = npt.NDArray[np.float32]

UNIT: Final = 1.5  # values from 0 to more than this are from 0 to 255
TO_1, AROUND_0, TO_255 = "from 0 to 1", "from -1 to 1", "from 0 to 255"
INVERTED: Final = "from 0 to 1, inverted"
RULES: Final = {
    TO_1: "pass --input scaled",
    AROUND_0: "pass --input scaled:-1:1",
    TO_255: "pass --input as-is",
}
_SIDE: Final = 4  # pixels, at least, of a picture
_NEAR: Final = 0.1  # of a mean of 0 and a standard deviation of 1


@dataclass(frozen=True, slots=True)
class Change:
    """Samples changed in one way. ``how``: in words, for the text of ``code``; ``advice``: instead
    of the code's."""

    code: str
    how: str
    x: Array
    advice: str = ""


def real_values(x: Array) -> Floats:
    """Samples as real numbers; uint8 are pixels, divided by 255."""
    real = x.astype(np.float32)
    return real / np.float32(255) if x.dtype == np.uint8 else real


def holds_pixels(x: Array, rule: str) -> bool:
    """Whether samples hold 0 to 255, to which every ``rule`` of ``--input`` applies."""
    raw = float(x.min()) >= 0 and float(x.max()) > UNIT
    return x.dtype == np.uint8 or rule.startswith("scaled") or raw


def otherwise(real: Floats) -> Iterator[tuple[str, Floats]]:
    """The same samples as other programs prepare them, with words for it."""
    low, high = float(real.min()), float(real.max())
    unit = real / 255 if high > UNIT and low >= 0 else (real + 1) / 2 if low < 0 else real
    if unit.min() < 0 or unit.max() > 1:
        return
    for name, values in (
        (TO_1, unit),
        (AROUND_0, 2 * unit - 1),
        (TO_255, 255 * unit),
        (INVERTED, 1 - unit),
    ):
        if not np.allclose(values, real):
            yield name, values.astype(np.float32)


def changes(x: Array, real: Floats, rule: str, shape: tuple[int, ...]) -> Iterator[Change]:
    """Every change to try. ``x``: as given; ``real``: the numbers that the network gets.

    ``shape``: of the network's input, which says what is a picture where the samples are flat.
    """
    yield from _ranges(x, real, rule)
    yield from _casts(x)
    yield from _turned(x, shape)


def _ranges(x: Array, real: Floats, rule: str) -> Iterator[Change]:
    pixels = holds_pixels(x, rule)
    for how, values in otherwise(real):
        if how == INVERTED:
            low, high = _limits(real)
            yield Change("input-inverted", how, np.float32(low + high) - real)
        else:
            yield Change("input-range", how, values, RULES[how] if pixels else "")
    axes = tuple(range(real.ndim - 1)) if real.ndim > 2 else (0,)
    mean, std = real.mean(axis=axes), real.std(axis=axes)
    if abs(float(mean.mean())) > _NEAR or abs(float(std.mean()) - 1) > _NEAR:
        how = "standardised (mean 0, standard deviation 1)"
        yield Change("input-range", how, ((real - mean) / np.maximum(std, 1e-6)).astype("<f4"))


def _limits(real: Floats) -> tuple[float, float]:
    """Between which limits values lie: 0 and 1, 0 and 255, or -1 and 1."""
    low, high = float(real.min()), float(real.max())
    return (-1, 1) if low < 0 else (0, 255) if high > UNIT else (0, 1)


def _casts(x: Array) -> Iterator[Change]:
    """Pixels that became int8: 128 to 255 wrapped to negative numbers, or all lowered by 128."""
    low, high = float(x.min()), float(x.max())
    if not -128 <= low < -1 or high > 127 or not np.array_equal(np.trunc(x), x):
        return
    whole = x.astype(np.int64)
    for how, pixels in (
        ("uint8 pixels, where -1 is 255", whole & 255),
        ("pixels minus 128", whole + 128),
    ):
        yield Change("input-cast", how, pixels.astype(np.uint8))


def _turned(x: Array, shape: tuple[int, ...]) -> Iterator[Change]:
    found = _picture(x.shape[1:]) or _picture(shape[1:] if shape[:1] == (1,) else shape)
    if not found:
        return
    image = x.reshape(len(x), *found)
    square = found[0] == found[1]
    flipped = np.swapaxes(image, 1, 2)
    for how, values in (
        ("mirrored", image[:, :, ::-1]),
        ("upside down", image[:, ::-1]),
        ("turned by 180 degrees", image[:, ::-1, ::-1]),
        *(
            (
                ("transposed", flipped),
                ("turned by 90 degrees", flipped[:, :, ::-1]),
                ("turned by 270 degrees", flipped[:, ::-1]),
                ("transposed along the other diagonal", flipped[:, ::-1, ::-1]),
            )
            if square
            else ()
        ),
    ):
        yield Change("orientation", how, np.ascontiguousarray(values).reshape(x.shape))
    if found[2] == 3:
        yield Change("channels", "", np.ascontiguousarray(image[..., ::-1]).reshape(x.shape))


def _picture(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """(height, width, channels) of a sample that can be a picture."""
    sides = shape if len(shape) == 3 else (*shape, 1)
    if len(sides) != 3 or min(sides[:2]) < _SIDE or sides[2] not in (1, 3, 4):
        return None
    return sides[0], sides[1], sides[2]
