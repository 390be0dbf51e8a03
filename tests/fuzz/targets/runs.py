# SPDX-License-Identifier: Apache-2.0
"""The folder of a stored run, perhaps from someone else: verify, load, resume."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from hil.core.errors import HilError
from hil.runs.load import load_run, verify
from hil.runs.log import RunLog
from hil.runs.schema import MANIFEST, Manifest
from hil.runs.seal import DATA, hash_data, sealed
from tests.fuzz.damage import NAMES, bytes_like, tree_like
from tests.fuzz.example_run import stored

_GOOD = stored()
SEEDS = [json.dumps({"files": files, "seal": seal}).encode() for files in _GOOD for seal in (0, 1)]


def damage(random: Random, data: bytes) -> bytes:
    """Damage the values or bytes of a run's files, or their names."""
    given = json.loads(data)
    files: dict[str, Any] = given["files"]
    for _ in range(random.randint(1, 2)):
        name = random.choice(sorted(files))
        content = files[name]
        if random.random() < 0.15:
            raw = _rendered(content)
            files[name] = bytes_like(random, raw, [raw]).decode("latin-1")
        elif not isinstance(content, str):
            files[name] = tree_like(random, content)
    if random.random() < 0.1:
        name = random.choice((*sorted(files), "figures", "report.html", ".lock"))
        given["links"] = {name: random.choice(("/etc/passwd", "..", "loop", "/dev/zero"))}
    if random.random() < 0.1:
        given["hashes"] = random.choice(NAMES)
    given["seal"] = random.random() < 0.8
    return json.dumps(given).encode()


def check(data: bytes, folder: Path) -> None:
    run = lay_out(data, folder / "run")
    with contextlib.suppress(HilError):
        verify(run)
    found = load_run(run)
    assert set(found.samples) == {plan.key for plan in found.manifest.runs}
    with RunLog(run, found.manifest) as log:  # a bench that resumes
        log.set_state("complete")
    # loading a run that the harness sealed gives the same samples
    assert load_run(run).samples == found.samples


def _rendered(content: Any) -> bytes:
    """The file's bytes: a list (samples.jsonl) with one line per item, else JSON."""
    if isinstance(content, str):
        return content.encode("latin-1", "replace")
    if isinstance(content, list) and content and content[0] == "lines":
        return b"".join(
            json.dumps(line).encode("utf-8", "surrogatepass") + b"\n" for line in content[1:]
        )
    return json.dumps(content).encode("utf-8", "surrogatepass")


def lay_out(data: bytes, run: Path) -> Path:
    """Write the files into a new folder ``run``; with ``seal`` the manifest is sealed again."""
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir()
    try:
        given = json.loads(data)
        files = given["files"]
        links, seal = given.get("links", {}), given.get("seal")
        hashes = given.get("hashes")
    except (ValueError, TypeError, KeyError, AttributeError):
        files, links, seal, hashes = {"manifest.json": data.decode("latin-1")}, {}, False, None
    for name in (*DATA, MANIFEST):
        if name in files:
            (run / name).write_bytes(_rendered(files[name]))
    if seal:
        _seal(run, hashes)
    for name, target in links.items():
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(run / name if target == "loop" else target)
    return run


def _seal(run: Path, hashes: str | None) -> None:
    """Seal as an attacker would; ``hashes`` is the name of another file."""
    try:
        manifest = msgspec.json.decode((run / "manifest.json").read_bytes(), type=Manifest)
        known = dict(hash_data(run))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    if manifest.state == "running":
        known = {}
    if hashes is not None and known:
        known[hashes] = next(iter(known.values()))
    try:
        (run / "manifest.json").write_bytes(sealed(msgspec.structs.replace(manifest, files=known)))
    except UnicodeEncodeError:
        return
