# SPDX-License-Identifier: Apache-2.0
"""Runs a target: case by case, or guided by coverage with atheris (libFuzzer) if installed.

Without Hypothesis, whose bookkeeping takes longer than most cases.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from random import Random
from typing import Final, Protocol, cast

from tests.fuzz import guard, targets

ROUND: Final = 10_000  # cases between two reports of progress
NAMES: Final = tuple(sorted(module.name for module in iter_modules(targets.__path__)))


class Target(Protocol):
    """See `tests.fuzz`."""

    SEEDS: list[bytes]

    def damage(self, random: Random, data: bytes) -> bytes: ...

    def check(self, data: bytes, folder: Path) -> None: ...


@dataclass
class Ran:
    """``accepted`` of ``cases`` were read without an error; ``found`` has the first input for each
    place and kind of failure, with its traceback."""

    cases: int = 0
    accepted: int = 0
    seconds: float = 0.0
    found: dict[str, tuple[bytes, str]] = field(default_factory=dict)


def target(name: str) -> Target:
    """The module of target ``name``."""
    return cast("Target", import_module(f"tests.fuzz.targets.{name}"))


def run(name: str, cases: int, seed: int, told: Callable[[Ran], None] | None = None) -> Ran:
    """Run ``cases`` cases of target ``name``, first the unchanged seeds.

    The same ``seed`` gives the same cases.
    """
    module, ran, began = target(name), Ran(), time.monotonic()
    with guard.sandbox() as folder:
        for number in range(cases):
            if number < len(module.SEEDS):
                data = module.SEEDS[number]
            else:
                random = Random((seed << 40) + number)
                data = module.damage(random, random.choice(module.SEEDS))
            one(module, data, folder, ran)
            if told and ran.cases % ROUND == 0:
                ran.seconds = time.monotonic() - began
                told(ran)
    ran.seconds = time.monotonic() - began
    return ran


def one(module: Target, data: bytes, folder: Path, ran: Ran) -> None:
    """Run one case within its limits."""
    ran.cases += 1
    try:
        with guard.guarded(folder) as end:
            module.check(data, folder)
        ran.accepted += not end.refused
    except (Exception, guard.Escaped) as problem:
        where = traceback.extract_tb(problem.__traceback__)[-1]
        key = f"{type(problem).__name__} at {where.filename}:{where.lineno}"
        ran.found.setdefault(key, (data, "".join(traceback.format_exception(problem))))


def run_with_coverage(name: str, cases: int, seed: int, corpus: Path | None = None) -> None:
    """The same with libFuzzer, which keeps the inputs that reach new lines in ``corpus``.

    Half of the mutations are libFuzzer's. It ends this process, with exit code 77 at the first
    finding. ModuleNotFoundError without atheris.
    """
    import atheris

    with atheris.instrument_imports(include=["hil"]):
        module = target(name)
    guard.limit_memory()
    corpus = corpus or Path(tempfile.mkdtemp(prefix="corpus-"))
    for number, seeded in enumerate(module.SEEDS):
        (corpus / f"seed-{number}").write_bytes(seeded)
    ran = Ran()

    def mutate(data: bytes, longest: int, number: int) -> bytes:
        if number & 1:
            return bytes(atheris.Mutate(data, longest))
        return module.damage(Random(number), data)[:longest]

    with guard.sandbox() as folder:

        def case(data: bytes) -> None:
            one(module, data, folder, ran)
            for key, (_, said) in ran.found.items():
                raise AssertionError(f"{key}\n{said}")

        longest = 4 * max(map(len, module.SEEDS))
        words = [f"-runs={cases}", f"-seed={seed}", f"-max_len={longest}", "-timeout=60"]
        atheris.Setup(
            [sys.argv[0], *words, "-rss_limit_mb=6000", f"-artifact_prefix={corpus}/", str(corpus)],
            case,
            custom_mutator=mutate,
        )
        atheris.Fuzz()
