# SPDX-License-Identifier: Apache-2.0
"""How damage to a run's folder is found: the manifest has the hash of every file, and its own.

The manifest's own hash is its seal. It finds damage; it does not prevent forgery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

import msgspec

from hil.core.errors import DamagedRun, InUse, StorageError
from hil.core.files import NO_RECORD, is_plain, locked, replace_file
from hil.runs.schema import (
    CYCLES,
    DIGITS,
    HOST,
    LAYERS,
    MANIFEST,
    PROFILE,
    SAMPLES,
    TARGETS,
    FileHash,
    Manifest,
)
from hil.runs.schema_checks import CHECKS
from hil.runs.schema_energy import ENERGY
from hil.runs.schema_quant import QUANT

LOCK = ".lock"  # held by the bench that writes the folder
# written by the bench; pages are made from these
DATA = (SAMPLES, TARGETS, DIGITS, LAYERS, PROFILE, CYCLES, ENERGY, HOST, CHECKS, QUANT)


def pretty(record: msgspec.Struct | Sequence[msgspec.Struct]) -> bytes:
    """Indented JSON that ends with a newline."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def sealed(manifest: Manifest) -> bytes:
    """``manifest.json``; its seal is the SHA-256 of the same bytes with an empty seal."""
    blank = msgspec.structs.replace(manifest, seal="")
    seal = hashlib.sha256(pretty(blank)).hexdigest()
    return pretty(msgspec.structs.replace(manifest, seal=seal))


def hashed(content: bytes) -> FileHash:
    """Hash and size of a file's content."""
    return FileHash(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def hash_file(path: Path) -> FileHash:
    """Hash and size of a file; OSError when it cannot be read."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return FileHash(sha256=digest.hexdigest(), size=stream.tell())


def hash_data(folder: Path) -> dict[str, FileHash]:
    """Hashes of the data files that exist; OSError as `hash_file`."""
    return {name: hash_file(folder / name) for name in DATA if is_plain(folder / name)}


def own_files(folder: Path) -> Iterator[str]:
    """Path in ``folder`` of every file that a manifest should name, sorted.

    Hidden files are left out: a lock, or a file that is being written.
    """
    for path in sorted(folder.rglob("*")):
        within = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in within.parts)
        if not hidden and str(within) != MANIFEST and (path.is_symlink() or not path.is_dir()):
            yield within.as_posix()


def difference(folder: Path, name: str, wanted: FileHash) -> str:
    """What is wrong with a file of the manifest, in a few words; empty if it is intact."""
    path = folder / name
    if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
        return "not in this folder"
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            return "not a regular file"
        found = hash_file(path)
    except FileNotFoundError:
        return "missing"
    except OSError as problem:
        return f"cannot be read ({problem.strerror})"
    except ValueError:
        return "not a file name"
    if found.size != wanted.size:
        return f"changed: {found.size:,} bytes, {wanted.size:,} were sealed"
    return "" if found == wanted else f"changed: SHA-256 {found.sha256[:16]}… is not the sealed one"


def check_data(folder: Path, manifest: Manifest) -> None:
    """DamagedRun when a data file is not what the manifest says.

    Files that are not sealed, because the bench was killed, are not checked.
    """
    for name in DATA:
        if name in manifest.files:
            fault = difference(folder, name, manifest.files[name])
            if fault:
                raise DamagedRun(
                    f"{folder / name}: {fault}",
                    "nothing was written; restore the file from where the run came from",
                )
        elif name != SAMPLES and manifest.files and (folder / name).exists():
            raise DamagedRun(f"{folder / name} does not belong to this run", "remove it")


def check_manifest(path: Path, raw: bytes, manifest: Manifest) -> None:
    """DamagedRun when the bytes of a sealed manifest are not the ones that were sealed.

    The bytes themselves are hashed, not ``manifest`` encoded again: a later version may know
    fields that this run does not have.
    """
    if manifest.seal and not _is_sealed(raw, manifest.seal):
        raise DamagedRun(
            f"{path} was changed after it was sealed",
            "restore it from where the run came from, or run the bench again into a new folder",
        )


def _is_sealed(raw: bytes, seal: str) -> bool:
    before, found, after = raw.rpartition(b'"seal": ' + msgspec.json.encode(seal))
    return bool(found) and hashlib.sha256(before + b'"seal": ""' + after).hexdigest() == seal


def seal_pages(folder: Path, pages: Mapping[str, bytes]) -> None:
    """Store the hashes of ``pages`` (path -> content) in the manifest.

    Pass no pages while they are being written, so that a reader does not report a new page as
    damaged. Does nothing for a run without a seal, or while a bench writes it. StorageError when
    the manifest cannot be written.
    """
    path = folder / MANIFEST
    with _unless_held(folder) as free:
        try:
            raw = path.read_bytes()
        except OSError as problem:
            raise StorageError(f"{path} cannot be read ({problem.strerror})") from problem
        try:
            manifest = msgspec.json.decode(raw, type=Manifest)
        except NO_RECORD as problem:  # it was replaced since it was loaded
            raise StorageError(f"{path} is corrupt ({problem})") from problem
        if not free or not manifest.seal or manifest.state == "running":
            return
        check_manifest(path, raw, manifest)
        data = {name: found for name, found in manifest.files.items() if name in DATA}
        files = data | {name: hashed(content) for name, content in sorted(pages.items())}
        replace_file(path, sealed(msgspec.structs.replace(manifest, files=files)))


@contextmanager
def _unless_held(folder: Path) -> Iterator[bool]:
    """Take the bench's lock during the block; yields False when a bench has it.

    A folder without a lock file was never written by a bench on this machine.
    """
    if not is_plain(folder / LOCK):
        yield True
        return
    with ExitStack() as held:
        free = True
        try:
            held.enter_context(locked(folder / LOCK, wait=False))
        except InUse:
            free = False
        except StorageError:  # another user's folder, or a disk without locks
            pass
        yield free
