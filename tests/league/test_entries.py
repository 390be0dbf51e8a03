# SPDX-License-Identifier: Apache-2.0
"""Own runs among published results: which network they have, and which figure is ranked."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from hil.core.records import TimeUnit
from hil.league.entries import SORTS, Entry, Sort, ordered, own, published, recognised
from hil.league.published import NETWORKS, NetworkName, network, results
from hil.runs.schema import Clock
from hil.runs.schema_cycles import CycleCalibration
from hil.runs.schema_energy import EnergyMeasured, Span
from tests.support import reports
from tests.support.league import plan, stored

MACS = 2_656_768  # of kws
CALIBRATION = CycleCalibration(
    ratio=0.8,
    spread=1.2,
    low=0.5,
    high=1.25,
    confidence=0.95,
    programs=9,
    networks=1,
    boards=2,
)


def entry(
    time: int, unit: TimeUnit, *, cycles: int | None = None, clock: float | None = None
) -> Entry:
    of = plan(unit=unit, board="esp32" if unit == "us" else "mps2")
    run = stored(of, time=time, cycles=() if cycles is None else (cycles,))
    return own(reports.only(run), "kws", run.estimates, clock)


# --- which network ---


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_network_is_recognised_by_its_structure(name: NetworkName, precision: str) -> None:
    known = recognised(plan(name, precision=precision))
    assert known is not None
    assert (known.network, known.file) == (name, "")
    assert "MACs, parameters" in known.how


def test_a_published_file_is_recognised_by_its_hash() -> None:
    sha256 = next(iter(network("ic").files.values()))
    known = recognised(reports.plan())
    assert known is None
    known = recognised(msgspec.structs.replace(reports.plan(), model_sha256=sha256))
    assert known is not None
    assert known.network == "ic"
    assert "pretrainedResnet_quant.tflite" in known.how
    assert known.how.endswith("of mlcommons/tiny, by SHA-256")


@pytest.mark.parametrize("field", ["macs", "parameters"])
def test_a_network_of_another_size_is_another_network(field: str) -> None:
    of = plan()
    assert recognised(msgspec.structs.replace(of, **{field: getattr(of, field) + 1})) is None


def test_a_network_with_other_outputs_is_another_network() -> None:
    of = plan()
    output = msgspec.structs.replace(of.output, shape=(1, 11))
    assert recognised(msgspec.structs.replace(of, output=output)) is None


def test_no_two_networks_share_a_file_or_a_structure() -> None:
    files = [sha256 for name in NETWORKS for sha256 in network(name).files.values()]
    assert len(set(files)) == len(files) == 8
    assert all(len(bytes.fromhex(sha256)) == hashlib.sha256().digest_size for sha256 in files)
    assert len({network(name).macs for name in NETWORKS}) == len(NETWORKS)


# --- which figure ---


def test_a_latency_and_a_clock_give_measured_cycles() -> None:
    found = entry(10_000, "us", clock=480e6)
    assert found.kind == "measured"
    assert (found.ms, found.mhz) == (10, 480)
    assert found.cycles_per_mac == pytest.approx(4_800_000 / MACS)
    assert found.instructions_per_mac is None


def test_the_stored_clock_of_a_board_is_used_unless_another_is_named() -> None:
    of = plan(unit="us", board="esp32", clock=Clock(unit="us", detail="", hertz=64_000_000))
    run = stored(of, time=10_000)
    found = own(reports.only(run), "kws")
    assert found.cycles_per_mac == pytest.approx(640_000 / MACS)
    assert own(reports.only(run), "kws", clock=480e6).mhz == 480


def test_a_latency_without_a_clock_gives_milliseconds_alone() -> None:
    found = entry(10_000, "us")
    assert (found.kind, found.ms, found.cycles_per_mac) == ("none", 10, None)
    assert "--clock" in found.note


def test_estimated_cycles_are_marked() -> None:
    found = entry(3_000_000, "instructions", cycles=2_700_000)
    assert found.kind == "estimated"
    assert found.cycles_per_mac == pytest.approx(2_700_000 / MACS)
    assert found.instructions_per_mac == pytest.approx(3_000_000 / MACS)
    assert found.core == "Cortex-M7"
    assert found.ms is None


@pytest.mark.parametrize(
    ("llvm", "core"), [("cortex-m0plus", "Cortex-M0+"), ("cortex-m55", "Cortex-M55")]
)
def test_the_core_of_an_estimate_is_spelled_as_in_published_results(llvm: str, core: str) -> None:
    run = stored(plan(), time=3_000_000, cycles=(2_700_000,))
    of = [msgspec.structs.replace(one, core=llvm) for one in run.estimates]
    assert own(reports.only(run), "kws", of).core == core


def test_a_calibrated_estimate_has_the_range_of_a_chip() -> None:
    run = stored(plan(), time=3_000_000, cycles=(2 * MACS,))
    (one,) = run.estimates
    assert own(reports.only(run), "kws", [one]).chip_low is None  # not calibrated
    found = own(reports.only(run), "kws", [msgspec.structs.replace(one, calibration=CALIBRATION)])
    # the estimate is 0.5 to 1.25 times the chip's cycles
    assert (found.cycles_per_mac, found.chip_low, found.chip_high) == (2, 1.6, 4)


def test_an_estimate_that_failed_is_none() -> None:
    run = stored(plan(), time=3_000_000, cycles=(2_700_000,))
    failed = [msgspec.structs.replace(one, why="no llvm-mca") for one in run.estimates]
    found = own(reports.only(run), "kws", failed)
    assert (found.kind, found.cycles_per_mac) == ("none", None)


def test_instructions_are_never_cycles() -> None:
    found = entry(3_000_000, "instructions")
    assert (found.kind, found.cycles_per_mac, found.ms, found.mhz) == ("none", None, None, None)
    assert found.instructions_per_mac == pytest.approx(3_000_000 / MACS)
    assert "--cycles" in found.note


def test_a_clock_does_not_turn_instructions_into_a_time() -> None:
    found = entry(3_000_000, "instructions", cycles=2_700_000, clock=480e6)
    assert (found.ms, found.mhz) == (None, None)


def test_counted_cycles_are_those_of_the_data_sheet() -> None:
    found = entry(26_567_680, "cycles")
    assert (found.kind, found.cycles_per_mac) == ("counted", 10)


def test_the_wall_time_of_an_emulator_is_not_a_latency() -> None:
    run = stored(plan(unit="us", board="esp32", emulated=True), time=10_000)
    found = own(reports.only(run), "kws", clock=480e6)
    assert (found.kind, found.ms, found.cycles_per_mac) == ("none", None, None)


def test_a_run_without_a_clock_has_no_figure() -> None:
    found = entry(0, "none")
    assert found.kind == "none"
    assert found.note == "it has no time"


@pytest.mark.parametrize(("simulated", "uj"), [(False, 250.0), (True, None)])
def test_the_energy_of_an_own_run_is_that_of_a_real_instrument(
    simulated: bool, uj: float | None
) -> None:
    of = plan(unit="us", board="esp32")
    joules = Span(point=250e-6, low=240e-6, high=260e-6)
    energy = [
        EnergyMeasured(run="another", joules=Span(point=1, low=1, high=1)),
        EnergyMeasured(run=of.key, joules=joules, simulated=simulated),
    ]
    found = own(reports.only(stored(of, time=10_000)), "kws", energy=energy)
    assert found.uj == (None if uj is None else pytest.approx(uj))


# --- order ---


def test_own_runs_are_placed_among_published_results() -> None:
    others = published(one for one in results() if one.network == "kws")
    found = [*others, entry(10_000, "us", clock=480e6)]
    placed = ordered(found)
    figures = [one.cycles_per_mac for one in placed]
    assert figures == sorted(figure for figure in figures if figure is not None)
    at = next(i for i, one in enumerate(placed) if one.own)
    before, after = placed[at - 1].cycles_per_mac, placed[at + 1].cycles_per_mac
    assert before is not None
    assert after is not None
    assert before <= 4_800_000 / MACS <= after


@pytest.mark.parametrize("by", ["cycles", "ms"])
def test_what_has_no_cycles_is_last(by: Sort) -> None:
    # fewer instructions than any result has cycles: they still are not ranked
    found = [entry(10, "instructions"), *published(results())]
    assert ordered(found, by)[-1].own


@pytest.mark.parametrize("by", SORTS)
def test_every_order_keeps_all_entries(by: Sort) -> None:
    found = [entry(10, "instructions"), entry(10, "us"), *published(results())]
    placed = ordered(found, by)
    assert len(placed) == len(found)
    assert ordered(placed[::-1], by) == placed
