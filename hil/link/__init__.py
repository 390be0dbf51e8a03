"""One open port to a board, real or faked. Moves bytes, never looks into them."""

from hil.link.deadline import Deadline
from hil.link.port import Link

__all__ = ["Deadline", "Link"]
