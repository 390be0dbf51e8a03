# SPDX-License-Identifier: Apache-2.0
"""`hil league`: tables of published results, and own runs among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hil.league.published import NetworkName
from tests.support.command_line import hil
from tests.support.league import plan, stored, written
from tests.support.reports import plan as other


def as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str | Path
) -> Any:
    assert hil(monkeypatch, "league", *words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_without_a_run_it_shows_all_four_networks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = as_json(monkeypatch, capsys)
    assert [one["network"] for one in found["tables"]] == ["ad", "kws", "ic", "vww"]
    for table in found["tables"]:
        figures = [one["cycles_per_mac"] for one in table["entries"]]
        assert figures == sorted(figures)
        for one in table["entries"]:
            by_hand = one["mhz"] * one["ms"] * 1000 / table["macs"]
            assert one["cycles_per_mac"] == pytest.approx(by_hand)


def test_the_table_names_cores_clocks_and_the_source(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hil(monkeypatch, "league", "--network", "kws", "--core", "m85") == 0
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if "EK-RA8D1" in line)
    words = "1.2 Cortex-M85 480 EK-RA8D1 TFLM + CMSIS-NN int8 3.465 0.63 -"
    assert row.split() == words.split()
    assert "Cortex-M7 " not in shown
    assert "tiny_results_v0.5 to v1.3" in shown


@pytest.mark.parametrize("core", ["m4", "Cortex-M4", "cortex-m4", "M4"])
def test_a_core_has_several_spellings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], core: str
) -> None:
    found = as_json(monkeypatch, capsys, "--core", core)
    assert {one["core"] for table in found["tables"] for one in table["entries"]} == {"Cortex-M4"}


def test_an_own_run_is_placed_in_the_table_of_its_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = written(tmp_path / "a", stored(plan(), time=3_000_000, cycles=(2_656_768,)))
    found = as_json(monkeypatch, capsys, run)
    (table,) = found["tables"]
    assert table["network"] == "kws"
    mine = [i for i, one in enumerate(table["entries"]) if one["run"]]
    assert mine == [1]  # 1 cycle per MAC: behind the Cortex-M85 alone
    assert table["entries"][1]["kind"] == "estimated"
    (of,) = found["runs"]
    assert of["run"] == "mps2/aot/kws/int8"
    assert "MACs, parameters" in of["how"]


def test_an_estimate_is_marked_and_instructions_have_a_column_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = written(tmp_path / "a", stored(plan(), time=3_000_000, cycles=(2_656_768,)))
    assert hil(monkeypatch, "league", run) == 0
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if "mps2/aot/kws/int8 " in line)
    assert row.split()[-4:] == ["1.00", "est.", "1.13", "-"]
    assert "instr./MAC" in shown
    assert "without cache misses" in shown


def test_a_run_of_counted_instructions_stands_below_the_ranked_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = written(tmp_path / "a", stored(plan(), time=3_000_000))
    assert hil(monkeypatch, "league", run) == 0
    shown = capsys.readouterr()
    rows = [line for line in shown.out.splitlines() if " int8 " in line]
    assert rows[-1].split()[:2] == ["own", "-"]
    assert rows[-1].split()[-4:] == ["-", "-", "1.13", "-"]
    assert "note: mps2/aot/kws/int8: no cycles per MAC: instructions are not cycles" in shown.err


def test_a_clock_gives_the_cycles_of_a_latency(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = written(tmp_path / "a", stored(plan(unit="us", board="esp32"), time=10_000))
    found = as_json(monkeypatch, capsys, run, "--clock", "480 mhz")
    (mine,) = (one for one in found["tables"][0]["entries"] if one["run"])
    assert (mine["kind"], mine["mhz"], mine["ms"]) == ("measured", 480, 10)
    assert mine["cycles_per_mac"] == pytest.approx(4_800_000 / 2_656_768)


NAMED: tuple[tuple[str, NetworkName], ...] = (("a", "kws"), ("b", "ad"))


def test_two_runs_are_told_apart_by_their_folders(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    runs = [
        written(tmp_path / name, stored(plan(network), time=3_000_000)) for name, network in NAMED
    ]
    found = as_json(monkeypatch, capsys, *runs)
    assert [one["run"] for one in found["runs"]] == ["a: mps2/aot/kws/int8", "b: mps2/aot/ad/int8"]
    assert [one["network"] for one in found["tables"]] == ["ad", "kws"]


def test_a_run_of_another_network_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = written(tmp_path / "a", stored(other(), time=3_000_000))
    assert hil(monkeypatch, "league", run) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no run has a network of MLPerf Tiny (runs: mps2/aot/student/int8)" in line
    assert "docs/league.md" in line


def test_another_network_beside_a_known_one_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = written(tmp_path / "a", stored(plan(), other(), time=3_000_000))
    assert hil(monkeypatch, "league", run) == 0
    assert "note: mps2/aot/student/int8 is left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--network", "mnist"), "--network mnist is unknown"),
        (("--sort", "speed"), "--sort speed is unknown"),
        (("--core", "m9"), "--core m9: no result is on it"),
        (("--clock", "fast"), "--clock fast is not a clock"),
        (("--clock", "0MHz"), "--clock 0MHz is not a clock"),
        (("--clock", "480MHz"), "--clock has no effect"),
    ],
)
def test_a_wrong_option_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, str],
    says: str,
) -> None:
    assert hil(monkeypatch, "league", *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_a_clock_without_a_latency_has_no_effect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = written(tmp_path / "a", stored(plan(), time=3_000_000))
    assert hil(monkeypatch, "league", run, "--clock", "480MHz") == 2
    assert "no run was timed on a physical board" in capsys.readouterr().err


def test_a_network_that_no_run_has_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = written(tmp_path / "a", stored(plan(), time=3_000_000))
    assert hil(monkeypatch, "league", run, "--network", "ic") == 2
    assert "no run has ic" in capsys.readouterr().err


def session(folder: Path, *, mode: str = "performance", **changes: object) -> Path:
    """What a session of `hil mlperf` stores of its result."""
    device = {"vendor": "my board", "profile": "p", "model": "my model", "port": "", "baud": 9600}
    found = {"schema": 1, "mode": mode, "emulated": False, "device": device, "retries": 0}
    folder.mkdir()
    (folder / "mlperf.json").write_text(json.dumps({**found, **changes}))
    return folder


def test_a_session_of_mlperf_tiny_is_placed_in_the_table_that_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = session(tmp_path / "a", median=100.0, windows=windows())
    found = as_json(monkeypatch, capsys, run, "--network", "kws", "--clock", "480MHz")
    (mine,) = (one for one in found["tables"][0]["entries"] if one["run"])
    assert (mine["kind"], mine["ms"], mine["software"]) == ("measured", 10, "my model")
    assert mine["cycles_per_mac"] == pytest.approx(4_800_000 / 2_656_768)


def windows(seconds: int = 11) -> list[dict[str, object]]:
    """Five windows of performance mode."""
    us = 1_000_000 * seconds
    return [{"iterations": 1100, "warmups": 10, "us": us, "whole": 11.1, "gap": 11.0}] * 5


def energy(*, simulated: bool = False) -> dict[str, object]:
    return {
        "instrument": "x",
        "volts": 3.3,
        "simulated": simulated,
        "median": 250e-6,
        "windows": [],
    }


def test_a_session_in_energy_mode_gives_microjoules_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = session(tmp_path / "a", mode="energy", energy=energy())
    found = as_json(monkeypatch, capsys, run, "--network", "kws")
    (mine,) = (one for one in found["tables"][0]["entries"] if one["run"])
    assert mine["uj"] == pytest.approx(250)
    assert (mine["kind"], mine["ms"], mine["cycles_per_mac"]) == ("none", None, None)


@pytest.mark.parametrize(
    ("changes", "words", "says"),
    [
        (
            {"mode": "energy", "energy": energy(simulated=True)},
            ("--network", "kws"),
            "without a throughput or a measured energy",
        ),
        (
            {"median": 100.0, "windows": windows()},
            (),
            "its network; name it, as --network kws",
        ),
        ({"median": 1.0, "windows": windows(9)}, ("--network", "kws"), "does not count"),
        ({"median": 1.0, "windows": windows()[1:]}, ("--network", "kws"), "does not count"),
        ({"mode": "accuracy", "top1": 90.0}, ("--network", "kws"), "without a throughput"),
        ({"median": 1.0, "emulated": True}, ("--network", "kws"), "without a throughput"),
    ],
)
def test_a_session_that_cannot_be_placed_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    changes: dict[str, object],
    words: tuple[str, ...],
    says: str,
) -> None:
    run = session(tmp_path / "a", **changes)  # type: ignore[arg-type]  # `mode` is a string
    assert hil(monkeypatch, "league", run, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
