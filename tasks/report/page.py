"""The page of a run: one file of HTML that asks nothing of the network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks.report.facts import RunFacts
from tasks.report.sections.advice import advice
from tasks.report.sections.comparison import comparison
from tasks.report.sections.data import data
from tasks.report.sections.dial import dial
from tasks.report.sections.exam import exam
from tasks.report.sections.gate import gate
from tasks.report.sections.headline import headline
from tasks.report.sections.samples import samples
from tasks.report.sections.scores import scores
from tasks.report.sections.steps import steps
from tasks.report.sections.sweep import sweep
from tasks.report.sections.training import training
from tasks.report.templating import TEMPLATES, environment


@dataclass(frozen=True)
class Section:
    """A part of the page; its template has the name of its function."""

    title: str
    view_of: Callable[[RunFacts], Any]

    @property
    def name(self) -> str:
        return self.view_of.__name__


SECTIONS = (
    Section("The gate", gate),
    Section("Steps", steps),
    Section("The sweep", sweep),
    Section("Learning", training),
    Section("Scores", scores),
    Section("Models beside each other", comparison),
    Section("Along the dial", dial),
    Section("The exam", exam),
    Section("What they write", samples),
    Section("The data", data),
    Section("What to do next", advice),
)
"""In the order of the page; those of which a run has nothing are left out."""


@dataclass(frozen=True)
class Drawn:
    """A section with what it shows, or why it could not be drawn."""

    name: str
    title: str
    view: Any
    fault: str = ""


def render(run: RunFacts) -> str:
    """The page as HTML; every text from outside is escaped.

    A file of a product that does not have the agreed form (a part of the user's own wrote it, say) costs its
    section alone, which then says so.
    """
    drawn = [each for section in SECTIONS if (each := _draw(section, run))]
    top = _draw(Section(run.experiment, headline), run)
    script = (TEMPLATES / "script.js.jinja").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment().get_template("page.jinja")
    return page.render(run=run, top=top, sections=drawn, script=script, script_digest=digest)


def _draw(section: Section, run: RunFacts) -> Drawn | None:
    try:
        view = section.view_of(run)
    except (KeyError, TypeError, ValueError, AttributeError, OSError, AssertionError) as error:
        return Drawn(section.name, section.title, None, f"{type(error).__name__}: {error}")
    return Drawn(section.name, section.title, view) if view else None
