# SPDX-License-Identifier: Apache-2.0
"""hil/report/draw/templates.py: what a template prints cannot break the page it is on."""

from __future__ import annotations

import pytest
from jinja2 import DictLoader, Environment, UndefinedError
from markupsafe import Markup

from hil.report.draw.templates import environment

HOSTILE = "<b>\x1b[31m\nred\u202e|"


@pytest.fixture
def templates() -> Environment:
    made = environment("hil.report")
    made.loader = DictLoader(
        {
            "x.html.j2": "{{ x }}\n",
            "x.svg.j2": "{{ x }}",
            "x.md.j2": "{% macro two() %}a\nb{% endmacro %}{{ two() }} {{ x }}",
            "escaped.md.j2": "{{ x | md }}",
            "missing.html.j2": "{{ nobody_passed_this }}",
        }
    )
    return made


@pytest.mark.parametrize("name", ["x.html.j2", "x.svg.j2"])
def test_markup_is_escaped_and_on_one_line(templates: Environment, name: str) -> None:
    text = templates.get_template(name).render(x=HOSTILE)
    assert text.rstrip("\n") == "&lt;b&gt;[31m red|"


def test_our_own_markup_is_not_escaped(templates: Environment) -> None:
    assert templates.get_template("x.html.j2").render(x=Markup("<i>\n</i>")) == "<i>\n</i>\n"


def test_markdown_loses_control_characters_and_keeps_the_lines_of_macros(
    templates: Environment,
) -> None:
    assert templates.get_template("x.md.j2").render(x="x\x1b<") == "a\nb x<"
    assert templates.get_template("escaped.md.j2").render(x=HOSTILE) == "&lt;b&gt;\\[31m red\\|"


def test_a_missing_value_is_an_error(templates: Environment) -> None:
    with pytest.raises(UndefinedError, match="nobody_passed_this"):
        templates.get_template("missing.html.j2").render()


def test_a_template_of_another_package_may_be_included() -> None:
    assert "--paper" in environment("hil.compare", "hil.report").get_template("style.css").render()
