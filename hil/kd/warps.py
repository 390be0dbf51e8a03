"""Views of small pictures: turned, scaled, sheared, moved and bent by a little, at random.

Bending as Simard, Steinkraus and Platt (ICDAR 2003) do it: a smooth random displacement of the
pixels; here random steps on a coarse grid, blended by Gaussians. Values between pixels are
bilinear; paper (0) moves in.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from hil.config import Config

Floats = npt.NDArray[np.float32]
Pictures = npt.NDArray[np.uint8]

_CHUNK = 2000  # pictures at a time: what is computed for them stays near the cache
_PAPER = 2  # pixels put around a picture: what lies farther out is nearer to them than to ink
_BLEND = 0.6  # width of a grid point's Gaussian, in grid steps


class Warp(Config, frozen=True):
    """The greatest change each way, and how many views a sample gets.

    ``turn`` in degrees, ``shift`` in pixels, ``zoom`` and ``shear`` as shares; ``bend`` is the
    standard deviation, in pixels, of the steps on a grid of ``grid`` x ``grid`` points.
    ``views``: each sample has so many, itself the first, the same in every training, so that a
    teacher's answers can be kept; 0: a new view of each sample every epoch.
    """

    shift: Annotated[float, msgspec.Meta(ge=0, le=8)] = 1.0
    turn: Annotated[float, msgspec.Meta(ge=0, le=90)] = 8.0
    zoom: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.08
    shear: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.08
    bend: Annotated[float, msgspec.Meta(ge=0, le=8)] = 0.7
    grid: Annotated[int, msgspec.Meta(ge=2, le=28)] = 6
    views: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 24


def fixed(x: Pictures, warp: Warp) -> Pictures:
    """The views of every picture: (n, ``warp.views``, 1, height, width, 1), itself the first."""
    made = np.empty((len(x), warp.views, 1, *x.shape[1:]), np.uint8)
    made[:, 0, 0] = x
    for view in range(1, warp.views):
        made[:, view, 0] = warped(x, warp, view)
    return made


def warped(x: Pictures, warp: Warp, seed: int) -> Pictures:
    """One view of every picture; the same arguments give the same bytes.

    Args:
        x: (n, height, width, 1).
        seed: of this view.

    Returns:
        (n, height, width, 1).
    """
    out = np.empty_like(x)
    for start in range(0, len(x), _CHUNK):
        random = np.random.default_rng((seed, start))
        part = x[start : start + _CHUNK, ..., 0]
        down, right = _sources(random, len(part), x.shape[1], x.shape[2], warp)
        out[start : start + _CHUNK, ..., 0] = np.rint(_between(part, down, right))
    return out


def _sources(
    random: np.random.Generator, n: int, height: int, width: int, warp: Warp
) -> tuple[Floats, Floats]:
    """Where in its picture each pixel of a view is taken from: two of (n, height, width)."""

    def up_to(limit: float) -> Floats:
        return random.uniform(-limit, limit, (n, 1, 1)).astype(np.float32)

    turn, shear = np.deg2rad(up_to(warp.turn)), up_to(warp.shear)
    wide, high = np.exp(up_to(warp.zoom)), np.exp(up_to(warp.zoom))
    middle = (height - 1) / 2, (width - 1) / 2
    i = np.arange(height, dtype=np.float32)[:, None] - np.float32(middle[0])
    j = np.arange(width, dtype=np.float32)[None, :] - np.float32(middle[1])
    down = np.cos(turn) * high * i + (shear - np.sin(turn) * wide) * j
    right = np.sin(turn) * high * i + np.cos(turn) * wide * j
    down += up_to(warp.shift) + np.float32(middle[0])
    right += up_to(warp.shift) + np.float32(middle[1])
    if warp.bend:
        steps = random.normal(0, warp.bend, (2, n, warp.grid, warp.grid)).astype(np.float32)
        bent = _blend(height, warp.grid) @ steps @ _blend(width, warp.grid).T
        down += bent[0]
        right += bent[1]
    return down, right


def _blend(size: int, grid: int) -> Floats:
    """(size, grid): the share of each grid point in a pixel's displacement."""
    step = (size - 1) / (grid - 1)
    distance = (np.arange(size)[:, None] - np.linspace(0, size - 1, grid)) / step
    share = np.exp(-0.5 * (distance / _BLEND) ** 2)
    normalised: Floats = (share / share.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


def _between(x: Pictures, down: Floats, right: Floats) -> Floats:
    """Bilinear values of (n, height, width) pictures at these places."""
    edge = _PAPER
    padded = np.pad(x, ((0, 0), (edge, edge), (edge, edge))).astype(np.float32)
    n, height, width = padded.shape
    i, down = _split(down + np.float32(edge), height)
    j, right = _split(right + np.float32(edge), width)
    at = (np.arange(n)[:, None, None] * height + i) * width + j
    flat = padded.ravel()
    upper = flat[at] + right * (flat[at + 1] - flat[at])
    at += width
    lower = flat[at] + right * (flat[at + 1] - flat[at])
    value: Floats = upper + down * (lower - upper)
    return value


def _split(place: Floats, size: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Whole and rest of places, kept within 0 and size - 1."""
    # the last whole place is size - 2: its neighbour is read as well
    inside = np.clip(place, 0, np.float32(size - 1.001))
    whole = inside.astype(np.int64)
    return whole, (inside - whole).astype(np.float32)
