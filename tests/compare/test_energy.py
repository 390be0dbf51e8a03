# SPDX-License-Identifier: Apache-2.0
"""hil/compare/energy.py: energies are compared only if they were measured alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from hil.compare.energy import energy_differences, energy_figure, ratio_of_means
from hil.compare.limits import DEFAULTS
from hil.runs.schema_energy import EnergyMeasured, Span


def measured(
    joules: float = 2e-3,
    half: float = 1e-5,
    *,
    volts: float = 3.3,
    idle_mode: str = "waiting for a request",
    simulated: bool = False,
) -> EnergyMeasured:
    span = Span(joules, joules - half, joules + half)
    return EnergyMeasured(
        run="esp32dev/aot/student/int8",
        volts=volts,
        idle_mode=idle_mode,
        simulated=simulated,
        windows=50,
        joules=span,
        above_idle=span,
        idle=span,
        seconds=span,
    )


@pytest.mark.parametrize(
    ("other", "field", "words"),
    [
        (measured(volts=1.8), "voltage", "3.3 V and 1.8 V"),
        (measured(idle_mode="light sleep"), "idle-mode", "'light sleep'"),
        (measured(simulated=True), "instrument", "real and simulated"),
    ],
)
def test_what_makes_two_energies_incomparable_is_named(
    other: EnergyMeasured, field: str, words: str
) -> None:
    ((found, said),) = energy_differences(measured(), other)
    assert found == field
    assert words in said


def test_the_same_supply_within_one_percent_is_comparable() -> None:
    assert not list(energy_differences(measured(), measured(volts=3.31)))
    assert not list(energy_differences(measured(), None))


@pytest.mark.parametrize(
    ("grown", "half", "word", "beyond"),
    [
        (1.10, 1e-5, "worse", True),
        (0.90, 1e-5, "better", False),
        (1.005, 1e-5, "same", False),
        (1.04, 4e-5, "worse", False),  # the interval reaches below the limit of 3 %
        (1.02, 2e-4, "undecided", False),
    ],
)
def test_an_energy_is_judged_by_its_interval(
    grown: float, half: float, word: str, beyond: bool
) -> None:
    found = energy_figure(measured(half=half), measured(2e-3 * grown, half), DEFAULTS)
    assert found is not None
    assert (found.word, found.beyond) == (word, beyond)


def test_energy_that_only_one_run_has_is_left_out() -> None:
    assert energy_figure(None, measured(), DEFAULTS) is None
    assert energy_figure(measured(), None, DEFAULTS) is None


def test_a_mean_that_may_be_zero_has_no_ratio() -> None:
    found = energy_figure(measured(half=3e-3), measured(), DEFAULTS)
    assert found is not None
    assert (found.word, found.change) == ("undecided", None)


def test_the_interval_of_a_ratio_contains_it_as_often_as_it_says() -> None:
    """Monte Carlo; from t intervals, MOVER is known to be a little too wide."""
    random, n, tries = np.random.default_rng(1), 20, 4000
    half = t.ppf(0.975, n - 1) / np.sqrt(n)
    inside = 0
    for _ in range(tries):
        spans = []
        for mean, spread in ((2.0, 0.3), (1.0, 0.2)):
            values = random.normal(mean, spread, n)
            reach = half * values.std(ddof=1)
            spans.append(Span(values.mean(), values.mean() - reach, values.mean() + reach))
        found = ratio_of_means(spans[0], spans[1], n)
        assert found is not None
        inside += found.low <= 2.0 <= found.high
    assert 0.945 <= inside / tries <= 0.97
