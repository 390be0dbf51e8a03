# SPDX-License-Identifier: Apache-2.0
"""How often checks find a planted fault, name a wrong one, or warn about good data: docs/checks.md.

    python -m benchmarks.checks [DATASET ...]   # default: digits tabular mnist cifar10; minutes

With HIL_NETWORKS_DIR, networks there are good pairs, too: no data comes with them, so they get
drawn inputs, and their own answers as labels.
"""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from hil.checks import GAIN, Subject, of_network, right_answers
from hil.runs.schema_checks import CheckFinding
from tests.support.drawn_pairs import drawn_pairs
from tests.support.faulty_data import Fault, faults, pairs, pairs_of_faults, unexplained, with_noise

SEEDS: Final = 3
PARTS: Final = 4  # of a test set
NOISE: Final = (0.0, 0.3, 0.5)  # shares of random labels in good pairs
COLUMNS: Final = (
    *("tried", "harmless", "named alone", "named with others", "silent", "only others"),
)
_OF_ANSWERS: Final = ("answers-", "outputs-", "layer-")


def causes_of(of: Subject) -> list[CheckFinding]:
    """Each cause that the checks name; what they say of answers aside."""
    return [one for one in of_network(of) if not one.code.startswith(_OF_ANSWERS)]


def judged(fault: Fault, share: float) -> str:
    """Which of `COLUMNS` a fault counts in, in data of which ``share`` was right before."""
    found = causes_of(fault.subject)
    if not found:
        harmless = share - right_answers(fault.subject).mean() < GAIN
        if not harmless and fault.codes != ("",):
            print(f"silent: {fault.subject.name}, {fault.kind}", file=sys.stderr)
        return "harmless" if harmless else "silent"
    right = [one for one in found if one.code in fault.codes and fault.how in one.what]
    if fault.codes[0] == "two-causes":  # one alone has to make up for both
        right = [one for one in right if (one.otherwise or 0) > share - GAIN]
    if not right:
        print(f"only others: {fault.subject.name}, {fault.kind}", file=sys.stderr)
        print(*(f"    {one.what}" for one in found), sep="\n", file=sys.stderr)
        return "only others"
    alone = len(found) == 1 and "equally well" not in right[0].what
    return "named alone" if alone else "named with others"


def every(names: tuple[str, ...]) -> Iterator[tuple[Fault, float]]:
    """Faults, and the share of right answers without them."""
    for of in chain(pairs(*names), _networks("mlperf")):
        share = float(right_answers(of).mean())
        if share < 0.5:
            continue
        for seed in range(SEEDS):
            for fault in (*faults(of, seed), *pairs_of_faults(of), *unexplained(of, seed)):
                if not seed or fault.seeded:
                    yield fault, share


def _networks(below: str = "*") -> Iterator[Subject]:
    folder = os.environ.get("HIL_NETWORKS_DIR")
    return drawn_pairs(Path(folder), below) if folder else iter(())


def alarms(names: tuple[str, ...]) -> tuple[int, int]:
    """Good pairs, each with some shares of random labels; and how many of them have a warning."""
    counts = [0, 0]
    for of in chain(pairs(*names, parts=PARTS), _networks()):
        for share in NOISE:
            some = with_noise(of, share) if share else of
            found = causes_of(some)
            counts[0] += 1
            counts[1] += bool(found)
            for one in found:
                print(f"alarm: {of.name} with {share:.0%} noise: {one.what}", file=sys.stderr)
    return counts[0], counts[1]


def main() -> None:
    """Print the good pairs with warnings, and a table of the faults."""
    names = tuple(sys.argv[1:]) or ("digits", "tabular", "mnist", "cifar10")
    good, warned = alarms(names)
    print(f"good pairs: {good}, with a warning: {warned}", flush=True)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for fault, share in every(names):
        counts[fault.kind].update(("tried", judged(fault, share)))
    print("| fault |", " | ".join(COLUMNS), "|")
    print("|---|", "|".join("---:" for _ in COLUMNS), "|", sep="")
    for kind, row in counts.items():
        print(f"| {kind} |", " | ".join(str(row[name]) for name in COLUMNS), "|")


if __name__ == "__main__":
    main()
