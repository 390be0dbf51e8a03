# SPDX-License-Identifier: Apache-2.0
"""Depthwise int8 convolutions that copy two channels apart first, each into a plane of its own.

Pixels store their channels next to each other, but a depthwise sum needs neighbouring pixels of one
channel. In a plane these follow each other as 16-bit values, padding included, so that one
instruction multiplies two of them (`kernels/planes.h`). A plane holds the whole input of a channel,
or what a few output rows read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Array, Emitted, Writer, read
from hil.engines.aot.steps import InPlace
from hil.engines.aot.weighted.conv import Conv
from hil.engines.aot.weighted.conv_place import scaled
from hil.engines.aot.weighted.finish import Finish
from hil.tflite.graph import Axis

_BANDS = (1, 2, 4, 8)  # output rows at a time, where not all
_TILE = 4  # outputs at a time
_FARTHEST = 1020  # bytes from a pointer that one instruction loads two words from
_UNROLLED = 24  # words of weights that are unrolled; more are in a loop over the window's lines


@dataclass(frozen=True, slots=True, eq=False)
class Planar(Conv):
    """A depthwise convolution that computes ``band`` output rows at a time, of two channels."""

    band: int = 0

    @property
    def whole(self) -> bool:
        return self.band >= self.rows.count

    @property
    def scratch_bytes(self) -> int:
        return 2 * 2 * planes(self).size

    @property
    def lead(self) -> int | InPlace | None:
        if self.whole:  # a channel is copied before it is written, and no other one is touched
            same = self.cin == self.cout and self.output_bytes <= self.input_bytes
            return InPlace.EXACTLY if same else None
        starts = np.arange(0, self.rows.count, self.band)
        ends = np.minimum(starts + self.band, self.rows.count) * self.columns.count * self.cout
        first = np.maximum(starts * self.rows.stride - self.rows.before, 0)
        return int((ends - first * self.columns.size * self.cin).max())


@dataclass(frozen=True, slots=True)
class Planes:
    """The two planes: ``lines`` of ``pitch`` values along an axis of the input."""

    along: Axis
    across: Axis
    transposed: bool  # along the rows
    lines: int
    pitch: int

    @property
    def size(self) -> int:
        """Values of one plane."""
        return self.lines * self.pitch

    @property
    def copied(self) -> int:
        """Values of a line that come from the input."""
        return min(self.along.size, self.pitch - self.along.before)


def planes(conv: Planar) -> Planes:
    """The planes of a layer, along the axis that wastes less of its pairs of outputs."""
    axes = [(conv.columns, conv.rows, False)]
    if conv.whole:
        axes.append((conv.rows, conv.columns, True))
    along, across, transposed = min(
        (a for a in axes if _pairs(a[0])), key=lambda a: -(-a[0].count // 2) * a[1].count
    )
    count = across.count if conv.whole else conv.band
    end = (along.count - 1) * along.stride + along.window
    return Planes(
        along, across, transposed, (count - 1) * across.stride + across.window, end + end % 2
    )


def _pairs(axis: Axis) -> bool:
    """Whether outputs 0, 2, ... along it start at a whole word, and so do 0, 1, ..., or none."""
    return axis.stride == 1 or axis.stride % 2 == 0


def planar(conv: Conv, band: int) -> Planar:
    values = {f.name: getattr(conv, f.name) for f in fields(Conv)}
    return Planar(**values, band=band)


def candidates(conv: Conv) -> Iterator[Planar]:
    """The ways to compute ``conv`` with planes."""
    if conv.quant is None or not conv.depthwise or conv.pool is not None:
        return
    if _pairs(conv.rows) or _pairs(conv.columns):
        yield planar(conv, conv.rows.count)
    if _pairs(conv.columns):
        for band in _BANDS:
            if band < conv.rows.count:
                yield planar(conv, band)


def cost(conv: Planar) -> float:
    """About how many instructions it takes on a Cortex-M7."""
    shape = planes(conv)
    height, width = shape.across.window, shape.along.window
    tile = height * (2.75 * width + 3) + 20
    lines = conv.columns.count if shape.transposed else conv.rows.count
    bands = -(-conv.rows.count // conv.band)
    computed = lines * -(-shape.along.count // _TILE) * tile + 25 * bands
    return conv.cout * computed + conv.cin * bands * shape.lines * (2.3 * shape.copied + 8)


@dataclass(frozen=True, slots=True)
class _Taps:
    """The products of one line of a window with words of values, for outputs 0 and 1.

    Each is (output, number of the word of values, operation, number of the word of weights).
    """

    weights: tuple[tuple[int, int], ...]  # pairs of taps, in order; -1: none
    products: tuple[tuple[int, int, str, int], ...]

    def of(self, count: int, stride: int) -> list[tuple[int, int, str, int]]:
        """The same for ``count`` outputs, so that each word of weights is used at once."""
        found = [
            (2 * pair + output, value + pair * stride, operation, weight)
            for pair in range(-(-count // 2))
            for output, value, operation, weight in self.products
            if 2 * pair + output < count
        ]
        return sorted(found, key=lambda p: (p[3], p[0]))


def _taps(window: int, stride: int) -> _Taps:
    whole, odd = divmod(window, 2)
    weights = [(2 * k, 2 * k + 1) for k in range(whole)]
    products = [(0, k, "both", k) for k in range(whole)]
    if stride % 2 == 0:
        if odd:
            weights.append((window - 1, -1))
            products.append((0, whole, "low_low", whole))
        products += [(1, k + stride // 2, operation, i) for _, k, operation, i in products]
        return _Taps(tuple(weights), tuple(products))
    first = len(weights)
    weights += [(2 * k + 1, 2 * k + 2) for k in range((window - 1) // 2)]
    products.append((1, 0, "high_low", 0))
    products += [(1, k + 1, "both", first + k) for k in range((window - 1) // 2)]
    if odd:
        last = ("low_high", len(weights) - 1) if weights else ("low_low", 0)
        products.append((0, whole, *last))
    else:
        products.append((1, whole, "low_high", first - 1))
    weights = weights or [(0, -1)]
    order = sorted(range(len(weights)), key=lambda k: weights[k])
    places = {k: place for place, k in enumerate(order)}
    return _Taps(
        tuple(weights[k] for k in order),
        tuple((output, value, operation, places[k]) for output, value, operation, k in products),
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """How sums become outputs, per channel: that of `Finish.scale_columns`, with weights times
    ``factors``, which are chosen so that all ``shifts`` are the same where that is possible.

    Halves away from zero (`Finish.away`) need a factor of 2.
    """

    factors: npt.NDArray[np.int64]
    multipliers: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    shifts: npt.NDArray[np.int64]

    @property
    def shift(self) -> int | None:
        """That of all channels."""
        return int(self.shifts[0]) if len(set(self.shifts.tolist())) == 1 else None


_FEWEST, _MOST = 2, 8  # powers of two, times which weights fit int16 and offsets are integers


def _scale(conv: Planar, finish: Finish) -> _Scale:
    quant = conv.quant
    assert quant is not None
    n = -1 - quant.shifts
    used = n[quant.multipliers != 0]
    n = np.where(quant.multipliers == 0, used.min(initial=_MOST), n)
    powers = np.ones_like(n) if finish.away else np.clip(n.min() + _MOST - n, _FEWEST, _MOST)
    shifts = n + powers
    halves = 0 if finish.away else 1 << (powers - _FEWEST)
    offsets = halves + (1 << (shifts - 1)) + quant.output_zero * (1 << shifts)
    return _Scale(1 << powers, quant.multipliers, offsets, shifts)


def pack_taps(conv: Planar, finish: Finish) -> npt.NDArray[np.int16]:
    """(channel, line, word, tap of the word); times the channel's factor if sums are scaled."""
    shape = planes(conv)
    weights = conv.weights.astype(np.int32)
    if finish.scaled:
        weights = weights * _scale(conv, finish).factors[:, None, None]
    lines = np.swapaxes(weights, 1, 2) if shape.transposed else weights
    blank = np.zeros((*lines.shape[:2], 1), np.int32)
    index = np.array(_taps(shape.along.window, shape.along.stride).weights)
    return np.concatenate([lines, blank], axis=2)[:, :, index].astype("<i2")


