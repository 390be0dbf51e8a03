# SPDX-License-Identifier: Apache-2.0
"""hil/core/units.py: figures with SI prefixes."""

from __future__ import annotations

import pytest

from hil.core.units import si, si_interval


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2.3634e-3, "2.363 mJ"),
        (1234.5, "1,234 J"),
        (7.803e-10, "780.3 pJ"),
        (5e-15, "0.005 pJ"),
        (-1e-6, "−1 µJ"),
        (0.0, "0 J"),
    ],
)
def test_a_value_has_the_prefix_of_its_size(value: float, words: str) -> None:
    assert si(value, "J") == words


def test_an_interval_has_the_prefix_of_its_figure() -> None:
    assert si_interval(1e-3, 0.9e-3, 1.1e-3, "W") == ("1 mW", "(0.9 to 1.1)")
