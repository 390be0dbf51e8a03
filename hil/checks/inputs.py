# SPDX-License-Identifier: Apache-2.0
"""The same samples with other values, as other programs prepare them.

Values are first brought to 0..1 (`_sources`), then to each range that networks are trained on
(`_targets`). `hil.checks.layout` moves values instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.records import TensorSpec
from hil.stats.metrics import dequantised

Array: TypeAlias = npt.NDArray[np.generic]
Floats: TypeAlias = npt.NDArray[np.float32]
Apply: TypeAlias = Callable[[Array], Array]  # some samples -> the same samples, changed
Reals: TypeAlias = npt.NDArray[np.floating[Any]]
Map: TypeAlias = Callable[[Reals], Reals]

UNIT: Final = 1.5  # values from 0 to more than this are from 0 to 255
TO_1, AROUND_0, TO_255 = "from 0 to 1", "from -1 to 1", "from 0 to 255"
HALF, SIGNED = "from -0.5 to 0.5", "from -128 to 127"
INVERTED: Final = "from 0 to 1, inverted"
RULES: Final = {
    TO_1: "pass --input scaled",
    AROUND_0: "pass --input scaled:-1:1",
    TO_255: "pass --input as-is",
    HALF: "pass --input scaled:-0.5:0.5",
    SIGNED: "pass --input scaled:-128:127",
}
STANDARDISED: Final = "standardised (mean 0, standard deviation 1)"
TORCH: Final = "normalised by ImageNet's mean and standard deviation, as in PyTorch"
CAFFE: Final = "in BGR minus ImageNet's mean, as in Caffe"
_CALIBRATE: Final = (
    "; if the float32 network is right without it, calibrate the int8 one on samples like these"
)
_NEAR: Final = 0.1  # of a mean of 0 and a standard deviation of 1
_SLACK: Final = 0.02  # how far values may be outside of 0..1 after a normalisation is undone
# torchvision.transforms, and keras.applications.imagenet_utils.preprocess_input(mode="caffe")
_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_STD: Final = np.array([0.229, 0.224, 0.225], np.float32)
_BGR: Final = np.array([103.939, 116.779, 123.68], np.float32)
_UNITS: Final = (  # of measured values
    (9.80665, "g and m/s^2"),
    (1000.0, "thousandths"),
    (100.0, "hundredths"),
    (180 / np.pi, "degrees and radians"),
    (32768.0, "16-bit integers and -1 to 1"),
)


@dataclass(frozen=True, slots=True)
class Change:
    """Samples changed in one way by ``apply``. ``how``: in words, for the text of ``code``;
    ``advice``: instead of the code's. ``rare``: not worth a mention if another change explains
    the answers as well."""

    code: str
    how: str
    apply: Apply
    advice: str = ""
    rare: bool = False


def real_values(x: Array) -> Floats:
    """Samples as real numbers; uint8 are pixels, divided by 255."""
    real = x.astype(np.float32)
    return real / np.float32(255) if x.dtype == np.uint8 else real


def reals_for(x: Array, spec: TensorSpec) -> Floats:
    """The real numbers that an input gets for samples."""
    if x.dtype == spec.dtype.numpy and x.dtype.kind in "iu" and spec.scale:
        return dequantised(x, spec.scale, spec.zero_point).astype(np.float32)
    return real_values(x)


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


def value_changes(x: Array, spec: TensorSpec, rule: str) -> list[Change]:
    """Every change of values to try for samples ``x`` of an input ``spec``, ``rule`` of --input.

    Ranges and means are those of ``x``; the changes apply to any of its samples.
    """
    real = reals_for(x, spec)
    pixels = holds_pixels(x, rule)

    def made(code: str, how: str, change: Map, advice: str = "", *, rare: bool = False) -> Change:
        return Change(code, how, _on_reals(change, spec), advice, rare)

    # first, since a range may give the network the same values
    found = [*_codes(x, spec), *_casts(x), *_rgb565(x)]
    low, high = float(real.min()), float(real.max())
    again = _CALIBRATE if spec.dtype.quantised else ""
    for code, source, unit in _sources(real):
        for target, goal in _targets(real):
            how = target if not source else f"{target} ({source})"
            both = "input-imagenet" if target in (TORCH, CAFFE) else code
            advice = RULES.get(target, "") if pixels and not source else ""
            if advice and target in (TO_255, SIGNED):
                advice = f"{advice}{again}"
            rare = bool(source) or both == "input-imagenet"
            found.append(made(both, how, _then(unit, goal), advice, rare=rare))
    bottom, top = _limits(low, high)
    found.append(made("input-inverted", "", lambda r: np.float32(bottom + top) - r))
    found += [made("input-range", how, change, rare=True) for how, change in _standardised(real)]
    if x.ndim <= 3 and x.dtype.kind == "f" and not 0 <= low <= high <= 1:
        found += [made("input-unit", how, change, rare=True) for how, change in _units()]
    return found


def inverted_changes(x: Array, spec: TensorSpec) -> list[Change]:
    """Other ranges of inverted values: two faults at once."""
    real = reals_for(x, spec)
    found = []
    for code, source, unit in _sources(real):
        for target, goal in _targets(real):
            how = target if not source else f"{target} ({source})"
            apply = _on_reals(_then(_then(unit, lambda u: 1 - u), goal), spec)
            rare = bool(source) or target in (TORCH, CAFFE)
            found.append(
                Change("input-imagenet" if rare and not source else code, how, apply, "", rare)
            )
    return found


def _on_reals(change: Map, spec: TensorSpec) -> Apply:
    return lambda some: _f4(change(reals_for(some, spec)))


def _then(first: Map, second: Map) -> Map:
    return lambda real: second(first(real))


def _f4(values: Reals) -> Floats:
    return np.asarray(values, np.float32)


def _rgb(real: Floats) -> bool:
    return real.ndim == 4 and real.shape[3] == 3


def _sources(real: Floats) -> Iterator[tuple[str, str, Map]]:
    """(code, in words where it is not obvious, how to bring it to 0..1) of what ``real`` may be."""
    low, high = float(real.min()), float(real.max())
    plain = "input-range"
    known = False
    if low >= 0 and high <= 1:
        yield plain, "", lambda r: r
        known = True
    elif low >= 0 and high > UNIT and high <= 255:
        yield plain, "", lambda r: r / 255
        known = True
    elif low < 0 and low >= -1 and high <= 1:
        yield plain, "", lambda r: (r + 1) / 2
        known = True
    if -0.5 <= low < 0 and high <= 0.5:
        yield plain, "now -0.5 to 0.5", lambda r: r + 0.5
    if low < 0 and _rgb(real):
        if _within(torch := real * _STD + _MEAN):
            yield "input-imagenet", "undoing ImageNet's mean and standard deviation", _undo_torch
            known = True
        elif float(torch.max()) > 2 and _within((real[..., ::-1] + _BGR[::-1]) / 255):
            yield "input-imagenet", "undoing ImageNet's mean in BGR", _undo_caffe
            known = True
    if high > low and not (known and (low, high) in ((0, 1), (0, 255), (-1, 1))):
        words = f"of all samples, now {low:.4g} to {high:.4g}"
        yield plain, words, lambda r: (r - low) / (high - low)


def _within(unit: Reals) -> bool:
    return bool(unit.min() >= -_SLACK and unit.max() <= 1 + _SLACK)


def _undo_torch(real: Reals) -> Reals:
    return np.asarray(np.clip(real * _STD + _MEAN, 0, 1))


def _undo_caffe(real: Reals) -> Reals:
    return np.asarray(np.clip((real + _BGR)[..., ::-1] / 255, 0, 1))


def _targets(real: Floats) -> list[tuple[str, Map]]:
    """The ranges that networks are trained on, from 0..1."""
    found: list[tuple[str, Map]] = [
        (TO_1, lambda u: u),
        (AROUND_0, lambda u: 2 * u - 1),
        (TO_255, lambda u: 255 * u),
        (HALF, lambda u: u - 0.5),
        (SIGNED, lambda u: 255 * u - 128),
    ]
    if _rgb(real):
        found.append((TORCH, lambda u: (u - _MEAN) / _STD))
        found.append((CAFFE, lambda u: 255 * u[..., ::-1] - _BGR))
    return found


def _standardised(real: Floats) -> Iterator[tuple[str, Map]]:
    axes = tuple(range(real.ndim - 1)) if real.ndim > 2 else (0,)
    mean, std = real.mean(axis=axes), np.maximum(real.std(axis=axes), np.float32(1e-6))
    if abs(float(mean.mean())) > _NEAR or abs(float(std.mean()) - 1) > _NEAR:
        yield STANDARDISED, lambda r: (r - mean) / std
    if real[0].size < 16:
        return
    inner = tuple(range(1, real.ndim))

    def by_sample(r: Reals) -> Reals:
        spread = np.maximum(r.std(axis=inner, keepdims=True), np.float32(1e-6))
        return _f4((r - r.mean(axis=inner, keepdims=True)) / spread)

    def by_peak(r: Reals) -> Reals:
        least = r.min(axis=inner, keepdims=True)
        span = r.max(axis=inner, keepdims=True) - least
        return _f4((r - least) / np.maximum(span, np.float32(1e-6)))

    yield "standardised sample by sample", by_sample
    yield "from 0 to 1, sample by sample", by_peak


def _limits(low: float, high: float) -> tuple[float, float]:
    """Between which limits values lie: 0 and 1, 0 and 255, or -1 and 1."""
    return (-1, 1) if low < 0 else (0, 255) if high > UNIT else (0, 1)


def _units() -> Iterator[tuple[str, Map]]:
    for factor, what in _UNITS:
        yield f"divided by {factor:.6g} ({what})", _times(1 / factor)
        yield f"times {factor:.6g} ({what})", _times(factor)


def _times(factor: float) -> Map:
    return lambda real: real * np.float32(factor)


def _codes(x: Array, spec: TensorSpec) -> Iterator[Change]:
    """Codes of the input that were given as numbers, or numbers that were given as codes."""
    if not spec.dtype.quantised or not spec.scale:
        return
    limits = np.iinfo(spec.dtype.numpy.name)
    own = x.dtype == spec.dtype.numpy
    if own:
        yield Change(
            "input-codes",
            "real numbers, not codes of the input",
            lambda some: some.astype(np.float32),
            'save x as "float32"',
        )
    elif limits.min <= float(x.min()) and float(x.max()) <= limits.max and _whole(x):
        yield Change(
            "input-codes",
            "codes of the input (they were quantised before)",
            lambda some: some.astype(spec.dtype.numpy),
            f'save x as "{spec.dtype.name.lower()}", or the values before they were quantised',
        )


def _casts(x: Array) -> Iterator[Change]:
    """Pixels that became int8: 128 to 255 wrapped to negative numbers, or all lowered by 128; and
    int8 that became uint8."""
    if x.dtype == np.uint8:
        yield Change(
            "input-cast",
            "int8 codes stored as uint8, where 255 is -1",
            lambda some: (some.astype(np.uint8) ^ 128).astype(np.uint8),
            "add 128 to the codes before they become uint8",
            rare=True,
        )
        return
    low, high = float(x.min()), float(x.max())
    if not -128 <= low < -1 or high > 127 or not _whole(x):
        return
    for how, change in (
        ("uint8 pixels, where -1 is 255", lambda some: some.astype(np.int64) & 255),
        ("pixels minus 128", lambda some: some.astype(np.int64) + 128),
    ):
        yield Change("input-cast", how, _as_pixels(change))


def _as_pixels(change: Callable[[Array], npt.NDArray[np.int64]]) -> Apply:
    return lambda some: change(some).astype(np.uint8)


def _whole(x: Array) -> bool:
    return bool(np.array_equal(np.trunc(x), x))


def _rgb565(x: Array) -> Iterator[Change]:
    """Pictures of a camera's RGB565 whose two bytes were exchanged before they were unpacked."""
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[3] != 3:
        return
    bits = x[..., ::2].astype(np.uint8)  # red and blue have 5
    # unpacked pixels have the low bits empty, or filled with the high ones
    if (bits & 7).any() and ((bits & 7) != bits >> 5).any():
        return
    yield Change("input-byte-order", "", _exchanged, rare=True)


def _exchanged(some: Array) -> Array:
    red, green, blue = (some[..., i].astype(np.uint16) for i in range(3))
    packed = (red >> 3) << 11 | (green >> 2) << 5 | blue >> 3
    swapped = packed >> 8 | (packed & 255) << 8
    parts = (swapped >> 11) << 3, (swapped >> 5 & 63) << 2, (swapped & 31) << 3
    return np.stack(parts, axis=-1).astype(np.uint8)


def used_range(x: Array, spec: TensorSpec, values: Array) -> str:
    """What ``values``, the input's values for ``x``, use of its range, in words."""
    real = reals_for(x, spec)
    if values.dtype.kind not in "iu" or not spec.scale:
        return f"the network gets {real.min():.4g} to {real.max():.4g}, mean {real.mean():.4g}"
    limits = np.iinfo(values.dtype.name)
    at_limit = float(np.mean((values == limits.min) | (values == limits.max)))
    used = len(np.unique(values))
    return (
        f"the samples use {used:,} of {limits.max - limits.min + 1:,} input codes, "
        f"{at_limit:.1%} of the values are at a limit of the range, and the mean code is "
        f"{values.mean():.1f} (zero point {spec.zero_point})"
    )
