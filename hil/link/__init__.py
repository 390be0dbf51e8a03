# SPDX-License-Identifier: Apache-2.0
"""One open port to a board, real or faked. Moves bytes and never interprets them."""

from hil.link.port import Clocked, Deadline, Link, Resettable, clock_of

__all__ = ["Clocked", "Deadline", "Link", "Resettable", "clock_of"]
