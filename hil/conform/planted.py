# SPDX-License-Identifier: Apache-2.0
"""Deliberate faults: HIL_FAULT for many networks at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from hil.conform.cases import Case
from hil.core.errors import UsageError
from hil.engines import ENGINES, Special
from hil.engines.aot.faults import Fault


def plant(engine: str, cases: Sequence[Case], text: str | None = None) -> Mapping[str, str]:
    """The fault of each network, by its name, that ``text`` breaks; default: $HIL_FAULT.

    ``KIND:PATTERN:LAYER[:CHANNEL]``: the pattern matches names of networks, as in a shell, or is
    the name of a kernel. Networks that have nothing to break there are left as they are. UsageError
    if none is broken.
    """
    text = os.environ.get("HIL_FAULT", "") if text is None else text
    if not text:
        return {}
    wanted = Fault.parse(text)
    if not ENGINES[engine].breakable:
        raise UsageError(
            f"engine {engine} cannot be broken on purpose", "use the engine aot or aot-fast"
        )
    found = {}
    for case in cases:
        if wanted.model == case.kernel.name or fnmatchcase(case.name, wanted.model):
            fault = f"{wanted.kind}:{case.name}:{wanted.layer}:{wanted.channel}"
            if breaks(engine, case, fault):
                found[case.name] = fault
    if not found:
        raise UsageError(
            f"HIL_FAULT={text} breaks none of {len(cases)} networks",
            "name a kernel (weight:conv2d:0), or networks by a pattern (weight:conv2d_i8_*:0)",
        )
    return found


def breaks(engine: str, case: Case, fault: str) -> bool:
    """Whether the network has what the fault breaks."""
    try:
        special = Special(fault=Fault.parse(fault))
        ENGINES[engine].compile(case.graph, case.name, f"{case.name}.tflite", special)
    except UsageError:
        return False
    return True


def renamed(fault: str, name: str) -> str:
    """The same fault in another network."""
    kind, _, layer = fault.split(":", 2)
    return f"{kind}:{name}:{layer}"
