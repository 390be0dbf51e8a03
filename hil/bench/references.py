# SPDX-License-Identifier: Apache-2.0
"""Which interpreters of this computer run a network, and what stands in for those that do not.

An interpreter that refuses a network, crashes or hangs on it, or is not installed, ends nothing:
its rows are left out of the run, and the run's record has the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import UNSET
from msgspec.structs import replace

from hil.bench.cases import Network
from hil.reference import (
    cache_folder,
    is_missing,
    nothing_runs,
    oracle_version,
    refusals,
    xnnpack_version,
)
from hil.runs.schema import RunPlan


@dataclass(frozen=True, slots=True)
class References:
    """The fields of that name of a `RunPlan`: versions of what runs, and why the others do not."""

    oracle: str
    oracle_why: str
    host: str
    litert_why: str
    xnnpack: str
    xnnpack_why: str

    def onto(self, plan: RunPlan, *, default_kernels: bool = True, oracle: bool = True) -> RunPlan:
        """``plan`` with them; without those of LiteRT's default kernels or TFLM if not wanted."""
        plan = replace(plan, host=self.host, litert_why=self.litert_why or UNSET)
        if oracle:
            plan = replace(plan, oracle=self.oracle, oracle_why=self.oracle_why)
        if default_kernels:
            plan = replace(plan, xnnpack=self.xnnpack, xnnpack_why=self.xnnpack_why or UNSET)
        return plan

    def notes(self, name: str) -> Iterator[str]:
        """A sentence for each interpreter that cannot run the network called ``name``."""
        if self.oracle_why:
            judge = "LiteRT" if not self.host else self.host
            yield f"{name}: TFLM cannot run it ({self.oracle_why}); {judge} is compared instead"
        if self.litert_why:
            yield (
                f"{name}: LiteRT's reference kernels cannot run it ({self.litert_why}); "
                f"{self.host} stands in for them"
            )
        if self.xnnpack_why:
            yield (
                f"{name}: LiteRT's default kernels (XNNPACK) cannot run it ({self.xnnpack_why}); "
                "they judge nothing, and their row is left out"
            )


def references(network: Network) -> References:
    """What runs ``network``; ModelError if nothing does."""
    why_not = refusals(network.path, cache_folder())
    if len(why_not) == 3:
        raise nothing_runs(network.path, why_not)
    oracle = why_not.get("oracle", "")
    return References(
        oracle="" if oracle else oracle_version(),
        oracle_why="" if is_missing(oracle) else oracle,
        host=(xnnpack_version() if oracle else oracle_version()) if "litert" in why_not else "",
        litert_why=why_not.get("litert", ""),
        xnnpack="" if "xnnpack" in why_not else xnnpack_version(),
        xnnpack_why=why_not.get("xnnpack", ""),
    )
