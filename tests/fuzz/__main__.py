"""`python -m tests.fuzz TARGET --cases 200000 --seed 1`: many cases of one target, or of `all`."""

from __future__ import annotations

import argparse
import sys

from tests.fuzz import driver, guard


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*driver.NAMES, "all"])
    parser.add_argument("--cases", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same cases")
    parser.add_argument("--coverage", action="store_true", help="by atheris (pip install atheris)")
    given = parser.parse_args()
    if given.coverage:
        driver.run_with_coverage(given.target, given.cases, given.seed)
    for name in driver.NAMES if given.target == "all" else (given.target,):
        driver.target(name)
        guard.limit_memory()

        def told(done: int, name: str = name) -> None:
            if done % 20_000 < driver.ROUND:
                sys.stderr.write(f"{name}: {done:,}\n")

        ran = driver.run(name, given.cases, given.seed, told)
        sys.stdout.write(
            f"{name}: {ran.cases:,} cases, {ran.accepted:,} of them read, {ran.seconds:.0f} s, "
            f"seed {given.seed}: nothing found\n"
        )
        sys.stdout.flush()


main()
