# SPDX-License-Identifier: Apache-2.0
"""Every output format, and strings that could break out of it."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import msgspec
import pytest

from hil.compare import Comparison, compare_stored
from hil.compare.formats import FORMATS, github, json, junit, markdown
from hil.compare.limits import Limits, LimitsFile
from tests.support import reports
from tests.support.compared import run, with_manifest, with_memory

EVIL = "<script>\x00|]]>::error::x%0A\r\n::set-env name=A::b & `x` \x1b[31m"


@pytest.fixture
def worse() -> Comparison:
    """More stack than allowed, less arena, one run lost and one added."""
    base = run(reports.plan("teacher"), reports.plan("student"))
    new = with_memory(run(reports.plan("student"), reports.plan("third")), arena=2_000, stack=2_000)
    return compare_stored(base, new, LimitsFile(runs={"mps2/aot/student/int8": Limits(stack=1)}))


@pytest.fixture
def hostile() -> Comparison:
    plan = reports.plan(toolchain="GCC")
    evil = msgspec.structs.replace(
        plan, toolchain=EVIL, model=EVIL, key=f"mps2/aot/{EVIL}/int8", model_sha256="12" * 32
    )
    new = with_memory(run(evil, run_id=EVIL), stack=9_999)
    return compare_stored(run(plan), new, allow=("model",))


def test_markdown_has_the_problems_first_and_one_table_per_run(worse: Comparison) -> None:
    text = markdown(worse)
    assert text.index("**Regression: 3 problems.") < text.index(
        "- mps2/aot/teacher/int8: missing from"
    )
    assert "| stack | 944 B | 2,000 B | +111.9 % (+1,056 B) | worse, beyond 10 % |" in text
    assert "| arena | 2,544 B | 2,000 B | −21.4 % (−544 B) | better |" in text
    assert "- mps2/aot/student/int8: stack is 2000, limit 1" in text
    assert "- mps2/aot/third/int8 is only in NEW." in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}


def test_json_is_the_comparison(worse: Comparison) -> None:
    assert msgspec.json.decode(json(worse), type=Comparison, strict=True) == worse


def test_junit_counts_failures(worse: Comparison) -> None:
    root = ET.fromstring(junit(worse))
    first, second = root.findall("testsuite")
    assert (first.get("name"), second.get("name")) == ("mps2/aot/student/int8", "runs of BASE")
    failed = [
        case.get("name") for case in root.iter("testcase") if case.find("failure") is not None
    ]
    assert failed == ["stack", "limit 1", "run"]
    assert (first.get("failures"), second.get("failures")) == ("2", "1")
    assert first.get("tests") == str(len(first.findall("testcase")))
    missing = ET.fromstring(junit(compare_stored(run(), with_manifest(run(), ends=()))))
    assert len(missing.findall(".//failure")) == 6


def test_junit_skips_a_run_that_may_be_missing() -> None:
    both = run(reports.plan("teacher"), reports.plan("student"))
    found = compare_stored(both, run(reports.plan("student")), allow_missing=True)
    (suite,) = ET.fromstring(junit(found)).findall("testsuite[@name='runs of BASE']")
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")


def test_github_has_one_annotation_per_problem(worse: Comparison) -> None:
    lines = github(worse).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error"] * 3 + ["::notice"]
    assert "+111.9 %25" in lines[1]


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_contains_control_codes(hostile: Comparison, form: str) -> None:
    text = FORMATS[form](hostile)
    found = text if form != "json" else text.replace("\\u0000", "").replace("\\u001b", "")
    assert "\x00" not in found
    assert "\x1b" not in found
    assert "\r" not in found


def test_no_string_breaks_out_of_its_format(hostile: Comparison) -> None:
    assert "<script>" not in markdown(hostile)
    root = ET.fromstring(junit(hostile))
    assert "<script>" in (root.findall("testsuite")[0].get("name") or "")
    lines = github(hostile).splitlines()
    assert all(re.match(r"::(error|notice) title=hil compare::", line) for line in lines)
    assert len(lines) == len(hostile.problems) + 1
    assert "%0A" not in "".join(lines).replace("%250A", "")
    assert msgspec.json.decode(json(hostile), type=Comparison) == hostile
