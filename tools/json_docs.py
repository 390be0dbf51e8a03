# SPDX-License-Identifier: Apache-2.0
"""Writes docs/json.md and docs/json.schema.json from the records that `--json` prints.

python -m tools.json_docs
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from hil.api import records, records_mlperf
from hil.cli.output import RECORDS
from hil.compare import records as compared
from tools import PROJECT

PAGE: Final = PROJECT / "docs" / "json.md"
SCHEMAS: Final = PROJECT / "docs" / "json.schema.json"
_HEAD: Final = """\
# JSON for scripts and agents

<!-- Made by python -m tools.json_docs from the records in hil/api/records*.py. -->

With `--json`, a command prints one JSON record to stdout and nothing else there. Progress and notes
go to stderr; `--quiet` turns them off. Both are options of the commands below.

<!-- not run: needs boards -->
```console
$ hil bench --model my.tflite --data my.npz --json --quiet > bench.json
$ hil compare results/base results/new --json | jq .sentence
```

- **Exit codes** are the same as without `--json`: 0 success; 1 a result is not as expected, and the
  record says which; 2 usage or environment; 130 Ctrl-C.
- **Errors**: instead of the command's record, stdout has an [ErrorOutput](#erroroutput). Stdout is
  empty only after a fault in `hil` itself: exit code 1, and a traceback on stderr.
- **Versions**: `schema` counts up when a field is removed or changes its meaning. Fields are added
  without that, so ignore fields that you do not know.
- **Strings** may come from boards and files. Treat them as untrusted text.
- `null` stands for what is not known or does not apply, never 0.

`docs/json.schema.json` has the JSON Schema (2020-12) of all records. In Python, `hil.bench` and the
other functions return the same figures as DataFrames: [Python](python-api.md).

| command | record |
|---|---|
"""


def outputs() -> dict[str, type]:
    """The records by name: those of commands, and of an error."""
    names = [*dict.fromkeys(RECORDS.values()), "ErrorOutput"]
    found = vars(compared) | vars(records_mlperf) | vars(records)
    return {name: found[name] for name in names}


def schemas() -> bytes:
    """The JSON Schema of all records."""
    found = outputs()
    refs, components = msgspec.json.schema_components(found.values(), ref_template="#/$defs/{name}")
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What the commands of hil print with --json",
        "oneOf": list(refs),
        "$defs": components,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def page() -> str:
    """The page, in Markdown."""
    return _HEAD + "".join(_page())


def _page() -> Iterator[str]:
    found = outputs()
    for command, name in RECORDS.items():
        yield f"| `hil {command}` | [{name}](#{name.lower()}) |\n"
    _, components = msgspec.json.schema_components(found.values())
    kinds = _kinds(found.values())
    parts = {name for name, one in components.items() if "properties" in one}
    for name in [*found, *sorted(parts - found.keys())]:
        yield f"\n## {name}\n{_prose(kinds[name])}\n\n| field | type |\n|---|---|\n"
        for key, field in components[name].get("properties", {}).items():
            yield f"| `{key}` | {_type(field, components)} |\n"


def _kinds(roots: Any) -> dict[str, type]:
    """All structs that the records consist of, by name."""
    found: dict[str, type] = {}
    waiting = [msgspec.inspect.type_info(one) for one in roots]
    while waiting:
        one = waiting.pop()
        if isinstance(one, msgspec.inspect.StructType) and one.cls.__name__ not in found:
            found[one.cls.__name__] = one.cls
            waiting += [field.type for field in one.fields]
        for name in ("types", "item_types"):
            waiting += getattr(one, name, ())
        for name in ("item_type", "key_type", "value_type"):
            if hasattr(one, name):
                waiting.append(getattr(one, name))
    return found


def _prose(kind: type) -> str:
    """The docstring as Markdown."""
    text = inspect.cleandoc(kind.__doc__ or "") if "__doc__" in vars(kind) else ""
    text = re.sub(r"``(.*?)``", r"`\1`", text)
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def _type(field: dict[str, Any], components: dict[str, Any]) -> str:
    """A field's type in words."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        if "enum" in components[name]:
            return _type(components[name], components)
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_type(one, components) for one in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{one}`" if one else '`""`' for one in field["enum"])
    kind = field.get("type", "any")
    if kind == "array":
        return f"list of {_type(field['items'], components)}" if field.get("items") else "list"
    if kind == "object" and "additionalProperties" in field:
        return f"by name: {_type(field['additionalProperties'], components)}"
    return str(kind)


def main() -> None:
    """Write both files."""
    PAGE.write_text(page(), "utf-8")
    SCHEMAS.write_bytes(schemas())


if __name__ == "__main__":
    main()
