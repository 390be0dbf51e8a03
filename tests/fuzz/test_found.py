# SPDX-License-Identifier: Apache-2.0
"""Bugs that the fuzzers have found, each with the smallest input that shows it."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hil.boards import labgrid
from hil.boards.config import Board
from hil.boards.emulator import find_detached
from hil.core.errors import ConfigError, DataError, HilError, LabError, ModelError, StorageError
from hil.core.files import read_toml
from hil.datasets import cifar10, load_npz
from hil.engines.aot import generate
from hil.engines.bakenn import acceptable
from hil.report import write
from hil.runs.load import load_run
from hil.runs.log import RunLog
from hil.runs.schema import FileHash
from hil.runs.seal import difference, pretty
from hil.tflite import read_model
from hil_train import provenance
from tests.fuzz.damage import NAMES
from tests.support.runs import manifest, sample
from tests.support.tflite import int8_cnn


@pytest.mark.parametrize("text", [b"\xff", b"a = " + b"[" * 3000 + b"]" * 3000, b"#" * (1 << 21)])
def test_toml_that_is_not_text_or_too_long(text: bytes, tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_bytes(text)
    with pytest.raises(ConfigError, match=r"b\.toml"):
        read_toml(file, Board)


@pytest.mark.parametrize("text", [b'"\xf2"', b'{"a":' * 9000])
def test_json_that_is_not_text_or_too_deep(text: bytes, tmp_path: Path) -> None:
    for path in (tmp_path / ".pio/hil/b.json", tmp_path / "manifest.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    assert find_detached(tmp_path, "b") is None
    assert provenance.read(tmp_path / "manifest.json", provenance.Provenance) is None
    with pytest.raises(StorageError, match="corrupt"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 8000,
        "targets: [1, 2]",
        "targets: {main: {resources: [{NetworkSerialPort: {host: a, port: .inf}}]}}",
        "targets: {main: {resources: [{NetworkSerialPort: {host: 'a/b?c', port: 1}}]}}",
        "targets: {main: {resources: [{NetworkSerialPort: {host: a, port: 1, protocol: x}}]}}",
        "x" * 20_000,
    ],
)
def test_invalid_lab_descriptions(text: str) -> None:
    with pytest.raises(LabError):
        labgrid.serial_port("desk", text)


def npz(path: Path, head: str, size: int, kind: int = zipfile.ZIP_DEFLATED) -> Path:
    """An archive whose array x has the header ``head`` and ``size`` zeros."""
    with zipfile.ZipFile(path, "w", kind) as made:
        line = f"{head}\n".encode()
        content = b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + bytes(size)
        made.writestr("x.npy", content)
        memory = io.BytesIO()
        np.save(memory, np.array([0]))
        made.writestr("y.npy", memory.getvalue())
    return path


def header(descr: str, shape: str) -> str:
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        # a terabyte, in 400 bytes
        (header("|u1", f"{1 << 40}, 1"), zipfile.ZIP_DEFLATED),
        (header("|u1", "99999999999999999999,"), zipfile.ZIP_DEFLATED),
        (header("|O", "1, 1"), zipfile.ZIP_DEFLATED),
        (header("|u1", "1," * 40), zipfile.ZIP_STORED),
        ("{'descr': '|u1', (", zipfile.ZIP_STORED),
        (header("|u1", "1, 4"), zipfile.ZIP_BZIP2),
    ],
)
def test_arrays_with_a_wrong_header(head: str, kind: int, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        load_npz(npz(tmp_path / "x.npz", head, 4, kind))


def test_an_encrypted_archive(tmp_path: Path) -> None:
    path = npz(tmp_path / "x.npz", header("|u1", "1, 4"), 4, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for start in (i for i in range(len(data)) if bytes(data[i : i + 4]) in (b"PK\3\4", b"PK\1\2")):
        data[start + (6 if data[start + 2] == 3 else 8)] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        load_npz(path)


def test_an_archive_of_three_bytes(tmp_path: Path) -> None:
    path = tmp_path / cifar10.ARCHIVE
    path.write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(DataError, match="damaged"):
        cifar10._members(path, cifar10.MEMBERS["test"])


def test_metadata_offsets_outside_a_model() -> None:
    good = int8_cnn().finish()
    spoilt = 0
    for place in range(8, len(good) - 4, 4):
        data = good[:place] + b"\xff\xff\xff\x7f" + good[place + 4 :]
        try:
            read_model(data)
        except ModelError:
            continue
        try:
            acceptable(data)
        except ModelError as problem:
            spoilt += "damaged" in problem.what
    assert spoilt


def test_a_file_name_does_not_open_a_comment() -> None:
    text = generate(read_model(int8_cnn().finish()), "net", "a/*b*/ ??/").text
    assert text.count("/*") == text.count("*/")
    assert "??/" not in text


def run(folder: Path, **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_bytes(pretty(manifest(n=1)))
    line = json.loads(pretty(sample(0)))
    (folder / "samples.jsonl").write_text(json.dumps({**line, **changes}) + "\n")
    return folder


@pytest.mark.parametrize("field", ["label", "time", "i", "attempts", "round_trip"])
def test_sample_fields_that_are_too_large(field: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="line 1"):
        load_run(run(tmp_path / "run", **{field: 1 << 63}))


def test_figures_that_are_too_large(tmp_path: Path) -> None:
    folder = run(tmp_path / "run")
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"macs": 8', f'"macs": {1 << 64}'))
    with pytest.raises(StorageError, match=r"the number 1\.84e\+19 is too large"):
        load_run(folder)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "../run/samples.jsonl", "/etc/passwd"])
def test_bad_file_names_in_a_manifest(name: str, tmp_path: Path) -> None:
    assert difference(tmp_path, name, FileHash(sha256="", size=0))


@pytest.mark.parametrize("name", ["manifest.json", "samples.jsonl", "digits.json"])
@pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd"])
def test_links_in_a_run_are_not_followed(name: str, target: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "run")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)
    with pytest.raises(StorageError, match="is not a regular file"):
        load_run(folder)


@pytest.mark.parametrize("name", [".lock", "samples.jsonl"])
def test_a_bench_does_not_write_through_a_link(name: str, tmp_path: Path) -> None:
    folder, victim = run(tmp_path / "run"), tmp_path / "victim"
    victim.write_text("precious")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(victim)
    with pytest.raises(StorageError, match="is a symbolic link"), RunLog(folder, manifest(n=1)):
        pass
    assert victim.read_text() == "precious"


def test_a_report_does_not_write_through_a_link(tmp_path: Path) -> None:
    folder, victims = run(tmp_path / "run"), tmp_path / "victims"
    victims.mkdir()
    (victims / "holiday.svg").write_text("precious")
    (folder / "figures").symlink_to(victims)
    with pytest.raises(StorageError, match="is a symbolic link"):
        write(folder)
    assert [path.name for path in victims.iterdir()] == ["holiday.svg"]


def test_an_error_is_one_line_without_control_codes() -> None:
    said = str(HilError("a\nb\x1b[2J\x9b\u202e" + "x" * 9000, "hint\r\n"))
    assert said.isprintable()
    assert said.startswith("a?b?[2J??xxx")
    assert len(said) < 2000


def test_names_in_a_model_do_not_reach_a_compiler(tmp_path: Path) -> None:
    """A header with hostile names of file and tensors compiles with -Werror: they open no comment,
    join no lines and define nothing."""
    for number, source in enumerate(one for one in NAMES if set(one) & set('*/\\?"#')):
        net = int8_cnn()
        for tensor in net.graph.tensors:
            tensor.name = f"a/{source}/b".encode("utf-8", "surrogatepass")
        net.model.description = source.encode("utf-8", "surrogatepass")
        header = generate(read_model(net.finish()), f"net{number}", source).text
        (tmp_path / f"n{number}.h").write_bytes(header.encode())
    files = sorted(path.name for path in tmp_path.glob("*.h"))
    assert len(files) >= 10
    main = tmp_path / "main.c"
    main.write_text("".join(f'#include "{file}"\n' for file in files) + "int unused;\n")
    words = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
    done = subprocess.run(
        [*words, "-fsyntax-only", str(main)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:2000]
