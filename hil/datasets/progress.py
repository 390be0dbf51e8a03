"""How a download reports itself to whoever draws the bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# (file name, bytes so far, bytes in all or 0 when the server does not say)
Progress: TypeAlias = Callable[[str, int, int], None]
