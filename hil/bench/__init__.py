# SPDX-License-Identifier: Apache-2.0
"""BenchPlan, prepare, stream, compare, store: a bench as a stream of events. Never prints."""

from hil.bench.plan import BenchPlan, Request, make_plan
from hil.bench.run import run

__all__ = ["BenchPlan", "Request", "make_plan", "run"]
