# SPDX-License-Identifier: Apache-2.0
"""Energy that a simulated instrument recorded, beside what was injected. Prints Markdown.

    python -m benchmarks.energy [--windows N]

Bias: mean error of all windows. Coverage: how often the 95 % interval of 20 windows contains the
mean that was injected in them.
"""

from __future__ import annotations

import argparse

import numpy as np

from hil.energy import Board, Simulated, find_windows, measure

RATES = (1_000, 10_000, 100_000, 1_000_000)  # samples per second
NOISE = (0.0, 100e-6, 1e-3)  # amperes
GROUP = 20  # windows of one interval


def row(rate: float, noise: float, windows: int, gate: bool) -> str:
    """One line of the table: ten milliseconds at 40 mA, 5 mA idle, 3.3 V."""
    covered, errors = [], []
    for group in range(windows // GROUP):
        board = Board(
            GROUP, active=0.132, idle=0.0165, seconds=0.02, pause=0.05, jitter=0.02, spread=0.02
        )
        instrument = Simulated(board, rate=rate, noise=noise, gate=gate, seed=group)
        trace = instrument.stop()
        found = measure(trace, find_windows(trace))
        truth = instrument.injected
        assert truth is not None
        wanted = float(truth.above_idle.mean())
        errors.append(found.above_idle.point / wanted - 1)
        covered.append(found.above_idle.low <= board_mean(board) <= found.above_idle.high)
    return (
        f"| {rate:,} | {noise * 1e3:g} | {'gate' if gate else 'power'} | {np.mean(errors):+.3%} | "
        f"{np.std(errors):.3%} | {np.mean(covered):.1%} |"
    )


def board_mean(board: Board) -> float:
    """Joules above idle of the mean window."""
    return (board.active - board.idle) * board.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=1000)
    windows = parser.parse_args().windows
    print("| samples/s | noise, mA | windows by | bias | spread | coverage of 95 % |")
    print("|---:|---:|---|---:|---:|---:|")
    for gate in (True, False):
        for rate in RATES:
            for noise in NOISE:
                print(row(rate, noise, windows, gate), flush=True)


if __name__ == "__main__":
    main()
