# SPDX-License-Identifier: Apache-2.0
"""Plan, prepare, stream, compare, store: a bench as a stream of events. Never prints."""

from hil.bench.plan import Plan, Request, make_plan
from hil.bench.run import run

__all__ = ["Plan", "Request", "make_plan", "run"]
