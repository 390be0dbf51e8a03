# SPDX-License-Identifier: Apache-2.0
"""hil/report/cycles_layers.py: one row per layer, with what limits it."""

from __future__ import annotations

from dataclasses import replace

from hil.report.cycles_layers import layers_table, layers_tables, unlayered
from hil.runs.schema_cycles import CycleEstimate, CycleLayer, CyclePart
from tests.support import reports

PARTS = (
    CyclePart(function="hil_rows4", instructions=900, cycles=500.0, bottleneck="multiply"),
    CyclePart(function="net_run", instructions=100, cycles=100.0, bottleneck="issue"),
)
LAYERS = (
    CycleLayer(
        name="conv", op="CONV_2D", macs=1200, instructions=1000, cycles=600, functions=PARTS
    ),
    CycleLayer(name="reshape", op="RESHAPE", macs=0, instructions=50, cycles=200),
)


def test_layers_have_cycles_per_mac_and_instructions_per_cycle() -> None:
    run = reports.run(reports.plan(), n=5)
    one = CycleEstimate(run=run.manifest.runs[0].key, id="0", cycles=790, layers=LAYERS)
    table = layers_table(one, reports.only(run))
    assert table.rows == (
        ("conv", "1,200", "600", "75.0%", "1,000", "0.50", "1.67", "hil_rows4", "multiply"),
        ("reshape", "–", "200", "25.0%", "50", "–", "0.25", "–", "–"),
        ("sum", "1,200", "800", "", "1,050", "0.67", "1.31", "", ""),
    )
    assert len(table.head) == len(table.rows[0])
    assert "takes 790 cycles" in table.note


def test_a_run_without_layers_says_why() -> None:
    run = reports.run(reports.plan(), n=5)
    key = run.manifest.runs[0].key
    one = CycleEstimate(run=key, id="0", cycles=1, layers_why="engine tflm does not show layers")
    found = replace(run, estimates=(one,))
    cells = [reports.only(run)]
    assert layers_tables(found, cells) == ()
    (line,) = unlayered(found, cells)
    assert line.endswith(
        "the cycles of its layers are not estimated: engine tflm does not show layers."
    )
