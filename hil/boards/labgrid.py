# SPDX-License-Identifier: Apache-2.0
"""Places of a labgrid lab: acquire one, find its serial port, and always release it.

labgrid (https://labgrid.readthedocs.io) needs its own version of pyserial, so it is installed in a
separate environment and used by its command `labgrid-client`, which finds the coordinator by
``LG_COORDINATOR``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import yaml

from hil.core.errors import LabError, ToolMissing, UsageError

SCHEME: Final = "labgrid:"
CLIENT: Final = "HIL_LABGRID_CLIENT"  # path of `labgrid-client`, if it is not on PATH
_LIMIT_S: Final = 60.0
# limits of a description: PyYAML's Python loader is slow, its C loader may overflow the stack
_LONGEST: Final = 1 << 14  # characters
_BRACKETS: Final = 100  # each may take as long as all before it
_HOST: Final = re.compile(r"[\w.:%-]{1,255}")  # a name or an address that is safe in a URL
_TAG: Final = re.compile(r"^\s*tags: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Place:
    """An acquired place: the board named by its tag, and the pyserial URL of its serial port."""

    name: str
    board: str
    port: str


@contextmanager
def hold(name: str) -> Iterator[Place]:
    """Hold place ``name`` for the duration of a `with`.

    LabError if it is in use, unknown, or has no serial port; UsageError if it has no tag ``board``;
    ToolMissing without `labgrid-client`.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UsageError(
            f"{name!r} is not the name of a labgrid place", "list them: labgrid-client places"
        )
    board = _board(name)
    _client(name, "acquire")
    try:
        yield Place(name, board, serial_port(name, _client(name, "env")))
    except BaseException:
        with suppress(LabError):  # raise the first problem
            _client(name, "release")
        raise
    _client(name, "release")


def serial_port(place: str, environment: str) -> str:
    """The URL of the only serial port in the output of `labgrid-client env` (YAML).

    LabError if the output, which exporters and other users fill, is anything else.
    """
    brackets = sum(environment.count(c) for c in "[{")
    if len(environment) > _LONGEST or brackets > _BRACKETS:
        what = f"{len(environment):,} characters with {brackets:,} brackets"
        raise LabError(
            f"labgrid-client's description of place {place} has {what}; the limits are "
            f"{_LONGEST:,} and {_BRACKETS}",
            f"check it: labgrid-client -p {place} env",
        )
    try:
        (target,) = yaml.safe_load(environment)["targets"].values()
        resources = target["resources"]
        ports = [one["NetworkSerialPort"] for one in resources if "NetworkSerialPort" in one]
        urls = [_url(port) for port in ports]
    except (
        *(yaml.YAMLError, LookupError, TypeError, ValueError),
        *(AttributeError, OverflowError, RecursionError),
    ) as problem:
        why = f"{type(problem).__name__}: {problem}"[:200]
        raise LabError(
            f"labgrid-client's description of place {place} is not as expected ({why})",
            f"check it: labgrid-client -p {place} env",
        ) from problem
    if len(urls) != 1:
        raise LabError(
            f"labgrid place {place} has {len(urls) or 'no'} serial ports instead of one",
            f"match one: labgrid-client -p {place} add-match EXPORTER/GROUP/NetworkSerialPort",
        )
    return urls[0]


def _url(port: dict[str, Any]) -> str:
    host, number = str(port["host"]), int(port["port"])
    if not _HOST.fullmatch(host) or not 0 < number < 1 << 16:
        raise ValueError(f"{host[:100]!r} port {str(number)[:9]} is not an address")
    place = f"{f'[{host}]' if ':' in host else host}:{number}"
    urls = {
        # labgrid's default; its exporter (ser2net) does not answer SET_CONTROL
        "rfc2217": f"rfc2217://{place}?ign_set_control",
        "raw": f"socket://{place}",
    }
    return urls[port.get("protocol", "rfc2217")]


def _board(place: str) -> str:
    """The value of the tag ``board`` of ``place``."""
    tags = _TAG.search(_client(place, "show"))
    for word in tags.group(1).split(", ") if tags else []:
        key, _, value = word.partition("=")
        if key == "board":
            return value
    raise UsageError(
        f"labgrid place {place} has no tag that names its board",
        f"add one: labgrid-client -p {place} set-tags board=NAME (`hil boards` lists the names)",
    )


def _client(place: str, command: str) -> str:
    """The output of `labgrid-client`; LabError with its last line if it fails."""
    program = os.environ.get(CLIENT) or shutil.which("labgrid-client")
    if not program:
        raise ToolMissing(
            "labgrid-client is not installed",
            "install labgrid in a separate environment (docs/labgrid.md) and put it on PATH or "
            f"set {CLIENT}",
        )
    try:
        done = subprocess.run(
            [program, "-p", place, command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
            start_new_session=True,  # Ctrl-C reaches only the harness, which then releases it
        )
    except OSError as problem:
        raise ToolMissing(
            f"{program} cannot be run ({problem.strerror})", f"correct {CLIENT}"
        ) from problem
    except subprocess.TimeoutExpired as late:
        raise LabError(
            f"labgrid-client {command} of place {place} took longer than {_LIMIT_S:.0f} s",
            "is the coordinator running? LG_COORDINATOR is its address",
        ) from late
    if done.returncode:
        raise _failed(place, command, done.stderr or done.stdout)
    return done.stdout


def _failed(place: str, command: str, said: str) -> LabError:
    last = (said.strip().splitlines() or ["nothing"])[-1]
    last = re.sub(r"^(labgrid-client: |Server )?[Ee]rror: (Error: )?", "", last)[:300]
    hint = "is the coordinator running? LG_COORDINATOR is its address"
    if "already acquired" in last:
        hint = f"wait, or find who holds it (labgrid-client who); to release it: \
labgrid-client -p {place} release"
    elif "matches nothing" in last:
        hint = "list the places: labgrid-client places"
    elif "no matching" in last:
        hint = "is its exporter running? labgrid-client resources"
    return LabError(f"labgrid place {place} cannot be {_DONE[command]}: {last}", hint)


_DONE: Final = {
    "show": "inspected",
    "acquire": "acquired",
    "env": "queried for its port",
    "release": "released",
}
