# SPDX-License-Identifier: Apache-2.0
"""`--board labgrid:PLACE` in a real lab: acquired, used over its serial port, released."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hil.boards.labgrid import CLIENT, hold, serial_port
from hil.core.errors import LabError, ToolMissing, UsageError
from hil.firmware import build
from hil.runs.load import read_manifest
from hil.runs.summary import Summary
from tests.support.labgrid import LocalLab, local_lab, missing
from tests.support.needs import skip_without
from tests.support.runs import known

PROJECT = Path(__file__).parents[2]
MODELS = PROJECT / "models" / "digits"
BENCH = (
    *("--dataset", "digits", "--limit", "30", "--precision", "int8", "--no-open"),
    *("--host-samples", "0"),
)

in_a_lab = [
    pytest.mark.lab,
    pytest.mark.timeout(1200),
    skip_without(missing()),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalLab]:
    """Two places with the same kind of board, both flashed with the digits' int8 image."""
    models = [(name, MODELS / f"{name}_int8.tflite") for name in ("teacher", "student")]
    firmware = build("native", models, "aot", PROJECT).elf
    places = {"desk1": ("native", firmware), "desk2": ("native", firmware)}
    with local_lab(places, tmp_path_factory.mktemp("lab")) as running:
        yield running


def bench(lab: LocalLab, out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`hil bench` in a process."""
    return subprocess.run(
        [sys.executable, "-m", "hil", "bench", *words, *BENCH, "--out", str(out)],
        cwd=PROJECT,
        env=lab.environment,
        capture_output=True,
        text=True,
        check=False,
    )


class TestInALab:
    pytestmark = in_a_lab

    def test_two_places_give_one_report(self, lab: LocalLab, tmp_path: Path) -> None:
        done = bench(lab, tmp_path, "--board", "labgrid:desk1", "--board", "labgrid:desk2")
        assert done.returncode == 0, done.stderr
        summary = msgspec.json.decode((tmp_path / "summary.json").read_bytes(), type=Summary)
        assert [(row.board, row.model, row.n) for row in summary.runs] == [
            (f"native@{place}", model, 30)
            for place in ("desk1", "desk2")
            for model in ("teacher", "student")
        ]
        assert {known(row.agreement).differing_oracle for row in summary.runs} == {0}
        titles = {plan.board_title for plan in read_manifest(tmp_path).runs}
        assert any(title.endswith("labgrid place desk2") for title in titles)
        assert (lab.holder("desk1"), lab.holder("desk2")) == ("", "")

    def test_a_bench_that_fails_releases_its_place(self, lab: LocalLab, tmp_path: Path) -> None:
        other = ("--board", "labgrid:desk1", "--precision", "float32", "--model", "student")
        done = bench(lab, tmp_path, *other)
        assert done.returncode == 2
        assert "board native runs" in done.stderr
        assert lab.holder("desk1") == ""

    def test_a_place_in_use_is_an_error_of_one_line(self, lab: LocalLab, tmp_path: Path) -> None:
        lab.client("-p", "desk2", "acquire", user="eve")
        try:
            words = ("--board", "labgrid:desk1", "--board", "labgrid:desk2")
            done = bench(lab, tmp_path / "run", *words)
        finally:
            lab.client("-p", "desk2", "release", user="eve")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "desk2 cannot be acquired: Place desk2 is already acquired by" in done.stderr
        assert "labgrid-client -p desk2 release" in done.stderr
        assert not (tmp_path / "run").exists()
        assert lab.holder("desk1") == ""  # which was acquired first

    def test_a_terminated_bench_releases_its_place(self, lab: LocalLab, tmp_path: Path) -> None:
        words = (*BENCH[:2], "--precision", "int8", "--limit", "500", "--out", str(tmp_path))
        process = subprocess.Popen(
            [sys.executable, "-m", "hil", "bench", "--board", "labgrid:desk1", *words],
            cwd=PROJECT,
            env=lab.environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert process.stderr
        for line in process.stderr:  # the first run has ended, the second is running
            if "done in" in line:
                break
        holder = lab.holder("desk1")
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        process.stderr.close()
        assert (process.wait(), holder, lab.holder("desk1")) == (143, "hil", "")
        assert read_manifest(tmp_path).state == "interrupted"

    def test_the_pytest_plugin_uses_a_place(self, lab: LocalLab) -> None:
        words = ["--hil-board", "labgrid:desk2", "--hil-limit", "20", "--hil-dataset", "digits"]
        words += ["-k", "test_hello"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "hil", *words, "hil/board_tests"],
            cwd=PROJECT,
            env=lab.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert " passed" in done.stdout
        assert lab.holder("desk2") == ""

    @pytest.mark.parametrize(
        ("place", "problem", "says"),
        [
            ("nowhere", LabError, "place pattern nowhere matches nothing; list the places"),
            ("desk1", UsageError, "has no tag that names its board; add one"),
        ],
    )
    def test_unknown_and_untagged_places(
        self,
        lab: LocalLab,
        monkeypatch: pytest.MonkeyPatch,
        place: str,
        problem: type[Exception],
        says: str,
    ) -> None:
        for name, value in lab.environment.items():
            monkeypatch.setenv(name, value)
        lab.client("-p", "desk1", "set-tags", "board=")
        try:
            with pytest.raises(problem, match=says), hold(place):
                pass
        finally:
            lab.client("-p", "desk1", "set-tags", "board=native")

    def test_without_a_coordinator(self, lab: LocalLab, monkeypatch: pytest.MonkeyPatch) -> None:
        del lab
        monkeypatch.setenv("LG_COORDINATOR", "127.0.0.1:9")
        with pytest.raises(LabError, match="is the coordinator running"), hold("desk1"):
            pass


@pytest.mark.parametrize(
    ("port", "url"),
    [
        (
            "{host: lab, port: 4001, speed: 115200, name: RawSerialPort}",
            "rfc2217://lab:4001?ign_set_control",
        ),
        ("{host: 'fe80::1', port: 7, protocol: raw}", "socket://[fe80::1]:7"),
    ],
)
def test_a_port_becomes_a_url(port: str, url: str) -> None:
    power = "{NetworkPowerPort: {model: x}}"
    said = f"targets: {{p: {{resources: [{power}, {{NetworkSerialPort: {port}}}]}}}}"
    assert serial_port("p", said) == url


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("", "is not as expected"),
        ("{", "is not as expected"),
        ("targets: {p: {resources: [{NetworkSerialPort: {host: a}}]}}", "is not as expected"),
        (
            "targets: {p: {resources: [{NetworkSerialPort: {host: a, port: 1, protocol: x}}]}}",
            "is not as expected",
        ),
        ("targets: {p: {resources: []}}", "has no serial ports instead of one"),
        (
            "targets: {p: {resources: ["
            + ", ".join(2 * ["{NetworkSerialPort: {host: a, port: 1}}"])
            + "]}}",
            "has 2 serial ports instead of one",
        ),
        ("!!python/object/apply:os.system ['true']", "is not as expected"),
    ],
)
def test_the_output_of_labgrid_is_checked(said: str, says: str) -> None:
    with pytest.raises(LabError, match=says):
        serial_port("p", said)


@pytest.mark.parametrize("client", ["", "/nonexistent/labgrid-client"])
def test_without_labgrid_the_error_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, client: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(CLIENT, client)
    with pytest.raises(ToolMissing, match=CLIENT), hold("desk"):
        pass


def test_errors_quote_labgrid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client = tmp_path / "labgrid-client"
    client.write_text("#!/bin/sh\necho 'labgrid-client: Error: the lab is closed' >&2\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setenv(CLIENT, str(client))
    monkeypatch.setenv("PATH", os.defpath)
    with (
        pytest.raises(LabError, match="place desk cannot be inspected: the lab is closed"),
        hold("desk"),
    ):
        pass
