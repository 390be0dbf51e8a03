# SPDX-License-Identifier: Apache-2.0
"""Sources of TensorFlow Lite Micro and of the vendors' kernels, downloaded into the user's cache.

Each is a commit of a public repository. GitHub compresses an archive when it is asked for, so its
bytes may change; what is checked is a SHA-256 of the files in it.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import platformdirs

from hil.core.errors import DataError, StorageError, ToolMissing, unknown
from hil.core.files import locked
from hil.datasets import Progress, download

HOST: Final = "https://github.com/"
_MEGA: Final = 1_000_000
_MOST: Final = 400 * _MEGA  # bytes of all files of an archive; more is not one of those below


@dataclass(frozen=True, slots=True)
class Archive:
    """A commit of a repository, and what is kept of it.

    ``keep``: folders (they end in /) and files. ``digest``: see `digest_of`, of what is kept.
    """

    repository: str
    commit: str
    size: int  # bytes to download, about
    keep: tuple[str, ...]
    digest: str

    @property
    def folder(self) -> str:
        """Its name in the cache."""
        return f"{self.repository.rpartition('/')[2]}-{self.commit[:7]}"

    def __str__(self) -> str:
        return f"{self.repository} {self.commit[:7]} ({self.size / _MEGA:.1f} MB)"


# Espressif's copy has the headers of flatbuffers, gemmlowp and ruy, and the glue to ESP-NN.
TFLM: Final = Archive(
    "espressif/esp-tflite-micro",
    "99f49e1498b0984f4db54d9bf3938aceb99ad422",
    1_300_000,
    ("LICENSE", "signal/", "tensorflow/", "third_party/"),
    "dace44fa6288a1dfcfd4724ffe7b4389d02b1dcebd64ddea90cd400a04a1da4f",
)
# Only Google's has the glue to CMSIS-NN.
GLUE: Final = Archive(
    "tensorflow/tflite-micro",
    "90b983c2b3f1480642e040bbd2ddb37b998f3424",
    11_500_000,
    ("LICENSE", "tensorflow/lite/micro/kernels/cmsis_nn/"),
    "c3a25d6e78c1c1b68c4d09ee515a6f93f8aae594050efe8dbc3974bee0eefa98",
)
CMSIS_NN: Final = Archive(
    "ARM-software/CMSIS-NN",
    "99f736a63036613032f9b70de36b493bcd7802d4",
    6_000_000,
    ("Include/", "LICENSE", "Source/"),
    "bb4385989077f940b124e3acf70509c740bbc634d6538f06d51d4a2e711d1d42",
)
ESP_NN: Final = Archive(
    "espressif/esp-nn",
    "d45b843ca5f873ca9d0706ab0e7f14eafd132e98",
    140_000,
    ("LICENSE", "include/", "src/"),
    "89935a3fc7b3846dc07b3c7d3897218732c9407eb50cbe29b62278e28ef0fc67",
)
# what `hil doctor --engine` takes -> what it needs
NEEDED: Final[Mapping[str, tuple[Archive, ...]]] = MappingProxyType(
    {"tflm": (TFLM,), "cmsis-nn": (TFLM, GLUE, CMSIS_NN), "esp-nn": (TFLM, ESP_NN)}
)
# variable of firmware/scripts/tflm.py -> the archive that it is the folder of
_VARIABLES: Final[Mapping[str, Archive]] = MappingProxyType(
    {
        "HIL_TFLM_DIR": TFLM,
        "HIL_TFLM_GLUE": GLUE,
        "HIL_TFLM_CMSIS": CMSIS_NN,
        "HIL_TFLM_ESP": ESP_NN,
    }
)
_OFFLINE: Final = (
    "connect this machine to the network, or set HIL_TFLM_DIR to a folder that has the sources "
    "(docs/engines.md)"
)


def cache() -> Path:
    """The folder with one folder per archive."""
    return platformdirs.user_cache_path("tinyml-hil") / "engines"


def place(archive: Archive) -> Path:
    """The folder of ``archive``, whether it is there or not."""
    return cache() / archive.folder


def missing(name: str) -> tuple[Archive, ...]:
    """The archives of ``name`` that are not in the cache. UsageError for an unknown name."""
    if name not in NEEDED:
        raise unknown(f"there are no sources to download for {name!r}", name, NEEDED)
    return tuple(archive for archive in NEEDED[name] if not place(archive).is_dir())


def install(archive: Archive, progress: Progress | None = None) -> Path:
    """Download ``archive``, check it, and put what is kept of it into the cache.

    A process that installs the same archive at the same time waits, and finds it there. Nothing is
    left of a download that fails. ``progress`` is called with (name, bytes so far, bytes in all).

    Raises:
        ToolMissing: the archive cannot be downloaded, or has other files.
        StorageError: the cache cannot be written.
    """
    target = place(archive)
    with locked(cache() / f"{archive.folder}.lock"):
        if target.is_dir():
            return target
        try:
            with tempfile.TemporaryDirectory(dir=cache(), prefix=f".{archive.folder}.") as folder:
                files = _download(archive, Path(folder), progress)
                made = Path(folder) / "files"
                for name, data in files.items():
                    (made / name).parent.mkdir(parents=True, exist_ok=True)
                    (made / name).write_bytes(data)
                made.replace(target)
        except OSError as problem:
            raise StorageError(
                f"cannot write {target}: {problem.strerror}", "free some space, or check the folder"
            ) from None
    return target


def _download(archive: Archive, folder: Path, progress: Progress | None) -> dict[str, bytes]:
    kept: dict[str, bytes] = {}

    def named(_: str, done: int, total: int) -> None:
        if progress is not None:
            progress(archive.folder, done, total)

    def verify(file: Path) -> None:
        kept.update(_read(archive, file))

    try:
        download.fetch(
            f"{archive.commit}.tar.gz",
            (f"{HOST}{archive.repository}/archive/",),
            folder,
            verify=verify,
            progress=named,
        )
    except DataError as problem:
        raise ToolMissing(f"cannot download {archive}: {problem.what}", _OFFLINE) from None
    return kept


def _read(archive: Archive, file: Path) -> dict[str, bytes]:
    """What is kept of a downloaded file. DataError unless it is the right one."""
    kept: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(file, "r:gz") as tar:
            for member in tar:
                total += member.size
                if total > _MOST:
                    raise DataError(f"more than {_MOST / _MEGA:.0f} MB of files", _OFFLINE)
                _, _, path = member.name.partition("/")  # below its one folder
                if member.isfile() and _kept(path, archive.keep):
                    if (source := tar.extractfile(member)) is None:
                        continue
                    kept[path] = source.read()
    except (tarfile.TarError, EOFError, OSError, ValueError) as problem:
        raise DataError(f"not a whole archive ({problem})", _OFFLINE) from None
    if digest_of(kept) != archive.digest:
        raise DataError("its files are not those of that commit (SHA-256)", _OFFLINE)
    return kept


def _kept(path: str, keep: Iterable[str]) -> bool:
    return ".." not in path.split("/") and any(
        path.startswith(one) if one.endswith("/") else path == one for one in keep
    )


def digest_of(files: Mapping[str, bytes]) -> str:
    """SHA-256 of the lines that ``sha256sum`` prints for files, sorted by path."""
    lines = (
        f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n"
        for path in sorted(files, key=lambda path: path.encode())
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def environment(engine: str) -> dict[str, str]:
    """Variables of the environment that tell the build of ``engine`` what the cache has.

    Empty if HIL_TFLM_DIR names a tree, or there is none in the cache.
    """
    if engine != "tflm" or os.environ.get("HIL_TFLM_DIR") or not place(TFLM).is_dir():
        return {}
    places = {name: place(archive) for name, archive in _VARIABLES.items()}
    return {name: str(folder) for name, folder in places.items() if folder.is_dir()}
