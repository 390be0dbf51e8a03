# SPDX-License-Identifier: Apache-2.0
"""The main job with real builds and emulators: every output byte is compared."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from hil import datasets
from hil.bench import Request, make_plan, run
from hil.bench.events import Event
from hil.firmware import build
from hil.report import write
from hil.runs.load import load_run, read_manifest, read_samples
from hil.runs.schema import MANIFEST, SAMPLES
from hil.runs.summary import Summary
from tests.support.runs import known

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]

PROJECT = Path(__file__).parents[1]
DIGITS = PROJECT / "models" / "digits"
N = 500


def ignore(_: Event) -> None:
    """No progress."""


def hil(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hil", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.usefixtures("patient")
def test_500_digits_of_all_four_models_on_the_cortex_m7(tmp_path: Path) -> None:
    dataset, _ = datasets.choose("auto")
    plan = make_plan(Request(project=PROJECT, dataset=dataset, limit=N))
    run(plan, tmp_path, ignore)
    summary = write(tmp_path).summary
    assert [(row.model, row.precision, row.n) for row in summary.runs] == [
        (model, precision, N)
        for precision in ("float32", "int8")
        for model in ("teacher", "student")
    ]
    for row in summary.runs:
        assert known(row.agreement).differing_oracle == 0
        assert known(row.agreement).argmax == 1.0
        accuracy = known(row.accuracy)
        assert accuracy.device == known(accuracy.host) > 0.9
        assert row.time.unit == "instructions"
        assert row.link is not None
        assert row.link.retries == 0
    for row in summary.runs:
        if row.precision == "float32":
            assert known(row.agreement).differing_litert == 0
    stored = msgspec.json.decode((tmp_path / "summary.json").read_bytes(), type=Summary)
    assert stored == summary


def test_networks_stay_within_their_budget(tmp_path: Path) -> None:
    """Bounds of issue 2; the figures are far below."""
    plan = make_plan(Request(project=PROJECT, dataset="digits", limit=10))
    run(plan, tmp_path, ignore)
    rows = {(row.model, row.precision): row for row in write(tmp_path).summary.runs}
    budget = {
        ("student", "int8"): (1_000_000, 2_600),
        ("student", "float32"): (650_000, 6_000),
        ("teacher", "float32"): (14_492_092, 30_000),
        ("teacher", "int8"): (6_533_441, 28_192),
    }
    for key, (instructions, arena) in budget.items():
        row = rows[key]
        assert row.time.p95 is not None
        memory = known(row.memory)
        assert row.time.p95 <= instructions
        assert known(memory.arena) <= arena
        assert 0 < known(memory.stack) < 4096


def test_instruction_counts_repeat_exactly(tmp_path: Path) -> None:
    plan = make_plan(Request(project=PROJECT, dataset="digits", limit=20, models=("student",)))
    times = []
    for name in ("once", "again"):
        run(plan, tmp_path / name, ignore)
        times.append([sample.time for sample in read_samples(tmp_path / name)])
    assert times[0] == times[1]


def test_a_host_process_gives_the_same_answers_without_times(tmp_path: Path) -> None:
    words = ("--board", "native", "--dataset", "digits", "--limit", "50", "--host-samples", "20")
    done = hil("bench", *words, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert {sample.time for sample in read_samples(tmp_path / "run")} == {None}
    host = load_run(tmp_path / "run").host
    assert host
    assert [(len(one.times), min(one.times) > 0) for one in host.times] == [(20, True)] * 8
    assert "every output is as expected" in done.stdout


def test_a_run_resumes_after_ctrl_c(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = ["bench", "--board", "mps2", "--dataset", "digits", "--model", "teacher"]
    words += ["--precision", "int8", "--host-samples", "0", "--out", str(folder)]
    process = subprocess.Popen(
        # a shell that runs pytest in the background makes its children ignore SIGINT
        ["env", "--default-signal=INT", sys.executable, "-m", "hil", *words],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not count(folder):
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "to resume: hil bench" in said
    assert read_manifest(folder).state == "interrupted"
    stored = count(folder)
    assert 0 < stored < len(datasets.load("digits"))
    assert hil("report", str(folder)).returncode == 1  # not every digit was answered
    done = hil(*words)
    assert done.returncode == 0, done.stderr
    assert [sample.i for sample in read_samples(folder)] == list(range(500))


def count(folder: Path) -> int:
    samples = folder / SAMPLES
    return samples.read_bytes().count(b"\n") if (folder / MANIFEST).exists() else 0


def test_an_emulator_that_was_left_running_is_used_by_its_port(tmp_path: Path) -> None:
    models = [(name, DIGITS / f"{name}_int8.tflite") for name in ("teacher", "student")]
    elf = build("mps2", models, "aot", PROJECT).elf
    try:
        started = hil("emulate", "mps2", "--firmware", str(elf), "--detach")
        assert started.returncode == 0, started.stderr
        (port,) = re.findall(r"runs on (\S+)", started.stdout)
        assert f"runs on {port}" in hil("boards").stdout
        words = ("--board", "mps2", "--port", port, "--dataset", "digits", "--limit", "10")
        (command,) = re.findall(r"^run it: +hil (.+)$", started.stdout, re.MULTILINE)
        assert f"--port {port} --dataset digits --precision int8" in command
        good = hil(*shlex.split(command), "--limit", "10", "--out", str(tmp_path / "good"))
        assert good.returncode == 0, good.stderr
        wrong = hil("bench", *words, "--precision", "float32", "--out", str(tmp_path / "wrong"))
        assert wrong.returncode == 2
        assert "runs teacher" in wrong.stderr
    finally:
        assert "stopped" in hil("emulate", "mps2", "--stop").stdout
    assert "no mps2 was running" in hil("emulate", "mps2", "--stop").stdout