def _scales(conv: Planar, finish: Finish) -> npt.NDArray[np.int32]:
    assert conv.quant is not None
    scale = _scale(conv, finish)
    columns = [scale.factors * conv.quant.bias, scale.multipliers, scale.offsets]
    if scale.shift is None:
        columns.append(scale.shifts)
    return np.stack(columns, axis=1).astype("<i4")


def emit_planes(conv: Planar, prefix: str) -> Emitted:
    """The C code of a depthwise layer; its function is ``prefix(in, out, scratch)``."""
    shape = planes(conv)
    finish = Finish(conv, prefix, wide=False)
    weights = pack_taps(conv, finish)
    words = Array(f"{prefix}_w", weights, "weights, two taps at a time")
    arrays = [words, *finish.arrays()]
    if finish.scaled:
        scales = _scales(conv, finish)
        names = ("bias", "multiplier", "offset", "shift")[: scales.shape[1]]
        arrays = [words, Array(f"{prefix}_q", scales, f"per channel: {', '.join(names)}")]
    w = Writer()
    _apart(w, conv, shape, prefix)
    _plane(w, conv, shape, finish, prefix)
    with w.block(f"static inline void {prefix}(const int8_t *in, int8_t *out, int16_t *s)"):
        zero = conv.quant.input_zero if conv.quant else 0
        if conv.padded:
            w(f"for (int k = 0; k < {2 * shape.size}; ++k) s[k] = {zero};")
        bands = -(-conv.rows.count // conv.band)
        with w.block(f"for (int y = 0; y < {conv.rows.count}; y += {conv.band})", bands > 1):
            stride = scales.shape[1] if finish.scaled else finish.stride
            _channels(w, conv, shape, prefix, (weights[0].size, stride))
    return Emitted(arrays, str(w), (*finish.kernels, "planes"))


def _channels(w: Writer, conv: Planar, shape: Planes, prefix: str, sizes: tuple[int, int]) -> None:
    """All channels of a band of rows from y on."""
    if not conv.whole:
        lines = str(conv.band)
        if conv.rows.count % conv.band:
            lines = f"{conv.rows.count} - y < {lines} ? {conv.rows.count} - y : {lines}"
        w(f"const int lines = {lines};")
        w(f"int8_t *to = out + y * {conv.columns.count * conv.cout};")
    target = "out" if conv.whole else "to"
    first = "" if conv.whole else f", {scaled('y', conv.rows.stride, -conv.rows.before)}"
    more = "" if conv.whole else ", lines"
    w(f"HIL_FLASH int16_t *w = {prefix}_w;")
    w(f"HIL_FLASH int32_t *q = {prefix}_q;")
    times = conv.cout // conv.cin
    each = f"w += {sizes[0]}, q += {sizes[1]}"

    def one(c: str, plane: int) -> None:
        place = f"s + {plane * shape.size}" if plane else "s"
        with w.loop("j", times, each):
            channel = f"({c} + {plane})" if plane else c
            at = channel if times == 1 else f"{channel} * {times} + j"
            w(f"{prefix}_plane({place}, w, q, {target} + {at}{more});")
        if times == 1:
            w(f"w += {sizes[0]}, q += {sizes[1]};")

    with w.loop("c", conv.cin // 2) if conv.cin > 3 else w.block(""):
        c = "2 * c" if conv.cin > 3 else "0"
        w(f"{prefix}_apart(in + {c}{first}, s);")
        one(c, 0)
        one(c, 1)
    if conv.cin % 2:  # the channel before it fills the other plane
        w(f"{prefix}_apart(in + {conv.cin - 2}{first}, s);")
        one(str(conv.cin - 2), 1)


def _apart(w: Writer, conv: Planar, shape: Planes, prefix: str) -> None:
    """The function that copies two channels of the input to the planes."""
    row = conv.columns.size * conv.cin
    step, down = (row, conv.cin) if shape.transposed else (conv.cin, row)
    across, before = shape.across, shape.along.before
    first = "" if conv.whole else "int y, "
    with w.block(f"HIL_KERNEL {prefix}_apart(const int8_t *in, {first}int16_t *s)"):
        top = across.before if conv.whole else 0
        lines = min(across.size, shape.lines - top) if conv.whole else shape.lines
        if top:
            w(f"s += {top * shape.pitch};")
        move = f"in += {down}, s += {shape.pitch}" if conv.whole else f"++y, s += {shape.pitch}"
        with w.block(f"for (int r = 0; r < {lines}; ++r, {move})", not conv.whole or lines > 1):
            if not conv.whole:
                with w.block(f"if (y < 0 || y >= {across.size})"):
                    zero = conv.quant.input_zero if conv.quant else 0
                    fill = f"s[k] = s[k + {shape.size}] = {zero}"
                    w(f"for (int k = {before}; k < {before + shape.copied}; ++k) {fill};")
                    w("continue;")
            w(f"const int8_t *p = in{'' if conv.whole else f' + y * {down}'};")
            w(f"int16_t *t = s{f' + {before}' if before else ''};")
            left = shape.copied
            if before % 2:
                w(f"hil_apart1(t, t + {shape.size}, p);")
                w(f"p += {step}, t += 1;")
                left -= 1
            if left > 1:
                unroll = 2 if left >= 8 and left // 2 % 2 == 0 else 1
                head = f"for (int k = 0; k < {left // 2 // unroll}; ++k"
                with w.block(f"{head}, p += {2 * unroll * step}, t += {2 * unroll})"):
                    for u in range(unroll):
                        t = f"t + {2 * u}" if u else "t"
                        x = [f"p + {(2 * u + i) * step}" for i in range(2)]
                        w(f"hil_apart2({t}, t + {2 * u + shape.size}, {x[0]}, {x[1]});")
            if left % 2:
                w(f"hil_apart1(t, t + {shape.size}, p);")
    w()


def _plane(w: Writer, conv: Planar, shape: Planes, finish: Finish, prefix: str) -> None:
    """The function that computes the outputs of one channel."""
    pixel = conv.cout
    row = conv.columns.count * pixel
    step, down = (row, pixel) if shape.transposed else (pixel, row)
    count = shape.across.count if conv.whole else 0
    more = "" if conv.whole else ", int lines"
    constants = "HIL_FLASH int16_t *w, HIL_FLASH int32_t *q"
    with w.block(f"HIL_KERNEL {prefix}_plane(const int16_t *s, {constants}, int8_t *o{more})"):
        if finish.scaled:
            w(f"const int32_t bias = {read('int32_t', 'q', 0)};")
        advance = f"s += {shape.pitch * shape.across.stride}, o += {down}"
        bound = str(count) if conv.whole else "lines"
        with w.block(f"for (int y = 0; y < {bound}; ++y, {advance})", count != 1):
            w("const int16_t *x = s;")
            w("int8_t *p = o;")
            tiles, rest = divmod(shape.along.count, _TILE)
            if tiles:
                ahead = f"x += {_TILE * shape.along.stride}, p += {_TILE * step}"
                with w.block(f"for (int k = 0; k < {tiles}; ++k, {ahead})"):
                    _outputs(w, conv, shape, finish, _TILE, step)
            if rest:
                with w.block(""):
                    _outputs(w, conv, shape, finish, rest, step)
    w()


def _loads(words: list[tuple[str, int]], pointer: str, kind: str) -> dict[str, str]:
    """Statements that load ``words`` (name, offset), two at a time where they are neighbours.

    By the name that is used first; a pair's second name has none.
    """
    found = {}
    while words:
        (name, at), *words = words
        if words and words[0][1] == at + 2 and 2 * at <= _FARTHEST:
            (second, _), *words = words
            found[name] = f"HIL_TWICE{kind.upper()}({name}, {second}, {pointer}, {at});"
        else:
            found[name] = f"const hil_two_t {name} = hil_two{kind}({pointer} + {at});"
    return found


def _outputs(w: Writer, conv: Planar, shape: Planes, finish: Finish, count: int, step: int) -> None:
    """``count`` neighbouring outputs from values at x on, to p."""
    taps = _taps(shape.along.window, shape.along.stride)
    start = "bias" if finish.scaled else finish.start(0)
    sums = [f"a{i}" for i in range(count)]
    w(f"int32_t {', '.join(f'{a} = {start}' for a in sums)};")
    products = taps.of(count, shape.along.stride)
    height, words = shape.across.window, len(taps.weights)
    looped = height * words > _UNROLLED and height > 1
    if looped:
        w("const int16_t *v = x;")
        w("HIL_FLASH int16_t *u = w;")
    with (
        w.loop("r", height, f"v += {shape.pitch}, u += {2 * words}")
        if looped
        else w.block("", False)
    ):
        lines = 1 if looped else height
        x, weights = ("v", "u") if looped else ("x", "w")
        values = sorted({p[1] for p in products})
        at = [(f"x{r}_{v}", r * shape.pitch + 2 * v) for r in range(lines) for v in values]
        loads = [_loads(at[n : n + len(values)], x, "") for n in range(0, len(at), len(values))]
        used = sorted({p[3] for p in products})
        at = [(f"w{r}_{k}", 2 * (r * words + k)) for r in range(lines) for k in used]
        kept = _loads(at, weights, "_w")
        for r in range(lines):
            for output, value, operation, weight in products:
                for name, known in ((f"x{r}_{value}", loads[r]), (f"w{r}_{weight}", kept)):
                    if name in known:
                        w(known.pop(name))
                a = sums[output]
                w(f"{a} = hil_{operation}({a}, x{r}_{value}, w{r}_{weight});")
    targets = [f"p[{i * step}]" for i in range(count)]
    if finish.scaled:
        kernel = "HIL_SCALED_AWAY" if finish.away else "HIL_SCALED"
        shift = _scale(conv, finish).shift
        kernel += "" if shift is None else "_BY"
        w("HIL_LATE_TWO(multiplier, offset, q, 1);")
        if shift is None:
            w("HIL_LATE(shift, q, 3);")
        for target, a in zip(targets, sums, strict=True):
            w(f"{kernel}({target}, {a}, multiplier, offset, {shift or 'shift'});")
    else:
        finish.store(w, 0, targets, sums)
