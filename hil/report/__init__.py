"""Reports from a stored run, nothing else: ``results/<run-id>/`` -> report.md and report.html."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hil.errors import StorageError
from hil.report.document import document
from hil.report.load import load
from hil.report.markdown import markdown
from hil.report.page import page


@dataclass(frozen=True, slots=True)
class Report:
    """Where a report was written."""

    markdown: Path
    html: Path


def write(run_dir: Path) -> Report:
    """Write ``report.md`` and ``report.html`` into a stored run's folder, each as a whole.

    The same stored run gives the same bytes. StorageError when the folder is missing, corrupt or
    of another schema, or cannot be written; earlier reports are then left as they were.
    """
    found = document(load(run_dir))
    report = Report(run_dir / "report.md", run_dir / "report.html")
    texts = markdown(found), page(found)  # both made before either is written
    _replace(report.markdown, texts[0])
    _replace(report.html, texts[1])
    return report


def _replace(path: Path, text: str) -> None:
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            "wb", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            # a page may hold what UTF-8 cannot: half a surrogate pair from a file name
            file.write(text.encode("utf-8", "replace"))
        # NamedTemporaryFile makes files that only their owner can read
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise StorageError(
            f"{path} cannot be written ({error.strerror})",
            "free some space or give a folder that can be written, then run hil report again",
        ) from error
