"""The page of a verdict: may the challenger take the champion's place, and what says so.

It lies in the verdict's `log/`, beside what the digest covers: whoever mends a word of the page judges
nothing anew. No document is quoted on it, only named.

view.py        everything that is on it
checks.py      each condition as a question with its answer
documents.py   which documents got better and worse
looks.py       how much of the test set's error rate is spent
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.report.templating import environment
from tasks.report.verdict.view import Judged, gather, view_of

PAGE = Path("log") / "verdict.html"
"""In a verdict's folder."""
__all__ = ["PAGE", "Judged", "render", "write_verdict", "written_verdict"]


def render(judged: Judged) -> str:
    """The page as HTML; every text from outside is escaped."""
    return environment().get_template("verdict.jinja").render(view=view_of(judged))


def write_verdict(
    product: Path, *, settings: Mapping[str, Any], registration: Path, version: int | None, when: str
) -> Path:
    """Write the page of a verdict into its folder.

    Args:
        settings: of the gate.
        registration: the folder that knows which documents the challenger saw, `documents.parquet`.
        version: the challenger's number.
        when: the verdict was made, ISO 8601.
    """
    page = product / PAGE
    page.parent.mkdir(exist_ok=True)
    text = render(gather(product, settings=settings, registration=registration, version=version, when=when))
    page.write_text(text, encoding="utf-8")
    return page


def written_verdict(workspace: Path, product: Path) -> Path:
    """The page of a finished verdict: as it was written, or, where it is lost, once more.

    Raises:
        OSError, ValueError: the verdict does not read.
    """
    if (product / PAGE).is_file():
        return product / PAGE
    from lmcore.lineage import read_manifest
    from tasks.tracking.versions import versions

    manifest = read_manifest(product)
    challenger = manifest.inputs["challenger"]["address"]
    digest = _digest(product)
    version = next((each.version for each in versions(workspace) if each.digest == digest), None)
    return write_verdict(
        product,
        settings=manifest.key_document["settings"]["settings"],
        registration=workspace / challenger,
        version=version,
        when=manifest.provenance.get("finished", ""),
    )


def _digest(product: Path) -> str:
    import json

    return str(json.loads((product / "verdict.json").read_text(encoding="utf-8"))["challenger"]["digest"])
