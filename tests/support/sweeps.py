# SPDX-License-Identifier: Apache-2.0
"""Sweeps made up for the tests: settings, and Optuna studies of given results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from hil.core.records import Precision
from hil_train.recipe import Range

if TYPE_CHECKING:  # Optuna may be missing
    import optuna

    from hil_train.storage import Settings

POINTS = [
    (1, 0.1, 0.80, 300),
    (2, 0.9, 0.90, 500),
    (5, 0.2, 0.90, 400),
    (9, 0.8, 0.70, 200),
    (20, 0.5, 0.85, 450),
    (3, 0.4, 0.70, 200),
    (4, 0.6, 0.60, 100),
    (7, 0.3, 0.65, 250),
]


def settings(*objectives: str, **changes: Any) -> Settings:
    from hil_train.storage import Settings

    made = Settings(
        recipe="r",
        stage="student",
        axes={"temperature": Range(low=1, high=20, log=True), "alpha": Range(low=0, high=1)},
        objectives=("accuracy", *objectives),
        limits={},
        seed=1,
        precision=Precision.INT8,
        plan="p",
        data="d",
        samples=(100, 50),
        ancestors={},
    )
    return msgspec.structs.replace(made, **changes)


def filled(points: Sequence[tuple[float, float, float, float]]) -> optuna.Study:
    """A study in memory with trials of (T, alpha, accuracy, flash)."""
    import optuna

    t_range = optuna.distributions.FloatDistribution(1, 20, log=True)
    alpha_range = optuna.distributions.FloatDistribution(0, 1)
    made = optuna.create_study(directions=["maximize", "minimize"])
    for i, (t, alpha, accuracy, flash) in enumerate(points):
        made.add_trial(
            optuna.create_trial(
                params={"temperature": t, "alpha": alpha},
                distributions={"temperature": t_range, "alpha": alpha_range},
                values=(accuracy, flash),
                user_attrs={
                    "accuracy": accuracy,
                    "figures": {"flash": flash},
                    "seed": i,
                    "ordinal": i,
                },
            )
        )
    return made
