# SPDX-License-Identifier: Apache-2.0
"""Makes engine aot choose what it would only choose for large layers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hil.engines.aot.weighted import choosing, conv_planes
from hil.engines.aot.weighted.conv import Conv
from hil.engines.aot.weighted.conv_planes import Planar


def force_planes(monkeypatch: pytest.MonkeyPatch, bands: str) -> None:
    """Depthwise layers copy channels apart where they can: "whole", or some "rows" at a time."""

    def candidates(conv: Conv) -> Iterator[Planar]:
        found = [c for c in conv_planes.candidates(conv) if c.whole == (bands == "whole")]
        return iter(found[conv.cout % len(found) :][:1] if found else ())

    monkeypatch.setattr(choosing, "candidates", candidates)
    monkeypatch.setattr(choosing, "WORTH", 0)
    monkeypatch.setattr(choosing, "_DEPTHWISE", 1e9)


def force_quads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pointwise convolutions compute four points at a time where they can."""
    monkeypatch.setattr(choosing, "_sharing", lambda _: 1e9)
    monkeypatch.setattr(choosing, "WORTH", 0)
