# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from hil.device import pace

# the machine may be busy: how long an example takes means nothing
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer timeouts, for a line without losses in real time.

    A machine under load may pause for longer than it takes to notice a loss, and requests that are
    repeated for that reason are not a fault.
    """
    monkeypatch.setattr(pace, "SAFE_S", 60.0)
    monkeypatch.setattr(pace, "RATE_S", 20.0)
