# SPDX-License-Identifier: Apache-2.0
"""``--input``: what the numbers of a data set stand for. It is stated, never guessed.

    pixels              whole numbers 0 to 255, which the device divides by 255
    scaled[:LOW:HIGH]   mapped linearly from 0..255 (integers of 8 and 16 bits: from their type's
                        range) to LOW..HIGH (0..1), as float32, on the host
    as-is               the numbers that the network takes

By default, uint8 are pixels and all other types are taken as they are. Of several inputs, pixels
and scaled apply to the arrays of uint8 only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.bench.inputs import Taken
from hil.core.errors import DataError, UsageError
from hil.core.records import Dataset, TensorSpec
from hil.core.text import printable
from hil.datasets.arrays import LARGEST
from hil.reference import quantize

Array: TypeAlias = npt.NDArray[np.generic]

PIXELS, SCALED, AS_IS = "pixels", "scaled", "as-is"
_BLOCK: Final = 1 << 20  # values that are looked at together
_NUMBER: Final = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_FORM: Final = re.compile(rf"(pixels|as-is|scaled)(?::({_NUMBER}):({_NUMBER}))?")
_TYPES: Final = (np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.int16))  # with their own range


@dataclass(frozen=True, slots=True)
class Rule:
    """One of the three; ``low``, ``high``: of scaled."""

    kind: str
    low: float = 0.0
    high: float = 1.0

    def __str__(self) -> str:
        return f"{SCALED}:{self.low:g}:{self.high:g}" if self.kind == SCALED else self.kind


def parse_rule(text: str) -> Rule:
    """The value of ``--input``; UsageError for anything else."""
    found = _FORM.fullmatch(text)
    if not found or (found[2] and found[1] != SCALED):
        raise UsageError(
            f"--input {printable(text)} is unknown",
            "pixels, as-is, scaled, or scaled:LOW:HIGH such as scaled:-1:1",
        )
    if not found[2]:
        return Rule(found[1])
    low, high = float(found[2]), float(found[3])
    if not -1e30 < low < high < 1e30:
        raise UsageError(f"--input {text}: {low:g} is not below {high:g}", "give LOW, then HIGH")
    return Rule(found[1], low, high)


def preprocessed(data: Dataset, rule: Rule | None, takers: Sequence[Taken]) -> Dataset:
    """``data`` with the values that networks with the inputs ``takers`` get; None: the default.

    The fingerprint of changed samples is that of the data and the rule. Targets that are the
    samples stay so. The same data set if it was preprocessed before.

    Raises:
        DataError: a value is outside what the rule takes, or it means different things to two
            networks.
    """
    if data.input:
        return data
    if rule is None:
        return replace(data, input=_default(data))
    given = dict(data.named) or {"x": data.x}
    done: dict[str, Array] = {}
    for name, x in given.items():
        if len(given) > 1 and rule.kind != AS_IS and x.dtype != np.uint8:
            done[name] = x
        else:
            where = f"{data.name}, {name}" if data.named else data.name
            done[name] = _converted(x, rule, _specs(name, takers), where)
    same = all(done[name] is x for name, x in given.items())
    x = next(done[name] for name, one in given.items() if one is data.x)
    for array in done.values():
        array.setflags(write=False)
    fingerprint = hashlib.sha256(f"{data.fingerprint} --input {rule}".encode()).hexdigest()
    return replace(
        data,
        x=x,
        named=done if data.named else {},
        targets=_targets(data, x),
        input=str(rule),
        fingerprint=data.fingerprint if same else fingerprint,
    )


def _default(data: Dataset) -> str:
    """The rule that the types of the samples stand for; empty if they differ."""
    types = {x.dtype for x in data.named.values()} or {data.x.dtype}
    pixels = np.dtype(np.uint8)
    if types == {pixels}:
        return PIXELS
    return "" if pixels in types else AS_IS


def _specs(name: str, takers: Sequence[Taken]) -> list[TensorSpec]:
    """What each network takes of the array ``name``; a single input takes it whatever its name."""
    every = [taken.by_name for taken in takers]
    return [
        one.get(name) or next(iter(one.values())) for one in every if len(one) == 1 or name in one
    ]


def _converted(x: Array, rule: Rule, specs: Sequence[TensorSpec], where: str) -> Array:
    if x.size * 4 > LARGEST:  # as float32; mapped samples may be more
        raise DataError(
            f"{where}: --input {rule} would take {x.size * 4:,} bytes",
            f"{LARGEST:,} is the limit: pass --limit, or convert the file",
        )
    if rule.kind == AS_IS:
        return _as_is(x, specs, where)
    if rule.kind == PIXELS:
        if x.dtype == np.uint8:
            return x
        least, most = extent(x)
        if least < 0 or most > 255 or not _whole(x):
            raise DataError(
                f"{where}: values from {least:g} to {most:g} are not pixels",
                "pixels are whole numbers from 0 to 255; pass another --input",
            )
        return x.astype(np.uint8)
    low, high = 0, 255
    if x.dtype in _TYPES:
        limits = np.iinfo(x.dtype.name)
        low, high = int(limits.min), int(limits.max)
    least, most = extent(x)
    if least < low or most > high:
        raise DataError(
            f"{where}: values from {least:g} to {most:g}, scaled maps {low} to {high}",
            "scale them before, or pass --input as-is",
        )
    shares = (x.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return np.asarray(np.float32(rule.low) + shares * np.float32(rule.high - rule.low), np.float32)


def _as_is(x: Array, specs: Sequence[TensorSpec], where: str) -> Array:
    own = [spec.dtype.numpy == x.dtype for spec in specs]
    if x.dtype == np.float32 or (own and all(own)):
        return x
    if any(own):
        raise DataError(
            f"{where}: {x.dtype} values are codes of one network and numbers for another",
            "bench these networks in separate runs",
        )
    return x.astype(np.float32)


def _targets(data: Dataset, x: Array) -> npt.NDArray[np.float32] | None:
    """The targets; with the samples' new values if they are the samples, as of an autoencoder."""
    old = data.targets
    if old is None or old.size != data.x.size or not np.array_equal(old.ravel(), data.x.ravel()):
        return old
    return np.asarray(x, np.float32).reshape(old.shape)


