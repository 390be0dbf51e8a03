# SPDX-License-Identifier: Apache-2.0
"""A whole run with a fake lab: what is asked, what is found, shrunk and stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hil.bench.cases import Image, Program
from hil.bench.lab import Firmware
from hil.boards.config import load_board
from hil.boards.station import Station, only_station
from hil.conform.records import Conformance
from hil.conform.run import Request, run
from hil.core.errors import BuildFailed, NoAnswer, UsageError
from hil.core.records import Hello, ModelInfo
from hil.link import Link
from hil.reference import oracle
from hil.testing.board import FakeBoard, FakeLink
from hil.tflite import read_model

pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")


@dataclass
class Notes:
    """What a watcher is told. ``stop_after``: Ctrl-C after so many networks."""

    notes: list[str] = field(default_factory=list)
    counts: list[tuple[int, int, int]] = field(default_factory=list)
    stop_after: int = 0

    def doing(self, what: str) -> None:
        assert what

    def done(self, count: int, total: int, failures: int) -> None:
        self.counts.append((count, total, failures))
        if count == self.stop_after:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        self.notes.append(text)


def as_it_is(output: bytes) -> bytes:
    return output


@dataclass
class Lab:
    """A board whose kernels are TFLM's of this host, changed by ``tamper``.

    An image with more than ``most`` networks does not compile, one with a network called ``silent``
    does not start.
    """

    tamper: Callable[[bytes], bytes] = as_it_is
    most: int = 1 << 30
    silent: str = ""
    images: list[Image] = field(default_factory=list)
    refused: int = 0

    def check(self, station: Station) -> None:
        assert station.board.name == "native"

    def build(self, image: Program, project: Path) -> Firmware:
        assert isinstance(image, Image)
        if len(image.networks) > self.most:
            self.refused += 1
            raise BuildFailed("the compiler gave up", "see the log")
        self.images.append(image)
        return Firmware(project / "firmware.elf", "00" * 32, "fake 1.0", 50_000, 4_000)

    @contextmanager
    def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
        assert isinstance(image, Image)
        if any(one.name == self.silent for one in image.networks):
            raise NoAnswer("nothing answered on port fake", "check it")
        assert firmware.file
        models = tuple(
            ModelInfo(n.name, image.engine, n.graph.sha256, n.graph.input, n.graph.output, 1, 1)
            for n in image.networks
        )
        references = [oracle(network.path) for network in image.networks]

        def infer(model: int, values: bytes) -> bytes:
            spec = image.networks[model].graph.input
            x = np.frombuffer(values, spec.dtype.numpy).reshape(1, *spec.shape)
            return self.tamper(references[model].predict(x)[0].tobytes())

        hello = Hello(1, station.board.name, "fake", "fake 1.0", 4, 1 << 16, 0, False, models)
        yield FakeLink(FakeBoard(hello, infer))

    def unobservable(self, station: Station) -> str:
        return f"{station.name} is a fake"


def conform(out: Path, lab: Lab, notes: Notes | None = None, **options: Any) -> Conformance:
    usual: dict[str, Any] = {"engine": "aot", "kernels": ("fully_connected",), "dtypes": ("int8",)}
    request = Request(**{**usual, "count": 4, "rounds": 4, **options})
    station = only_station(load_board("native"))
    return run(request, station, lab, out, out / "run", notes or Notes())


def wrong_if_wide(output: bytes) -> bytes:
    """A kernel that is wrong for three outputs or more: the third is one too large."""
    if len(output) < 3:
        return output
    return bytes([*output[:2], (output[2] + 1) % 256, *output[3:]])


def test_right_answers_conform(tmp_path: Path) -> None:
    notes = Notes()
    record = conform(tmp_path, Lab(), notes)
    assert (record.failures, record.state, record.images) == ((), "complete", 1)
    assert [one.shapes for one in record.tallies] == [4]
    assert notes.counts[-1] == (4, 4, 0)
    stored = msgspec.json.decode((tmp_path / "run" / "conform.json").read_bytes(), type=Conformance)
    assert stored == record
    for name in ("report.md", "report.html"):
        text = (tmp_path / "run" / name).read_text()
        assert "Conforms" in text
        assert "fully" in text


def test_a_wrong_kernel_is_shrunk_to_its_limit(tmp_path: Path) -> None:
    record = conform(tmp_path, Lab(tamper=wrong_if_wide), rounds=6)
    shrunk = [one for one in record.failures if one.smallest]
    assert shrunk
    for one in shrunk:
        graph = read_model(tmp_path / "run" / "failures" / f"{one.smallest}.tflite")
        assert graph.output.elements == 3
        assert graph.input.shape[-1] == 1
        with np.load(tmp_path / "run" / "failures" / f"{one.smallest}.npz") as arrays:
            assert arrays["x"].shape[1:] == graph.input.shape
        report = (tmp_path / "run" / "failures" / f"{one.smallest}.md").read_text()
        assert "FULLY_CONNECTED" in report
        assert f"--model {one.smallest}.tflite --data {one.smallest}.npz" in report
    assert "Differs" in (tmp_path / "run" / "report.html").read_text()


def test_an_image_that_does_not_compile_is_split(tmp_path: Path) -> None:
    lab = Lab(most=2)
    record = conform(tmp_path, lab, dtypes=("int8", "int16"))
    assert [one.shapes for one in record.tallies] == [4, 4]
    assert [len(image.networks) for image in lab.images] == [2, 2, 2, 2]
    assert lab.refused == 1  # the second precision is not tried with four


def test_a_network_that_stops_the_board_costs_only_itself(tmp_path: Path) -> None:
    record = conform(tmp_path, Lab(silent="fully_connected_i8_002"), rounds=0)
    assert [one.name for one in record.failures] == ["fully_connected_i8_002"]
    assert "nothing answered" in record.failures[0].what
    assert [one.shapes for one in record.tallies] == [4]


def test_ctrl_c_keeps_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        conform(tmp_path, Lab(tamper=wrong_if_wide), Notes(stop_after=2))
    stored = json.loads((tmp_path / "run" / "conform.json").read_bytes())
    assert stored["state"] == "interrupted"
    assert stored["tallies"][0]["shapes"] == 2
    assert "Ctrl-C" in (tmp_path / "run" / "report.md").read_text()


def test_what_the_engine_refuses_is_listed_with_its_reason(tmp_path: Path) -> None:
    pytest.importorskip("bakenn")
    record = conform(tmp_path, Lab(), engine="bakenn", count=12)
    assert sum(record.not_taken.values()) == sum(one.not_taken for one in record.tallies) > 0
    assert all("bakenn" in why for why in record.not_taken)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kernels": ("conv3d",)}, "no kernel is called 'conv3d'"),
        ({"dtypes": ("int4",)}, "--precision int4 is unknown"),
        ({"engine": "tlfm"}, "no engine is called 'tlfm'"),
        ({"count": 0}, "--count 0 is too small"),
    ],
)
def test_unknown_names_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        conform(tmp_path, Lab(), **options)


def test_a_fault_of_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_FAULT", "weight:conv2d:0")
    with pytest.raises(UsageError, match="breaks none of 4 networks"):
        conform(tmp_path, Lab())
