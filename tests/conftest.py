# SPDX-License-Identifier: Apache-2.0
"""What tests anywhere may ask for."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from hil.device import pace

# how long an example takes says nothing on a machine that does more than this
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a line that loses nothing, in real time: a machine under load may pause for longer than
    a loss takes to be noticed, and what is asked again for that reason is no fault."""
    monkeypatch.setattr(pace, "SAFE_S", 60.0)
    monkeypatch.setattr(pace, "RATE_S", 20.0)
