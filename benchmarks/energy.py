# SPDX-License-Identifier: Apache-2.0
"""Energy that a simulated instrument recorded, beside what was injected. Prints Markdown.

    python -m benchmarks.energy [--windows N]

Injected and recovered: millijoules above idle of all windows together. Bias: the mean of the
groups' errors, spread their standard deviation. Coverage: how often the 95 % interval of 10 windows
contains the mean of the board, from which they are drawn. PPK2: what ppk2lab's simulated one sends
as its 32-bit words, decoded by `hil.energy.ppk2`.
"""

from __future__ import annotations

import argparse

import numpy as np

from hil.energy import Board, Simulated, Trace, find_windows, measure
from hil.energy.ppk2 import RATE, Ppk2

RATES = (1_000, 10_000, 100_000, 1_000_000)  # samples per second
NOISE = (0.0, 100e-6, 1e-3)  # amperes
GROUP = 10  # windows of one interval


def row(name: str, rate: float, noise: float, windows: int, gate: bool, ppk2: bool) -> str:
    """One line of the table: windows of 20 ms at 40 mA, 5 mA between them, 3.3 V."""
    covered, errors, injected, recovered = [], [], 0.0, 0.0
    for group in range(windows // GROUP):
        board = Board(
            GROUP, active=0.132, idle=0.0165, seconds=0.02, pause=0.05, jitter=0.02, spread=0.02
        )
        instrument = Simulated(board, rate=rate, noise=noise, gate=gate, seed=group)
        trace = instrument.stop()
        if ppk2:
            trace = through_ppk2(trace)
        found = measure(trace, find_windows(trace))
        truth = instrument.injected
        assert truth is not None
        wanted = float(truth.above_idle.mean())
        injected += float(truth.above_idle.sum())
        recovered += found.above_idle.point * found.n
        errors.append(found.above_idle.point / wanted - 1)
        covered.append(found.above_idle.low <= board_mean(board) <= found.above_idle.high)
    return (
        f"| {name} | {rate:,} | {noise * 1e3:g} | {'gate' if gate else 'power'} | "
        f"{injected * 1e3:,.2f} | {recovered * 1e3:,.2f} | {np.mean(errors):+.3%} | "
        f"{np.std(errors):.3%} | {np.mean(covered):.0%} |"
    )


def through_ppk2(trace: Trace) -> Trace:
    """What a PPK2 records of the same current and marker."""
    from ppk2lab import PPK2
    from ppk2lab.testing.profiles import ArrayProfile
    from ppk2lab.transport.mock import SimulatedPPK2

    assert trace.gate is not None
    profile = ArrayProfile(
        (np.maximum(trace.current, 0) * 1e6).tolist(), trace.gate.astype(int).tolist()
    )
    device = PPK2.open(simulator=SimulatedPPK2(profile=profile))
    instrument = Ppk2(device, float(trace.voltage[0]), most=trace.n)
    instrument.start()
    instrument.wait()
    return instrument.stop()


def board_mean(board: Board) -> float:
    """Joules above idle of the mean window."""
    return (board.active - board.idle) * board.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=1000)
    windows = parser.parse_args().windows
    print(
        "| instrument | samples/s | noise, mA | windows by | injected, mJ | recovered, mJ | bias | "
        "spread | coverage of 95 % |"
    )
    print("|---|---:|---:|---|---:|---:|---:|---:|---:|")
    for noise in NOISE:
        print(row("PPK2", RATE, noise, windows, gate=True, ppk2=True), flush=True)
    for gate in (True, False):
        for rate in RATES:
            for noise in NOISE:
                print(row("ideal", rate, noise, windows, gate, ppk2=False), flush=True)


if __name__ == "__main__":
    main()
