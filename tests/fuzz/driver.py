"""Runs a target: by Hypothesis, or with coverage by atheris where that is installed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Final, cast

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz import damage, guard, targets

ROUND: Final = 2000  # cases that Hypothesis remembers, to make none of them twice
NAMES: Final = tuple(sorted(module.name for module in iter_modules(targets.__path__)))


@dataclass(frozen=True, slots=True)
class Ran:
    """How many cases, of which so many got beyond the reader's refusal, and seconds."""

    cases: int
    accepted: int
    seconds: float


def target(name: str) -> ModuleType:
    """The module of that target."""
    return import_module(f"tests.fuzz.targets.{name}")


def run(name: str, cases: int, seed: int, told: Callable[[int], None] | None = None) -> Ran:
    """``cases`` cases of target ``name``; raises what the first failing one did, made small.

    The same seed gives the same cases.
    """
    module = target(name)
    strategy = getattr(module, "damage", None) or damage.bytes_like(module.SEEDS)
    began, done, accepted = time.monotonic(), 0, 0

    for number, start in enumerate(range(0, cases, ROUND)):

        def case(data: object) -> None:
            nonlocal done, accepted
            done += 1
            accepted += checked(module, data)

        left = min(ROUND, cases - start)
        ruled = settings(
            max_examples=left,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        hypothesis.seed((seed << 32) + number)(ruled(given(strategy)(case)))()
        if told:
            told(done)
    return Ran(done, accepted, time.monotonic() - began)


def checked(module: ModuleType, data: object) -> bool:
    """One case within its limits; whether the input was taken for a good one."""
    with guard.sandbox() as folder:
        check = cast("Callable[..., None]", module.check)
        with guard.guarded(folder):
            check(data, folder)
            return True
    return False


def run_with_coverage(name: str, cases: int, seed: int) -> None:
    """The same by libFuzzer, which keeps the inputs that reach new lines; it does not return.

    Only for targets whose input is bytes. ModuleNotFoundError without atheris.
    """
    import sys
    import tempfile
    from pathlib import Path

    import atheris

    with atheris.instrument_imports(include=["hil"]):
        module = target(name)
    corpus = Path(tempfile.mkdtemp(prefix="corpus-"))
    for number, one in enumerate(module.SEEDS):
        (corpus / str(number)).write_bytes(one)
    longest = 2 * max(map(len, module.SEEDS))
    words = [f"-runs={cases}", f"-seed={seed}", f"-max_len={longest}", "-timeout=20"]
    atheris.Setup(
        [sys.argv[0], *words, "-rss_limit_mb=4096", str(corpus)],
        lambda data: checked(module, data),
    )
    atheris.Fuzz()
