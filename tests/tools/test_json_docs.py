# SPDX-License-Identifier: Apache-2.0
"""docs/json.md and docs/json.schema.json are those of the records that commands print."""

from __future__ import annotations

import json

from hil.cli.main import COMMANDS
from hil.cli.output import RECORDS
from tools import json_docs

HOW = "python -m tools.json_docs"
NO_RECORD = {"train", "sweep", "study"}  # of hil_train, whose results are folders


def test_the_page_is_the_one_of_the_records() -> None:
    assert json_docs.PAGE.read_text("utf-8") == json_docs.page(), f"regenerate it: {HOW}"


def test_the_schema_is_the_one_of_the_records() -> None:
    assert json_docs.SCHEMAS.read_bytes() == json_docs.schemas(), f"regenerate it: {HOW}"
    found = json.loads(json_docs.SCHEMAS.read_bytes())
    for one in found["oneOf"]:
        name = one["$ref"].removeprefix("#/$defs/")
        assert "schema" in found["$defs"][name]["properties"]


def test_every_command_that_reports_has_a_record() -> None:
    assert RECORDS.keys() <= COMMANDS.keys()
    assert COMMANDS.keys() - RECORDS.keys() == NO_RECORD


def test_every_type_of_a_record_is_described() -> None:
    page = json_docs.page()
    for name, kind in json_docs._kinds(json_docs.outputs().values()).items():
        assert f"## {name}\n" in page
        assert "any |" not in page
        assert name.startswith("_") is False
        assert kind.__module__.startswith("hil.")
