# SPDX-License-Identifier: Apache-2.0
"""The messages that documents quote are those that the code prints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tools import PROJECT, tracked

# values that the code fills in, as the documents write them
FILLED = re.compile(
    r"\b(?:X|NAME|ENV|PORT|\d+ ?[MK]?B|\d+(?= s)|ESP32(?:-S3)?)\b|(?<=board's )flash|\.\.\."
)
TABLE = re.compile(r"^\| [^|]+ \| [^|]+ \| (`.*`.*) \|$", re.MULTILINE)


def strings(name: str) -> Iterator[str]:
    """Every string of a module; what is filled in is ``{}``."""
    for node in ast.walk(ast.parse((PROJECT / name).read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = node.values
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"\{\w+\}", "{}", node.value)


PRINTED = "\n".join(
    text for name in tracked() if re.match(r"hil/.*\.py$", name) for text in strings(name)
)


def printed(message: str) -> bool:
    pieces = [re.escape(piece) for piece in FILLED.split(message)]
    return re.search(r"(?:\{\}|[\w/]+)".join(pieces), PRINTED) is not None


def quoted() -> list[str]:
    flashing = (PROJECT / "docs" / "boards" / "flashing.md").read_text()
    cells = TABLE.findall(flashing.partition("| message |")[2])
    found = [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]
    faults = (PROJECT / "docs" / "faults.md").read_text()
    return [*found, *re.findall(r"`(waiting [^`]+)`", faults)]


def test_documents_quote_messages() -> None:
    assert len(quoted()) >= 15


@pytest.mark.parametrize("message", quoted())
def test_the_code_prints_it(message: str) -> None:
    assert printed(message.removesuffix(" ...")), message


def test_a_message_that_is_not_printed_is_found() -> None:
    assert printed("the board on X crashed")
    assert not printed("the board on X exploded")
