"""A card and the gate's verdict into MLflow: files beside the model, pages of its run, words on its page."""

from __future__ import annotations

from pathlib import Path

from tasks.card.facts import CardFacts, gather
from tasks.card.markdown import cell
from tasks.card.text import body, card, summary
from tasks.engine.workspace import Workspace
from tasks.tracking.versions import Registered

CARD, VERDICT, LINEAGE = "README.md", "verdict.html", "lineage.html"
"""Files beside a registered model."""


def publish(workspace: Path, name: str, version: int) -> None:
    """Write what is known of a version now where those look who open it in MLflow; again: the same.

    Raises:
        TrackingError: there is no such version.
    """
    from tasks.tracking.describing import attach, put_first
    from tasks.tracking.pages import show_page
    from tasks.tracking.registrar import the_version

    found = the_version(workspace, name, version)
    facts = gather(Workspace(workspace), found)
    page = _verdict_page(workspace, facts)
    attach(found, {CARD: card(facts), **({VERDICT: page} if page else {})})
    card_link = show_page(workspace, found.run_id, "card", name, body(facts), ".md")
    page_link = show_page(workspace, found.run_id, "verdict", name, page) if page else None
    if facts.forgotten:
        lineage = _lineage_page(found, facts)
        attach(found, {LINEAGE: lineage})
        show_page(workspace, found.run_id, "lineage", name, lineage)
    put_first(workspace, name, version, _words(facts, card_link, page_link))


def is_published(version: Registered, report: Path | None = None) -> bool:
    """Whether its card lies beside a version, and, with the folder of a verdict, the page of that too.

    A kill may have come between the version and its card. Of a verdict that is gone no page can be written.
    """
    if report and (report / "verdict.json").is_file() and not (version.home / VERDICT).is_file():
        return False
    return (version.home / CARD).is_file()


def _lineage_page(version: Registered, facts: CardFacts) -> str:
    """Where it comes from, with what was forgotten of that."""
    from tasks.lineage.page import About, render

    about = About(
        facts.title, is_registered=True, scores=version.scores, why=version.tags.get("lm.why", ""),
        forgotten=facts.forgotten,
    )  # fmt: skip
    return render(facts.root, about)


def _verdict_page(workspace: Path, facts: CardFacts) -> str | None:
    """The page of the last verdict on it; None where there is none, or its numbers are gone."""
    from tasks.report.verdict import written_verdict

    if facts.verdict is None or not facts.verdict.address:
        return None
    try:
        return written_verdict(workspace, workspace / facts.verdict.address).read_text(encoding="utf-8")
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _words(facts: CardFacts, card_link: str | None, page_link: str | None) -> str:
    """Markdown for the top of the version's page."""
    lines = []
    if facts.forgotten:
        lines.append(f"**It saw what was forgotten since**: {cell(facts.forgotten)}.")
    if verdict := facts.verdict:
        page = f" [Why, on one page]({page_link})." if page_link else ""
        beside = f", beside v{verdict.champion}" if verdict.champion else ""
        said = f"**The gate said: {verdict.word}** ({verdict.when[:10]}{beside})."
        lines.append(f"{said}{page} {cell(verdict.sentence.removeprefix(f'{verdict.word}: '))}.")
    whole = f"[The model card]({card_link})" if card_link else f"`{CARD}` among the model's artifacts"
    lines.append(f"{summary(facts)} {whole} says what it is for, and what not.")
    return "\n\n".join(lines)
