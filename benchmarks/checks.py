# SPDX-License-Identifier: Apache-2.0
"""How often checks find a planted fault, name a wrong one, or warn about good data: docs/checks.md.

python -m benchmarks.checks [DATASET ...]     # default: digits tabular mnist; half a minute
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator

from hil.checks import GAIN, find_causes, right_answers
from tests.support.faulty_data import Fault, faults, pairs, unexplained

SEEDS = 3
PARTS = 10  # of a test set
COLUMNS = ("tried", "harmless", "named alone", "named with others", "silent", "only others")


def judged(fault: Fault, share: float) -> str:
    """Which of `COLUMNS` a fault counts in, in data of which ``share`` was right before."""
    found = find_causes(fault.subject, ("run",))
    if not found:
        harmless = share - right_answers(fault.subject).mean() < GAIN
        return "harmless" if harmless else "silent"
    right = [one for one in found if one.code in fault.codes and fault.how in one.what]
    if not right:
        print(f"only others: {fault.subject.name}, {fault.kind}")
        print(*(f"    {one.what}" for one in found), sep="\n")
        return "only others"
    return "named alone" if len(found) == 1 else "named with others"


def every(names: tuple[str, ...]) -> Iterator[tuple[Fault, float]]:
    """Faults, and the share of right answers without them."""
    for of in pairs(*names):
        share = float(right_answers(of).mean())
        for seed in range(SEEDS):
            for fault in (*faults(of, seed), *unexplained(of, seed)):
                if not seed or fault.seeded:
                    yield fault, share


def main() -> None:
    """Print the good pairs with warnings, and a table of the faults."""
    names = tuple(sys.argv[1:]) or ("digits", "tabular", "mnist")
    good = list(pairs(*names, parts=PARTS))
    alarms = [of.name for of in good if find_causes(of, ("run",))]
    print(f"good pairs: {len(good)}, with a warning: {len(alarms)}", *alarms)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for fault, share in every(names):
        counts[fault.kind].update(("tried", judged(fault, share)))
    print("| fault |", " | ".join(COLUMNS), "|")
    print("|---|", "|".join("---:" for _ in COLUMNS), "|", sep="")
    for kind, row in counts.items():
        print(f"| {kind} |", " | ".join(str(row[name]) for name in COLUMNS), "|")


if __name__ == "__main__":
    main()
