# SPDX-License-Identifier: Apache-2.0
"""Numbers, lists and untrusted strings -> text, for the page, the Markdown and the comparison."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from hil.core.text import clean
from hil.stats import Estimate

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$!])")
UNKNOWN = "unknown"
_NOUNS = {"mnist": "digit", "digits": "digit", "cifar10": "picture", "cifar10-made": "picture"}


def escape(text: str) -> str:
    """A string for Markdown that shows as it is: no markup, HTML, table border or link."""
    line = _SPECIAL.sub(r"\\\1", clean(text))
    # not every renderer lets a backslash stop HTML, and none lets it stop links and mentions
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return line.replace("://", "&#58;//").replace("www.", "www&#46;").replace("@", "&#64;")


def moment(stored: str) -> str:
    """A time of ISO 8601 to the minute: 2026-11-27 01:51 UTC; any other text as it is."""
    try:
        found = datetime.fromisoformat(stored)
    except ValueError:
        return stored
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def count(value: float) -> str:
    """12,345; a fraction, as of the median of two counts, keeps one decimal."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def short(value: float) -> str:
    """12 k, 1.5 M, for the ticks of an axis."""
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{suffix}"
    return f"{value:.4g}"


def size(value: int) -> str:
    """12,345 B."""
    return f"{value:,} B"


def real(value: float) -> str:
    """A real number, to four digits."""
    return f"{value:.4g}".replace("-", "−")


def real_interval(estimate: Estimate) -> str:
    """0.31 to 0.35: the interval of a real number; "no interval" where there are too few
    samples."""
    if not estimate.confidence:
        return "no interval"
    return f"{estimate.low:.3g} to {estimate.high:.3g}".replace("-", "−")


def known(value: int | None) -> str:
    """12,345 B, or "unknown"."""
    return UNKNOWN if value is None else size(value)


def percent(share: float, n: int) -> str:
    """A share of ``n`` as a percentage, with `decimals` digits."""
    return f"{100 * share:.{decimals(n)}f}%"


def decimals(n: int) -> int:
    """Decimal places of a percentage that ``n`` samples justify."""
    return 1 if n <= 1000 else 2


def interval(estimate: Estimate) -> str:
    """95.3–99.0: the interval of a share, in percent."""
    places = decimals(estimate.n)
    return f"{100 * estimate.low:.{places}f}–{100 * estimate.high:.{places}f}"


def points(share: float, n: int) -> str:
    """A signed difference of shares in percentage points."""
    text = f"{100 * share:+.{decimals(n)}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def plural(n: int, one: str, many: str = "") -> str:
    """1 digit, 2 digits."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def listed(words: Sequence[str]) -> str:
    """a, b and c."""
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


def magnitude(value: float) -> str:
    """A difference of outputs: 1, 3.1e-05, or "not finite"."""
    if value >= 3e38:
        return "not finite"
    return f"{value:.0f}" if value.is_integer() else f"{value:.2g}"


def per_inference(unit: str) -> str:
    """A clock's unit as text: instructions or µs."""
    return {"instructions": "instructions", "us": "µs"}.get(unit, unit)


def noun(dataset: str) -> str:
    """What a sample of a data set is called: digit, picture, otherwise sample."""
    return _NOUNS.get(dataset, "sample")