def _blocks(x: Array) -> Iterator[npt.NDArray[np.float64]]:
    """The values, some rows at a time."""
    rows = max(1, _BLOCK // max(1, x[0].size))
    return (np.asarray(x[i : i + rows], np.float64) for i in range(0, len(x), rows))


def extent(x: Array) -> tuple[float, float]:
    """The least and the largest value."""
    pairs = [(float(block.min()), float(block.max())) for block in _blocks(x)]
    return min(low for low, _ in pairs), max(high for _, high in pairs)


def _whole(x: Array) -> bool:
    return all(bool((np.trunc(block) == block).all()) for block in _blocks(x))


def in_words(data: Dataset, given: Rule | None, takers: Sequence[Taken]) -> str:
    """How the samples become inputs, in one line: the rule, the range of values, and what it takes
    of the range of each quantised input.

    ``data``: preprocessed, and checked. Of ``takers`` that are alike, the first is described.
    """
    said = []
    for name, x in (data.named or {"x": data.x}).items():
        codes = [spec.dtype.numpy == x.dtype for spec in _specs(name, takers)]
        pixels = x.dtype == np.uint8 and data.input != AS_IS and not (codes and all(codes))
        fed = "taken as pixels and divided by 255" if pixels else "taken as it is"
        if data.input.startswith(SCALED) and x.dtype == np.float32:
            fed = "scaled"
        low, high = (end / 255 if pixels else end for end in extent(x))
        by = "by --input" if given else "by default (see --input)"
        said.append(f"{name} is {x.dtype}, {fed} {by}: {low:g} to {high:g}")
        described: set[TensorSpec] = set()
        for taken in takers:
            for spec in _specs(name, [taken]):
                alike = replace(spec, shape=())
                if alike not in described and spec.dtype.quantised and spec.scale > 0:
                    described.add(alike)
                    said.append(f"{taken.who} {_of_range(x, spec, 255 if pixels else 1)}")
    return "; ".join(said)


def _of_range(x: Array, spec: TensorSpec, unit: int) -> str:
    """What x / ``unit`` takes of the range of a quantised input, and how much of it is clamped."""
    limits = np.iinfo(spec.dtype.numpy.name)
    least, most = (spec.scale * (end - spec.zero_point) for end in (limits.min, limits.max))
    takes = f"takes {least:g} to {most:g} as {spec.dtype.name.lower()}"
    if x.dtype == spec.dtype.numpy:
        return f"{takes}, and these are its codes"
    ends = np.array([end / unit for end in extent(x)], np.float32)
    first, last = quantize(ends, spec).tolist()
    low, high = ((end + step) * unit for end, step in ((least, -spec.scale), (most, spec.scale)))
    outside = sum(int(((block < low) | (block > high)).sum()) for block in _blocks(x))
    clamped = f"; {outside / x.size:.1%} of the values lie outside" if outside else ""
    return f"{takes} and gets codes {first} to {last}{clamped}"
