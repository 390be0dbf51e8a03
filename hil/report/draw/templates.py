# SPDX-License-Identifier: Apache-2.0
"""The one Jinja environment that every page, drawing and Markdown file is made with."""

from __future__ import annotations

from jinja2 import (
    ChoiceLoader,
    Environment,
    PackageLoader,
    StrictUndefined,
    pass_eval_context,
    select_autoescape,
)
from jinja2.nodes import EvalContext
from markupsafe import Markup

from hil.core.text import clean, visible
from hil.report.draw.chart import HUES, PALETTE
from hil.report.draw.layout import shortened, widest, wrapped
from hil.report.text import count, escape


def environment(*packages: str) -> Environment:
    """Templates from the ``templates`` folders of ``packages``; the first that has a name wins.

    Every printed string loses its control characters. Templates named ``*.md.j2`` are Markdown:
    they print strings as they are and escape those that they did not choose with ``| md``. Every
    other template is HTML, SVG or CSS: printed strings are escaped and put on one line, unless
    they are Markup. A name that was not passed is an error, never an empty string.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=select_autoescape(disabled_extensions=("md.j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_printed,
    )
    made.globals |= {"palette": PALETTE, "hues": HUES}
    made.filters |= {
        "clean": clean,
        "count": count,
        "md": escape,
        # in drawings: text that fits a number of pixels
        "fit": lambda text, room, **how: shortened(clean(text), room, **how),
        "wrap": lambda text, room, **how: wrapped(clean(text), room, **how),
        "widest": lambda texts, **how: widest(map(clean, texts), **how),
    }
    return made


@pass_eval_context
def _printed(context: EvalContext, value: object) -> object:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    # Markdown macros return plain strings of several lines
    return clean(value) if context.autoescape else visible(value)
