"""What every stored record has in common."""

from __future__ import annotations

import msgspec


class Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything that is stored: frozen, unknown keys refused."""
