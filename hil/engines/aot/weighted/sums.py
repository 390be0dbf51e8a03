# SPDX-License-Identifier: Apache-2.0
"""Sums of the products of adjacent values with the weights of several channels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hil.engines.aot.source import Writer, read

_CHANNELS = 4  # at a time
_ORDER = {"int8_t": [0, 1, 2, 3], "int16_t": [0, 2, 1, 3]}  # of four weights in memory
_PRODUCTS = {"int8_t": ("hil_x4", "hil_mac4"), "int16_t": ("hil_v4", "hil_mac_v4")}
KERNELS = {"int8_t": ("int8", "products"), "int16_t": ("int8", "int16"), "float": ("float32",)}


def blocks(channels: int) -> list[tuple[int, int]]:
    """(channels at a time, how many times)."""
    whole, rest = divmod(channels, _CHANNELS)
    return [(n, times) for n, times in ((_CHANNELS, whole), (rest, 1)) if n and times]


def fours(ctype: str, length: int) -> int:
    """How many values of a sum are taken four at a time, in fours."""
    return length // 4 if ctype in _ORDER else 0


def pack(rows: npt.NDArray[np.generic], ctype: str) -> npt.NDArray[np.generic]:
    """Weights (channels, values) in order of use, for values of a C type.

    In blocks of channels, in these values (as far as possible four at a time), in these channels.
    """
    parts = []
    for first in range(0, len(rows), _CHANNELS):
        block = rows[first : first + _CHANNELS]
        whole = 4 * fours(ctype, block.shape[1])
        if whole:
            grouped = block[:, :whole].reshape(len(block), -1, 4)[:, :, _ORDER[ctype]]
            parts.append(grouped.transpose(1, 0, 2).reshape(-1))
        parts.append(block[:, whole:].T.reshape(-1))
    return np.concatenate(parts)


def emit_sums(w: Writer, prefix: str, count: int, ctype: str, *, fused: bool = False) -> None:
    """The function that adds products to the sums ``a`` of ``count`` channels.

    ``prefix_sums<count>(x, w, a, fours, rest)``: that many fours of values, then single ones.
    """
    real = ctype == "float"
    total, weight = ("float", "float") if real else ("int32_t", "int8_t")
    names = [f"a{j}" for j in range(count)]
    tail = f"HIL_FLASH {weight} *w, {total} *a{'' if real else ', int fours'}, int rest)"
    with w.block(f"HIL_KERNEL {prefix}_sums{count}(const {ctype} *x, {tail}"):
        w(f"{total} {', '.join(f'{n} = a[{j}]' for j, n in enumerate(names))};")
        if not real:
            load, multiply = _PRODUCTS[ctype]
            with w.block(f"for (int k = 0; k < fours; ++k, x += 4, w += {4 * count})"):
                w(f"const {load}_t v = {load}(x);")
                for j, name in enumerate(names):
                    w(f"const hil_x4_t w{j} = hil_w4(w{f' + {4 * j}' if j else ''});")
                    w(f"{name} = {multiply}({name}, v, w{j});")
        with w.block(f"for (int k = 0; k < rest; ++k, ++x, w += {count})"):
            w(f"const {total} v = *x;")
            for j, name in enumerate(names):
                factor = read(weight, "w", j)
                w(
                    f"{name} = hil_fma(v, {factor}, {name});"
                    if fused
                    else f"{name} += v * {factor};"
                )
        for j, name in enumerate(names):
            w(f"a[{j}] = {name};")
    w()


def call(prefix: str, count: int, ctype: str, length: int | str, arguments: str) -> str:
    """A call of that function; a ``length`` that is text is a C variable."""
    if ctype == "float":
        return f"{prefix}_sums{count}({arguments}, {length});"
    if isinstance(length, str):
        return f"{prefix}_sums{count}({arguments}, {length} / 4, {length} % 4);"
    return f"{prefix}_sums{count}({arguments}, {length // 4}, {length % 4});"
