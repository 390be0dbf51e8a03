# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.fuzz TARGET --cases 200000 --seed 1`: many cases of one target, or of `all`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz import driver, guard


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*driver.NAMES, "all"])
    parser.add_argument("--cases", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same cases")
    parser.add_argument(
        "--coverage",
        action="store_true",
        help="guided by coverage, with atheris (pip install atheris)",
    )
    given = parser.parse_args()
    if given.coverage:
        driver.run_with_coverage(given.target, given.cases, given.seed)
    findings = 0
    for name in driver.NAMES if given.target == "all" else (given.target,):
        driver.target(name)
        guard.limit_memory()

        def told(ran: driver.Ran, name: str = name) -> None:
            sys.stderr.write(f"{name}: {ran.cases:,} cases, {len(ran.found)} findings\n")

        ran = driver.run(name, given.cases, given.seed, told)
        for number, (key, (data, said)) in enumerate(ran.found.items()):
            kept = Path(tempfile.gettempdir()) / f"finding-{name}-{number}.bin"
            kept.write_bytes(data)
            sys.stdout.write(f"\n{key}\n{said[-3000:]}input: {kept} ({len(data):,} bytes)\n")
        findings += len(ran.found)
        sys.stdout.write(
            f"{name}: {ran.cases:,} cases, {ran.accepted:,} read, {ran.seconds:.0f} s, "
            f"seed {given.seed}, {len(ran.found)} findings\n"
        )
        sys.stdout.flush()
    sys.exit(1 if findings else 0)


main()
