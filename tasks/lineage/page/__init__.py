"""The page of a model's origin: one file of HTML that asks nothing of the network.

view.py       everything that is on it
findings.py   what can be relied on, and what to look at, in sentences
cards.py      each product and each source in full
templates/    how it looks; what looks alike comes from the page of a run
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.lineage.graph import Node
from tasks.lineage.page.view import About, view_of

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["About", "render"]
TEMPLATES = Path(__file__).with_name("templates")
RUN_TEMPLATES = Path(__file__).parents[2] / "report" / "templates"


def render(root: Node, about: About) -> str:
    """The page as HTML; every text from outside is escaped."""
    script = (TEMPLATES / "lineage.js.jinja").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = _environment().get_template("lineage.jinja")
    return page.render(view=view_of(root, about), script=script, script_digest=digest)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([TEMPLATES, RUN_TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
