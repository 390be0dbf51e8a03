# SPDX-License-Identifier: Apache-2.0
"""MLPerf Tiny's published results: every one has a source, and some are computed by hand."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from hil.league.published import NETWORKS, NetworkName, Result, network, results
from hil.tflite import read_model
from tests.support.league import SHAPES

PROJECT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("HIL_NETWORKS_DIR") or "missing") / "mlperf"


def one(network: NetworkName, round: str, board: str, software: str) -> Result:
    (found,) = (
        each
        for each in results()
        if (each.network, each.round, each.board) == (network, round, board)
        and (each.software, each.precision) == (software, "int8")
    )
    return found


@pytest.mark.parametrize(
    ("found", "per_s", "cycles_per_mac"),
    [
        # 280e6 / 88.356 = 3,168,998 cycles; / 2,656,768
        (("kws", "1.2", "NUCLEO-H7A3ZI-Q", "X-CUBE-AI 9.0"), 88.356, 1.1928),
        # 120e6 / 6.036 = 19,880,716; / 12,501,632
        (("ic", "1.3", "NUCLEO-L4R5ZI-P", "X-CUBE-AI 10.2"), 6.036, 1.5902),
        # 480e6 / 74.665 = 6,428,715; / 7,489,664
        (("vww", "1.2", "EK-RA8D1", "TFLM + CMSIS-NN"), 74.665, 0.85834),
        # 64e6 / 24.454 = 2,617,159; / 264,192
        (("ad", "1.2", "NUCLEO-G0B1RE", "HALE 1.0.175"), 24.454, 9.9063),
        # 120e6 / 5.497 = 21,830,089; / 2,656,768
        (("kws", "0.5", "NUCLEO-L4R5ZI", "TFLM 2.3.1"), 5.497, 8.2168),
    ],
)
def test_cycles_per_mac_are_clock_over_rate_over_macs(
    found: tuple[NetworkName, str, str, str], per_s: float, cycles_per_mac: float
) -> None:
    result = one(*found)
    assert result.per_s == per_s
    assert result.cycles_per_mac == pytest.approx(cycles_per_mac, rel=1e-4)
    assert result.ms == pytest.approx(1000 / per_s)


def test_energy_and_accuracy_are_those_of_the_submission() -> None:
    found = one("ad", "1.3", "NUCLEO-U385RG-Q", "X-CUBE-AI 10.2")
    assert (found.uj, found.accuracy, found.core, found.mhz) == (31.8347, 0.862, "Cortex-M33", 96)
    assert one("vww", "1.2", "EK-RA8D1", "TFLM + CMSIS-NN").uj is None


def test_every_result_names_its_files_at_a_commit() -> None:
    for each in results():
        where = re.escape(f"https://github.com/mlcommons/tiny_results_v{each.round}/blob/")
        path = rf"{where}[0-9a-f]{{40}}/closed/\S+"
        assert re.fullmatch(rf"{path}/{each.network}/performance/\S+\.txt", each.source), each
        assert re.fullmatch(rf"{path}\.json", each.description), each


def test_every_result_is_plausible_and_there_once() -> None:
    for each in results():
        assert 0.3 < each.cycles_per_mac < 45, each
        assert 16 <= each.mhz <= 1000, each
        assert each.accuracy is None or (
            0.8 <= each.accuracy <= 0.92 if each.network == "ad" else 80 <= each.accuracy <= 95
        ), each
        assert each.uj is None or 10 < each.uj < 50_000, each
    assert Counter(each.source for each in results()).most_common(1)[0][1] == 1
    assert {each.round for each in results()} == {"0.5", "0.7", "1.0", "1.1", "1.2", "1.3"}
    assert {each.network for each in results()} == set(NETWORKS)


def test_no_result_is_of_an_accelerator() -> None:
    left_out = re.compile("syntiant|gap9|silicon_labs|qualcomm|fpga|hls4ml|vcu|zcu|u3c5", re.I)
    assert not any(left_out.search(each.source) for each in results())


def test_the_networks_are_those_whose_shapes_are_known() -> None:
    for name in NETWORKS:
        of, (macs, parameters, inputs, outputs) = network(name), SHAPES[name]
        elements = 1
        for size in inputs:
            elements *= size
        assert (of.macs, of.parameters, of.inputs) == (macs, parameters, elements)
        assert of.outputs == outputs[1]


@pytest.mark.skipif(not FOLDER.is_dir(), reason="HIL_NETWORKS_DIR names no folder of networks")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_reference_file_has_the_macs_and_the_hash(name: NetworkName) -> None:
    path = FOLDER / f"{name}_int8.tflite"
    graph, of = read_model(path.read_bytes()), network(name)
    assert (graph.macs, graph.parameters) == (of.macs, of.parameters)
    assert (graph.input.elements, graph.output.elements) == (of.inputs, of.outputs)
    assert of.file(hashlib.sha256(path.read_bytes()).hexdigest())


def test_the_page_has_the_number_of_results_and_the_sizes_of_the_networks() -> None:
    page = (PROJECT / "docs" / "league.md").read_text("utf-8")
    systems = {(each.description, each.precision) for each in results()}
    assert f"has {len(results())} results of {len(systems)} systems" in page
    for name in NETWORKS:
        of = network(name)
        assert f"| `{name}` | {of.title} | {of.macs:,} | {of.parameters:,} |" in page
