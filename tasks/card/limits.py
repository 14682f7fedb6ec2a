"""What a model is not to be trusted with, as far as its records say or are silent."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.card.facts import CardFacts
from tasks.card.markdown import cell
from tasks.words import count

SMALL = 1e9
"""Parameters below which nobody expects a model to know facts."""
FEW = 30
"""Documents of a test below which an interval says little."""


def limits(facts: CardFacts) -> Iterator[str]:
    """Sentences, the gravest first."""
    yield (
        "**Not measured**: whether what it writes is true, harmless or fair. Nothing in its making looked "
        "for that; a person has to read what it writes before others rely on it."
    )
    if facts.forgotten:
        yield (
            f"**Forgotten data**: it saw what was forgotten since ({cell(facts.forgotten)}). Data and "
            "reports hold it no more; weights cannot be searched for it."
        )
    yield from _recital(facts)
    yield "**Language**: not recorded. It knows the languages of its sources, and no other."
    yield from _rights(facts)
    yield from _personal(facts)
    yield from _size(facts)
    yield from _test(facts)
    yield from _doubt(facts)


def _recital(facts: CardFacts) -> Iterator[str]:
    taught = facts.manifests("write_conversations")
    exercises = [
        each for made in taught for each in made.key_document["settings"]["settings"].get("exercises", [])
    ]
    if any(each.get("type") == "recite" for each in exercises):
        yield "**Recites**: it was taught passages of its sources by heart, and may give them out verbatim."
    else:
        yield "**Memory**: like every language model it may repeat passages of its sources word for word."


def _rights(facts: CardFacts) -> Iterator[str]:
    silent = [source.name for source in facts.sources if not source.licence.strip()]
    if silent:
        named = ", ".join(silent)
        yield f"**Licence**: of {named} no licence is stated. Ask before anybody else gets the model."
    else:
        weights = (
            f"the weights are passed on under {cell(facts.licence)}"
            if facts.licence
            else "under which the weights may be used is not stated"
        )
        yield f"**Licence**: each source states one, see below; nobody has checked them here, and {weights}."


def _personal(facts: CardFacts) -> Iterator[str]:
    cleaned = [made.key_document["settings"] for made in facts.manifests("clean_documents")]
    cleaners = [each for settings in cleaned for each in settings.get("cleaners", [])]
    kinds = {kind for each in cleaners if each["type"] == "personal_data" for kind in each["kinds"]}
    if kinds:
        named = ", ".join(kind.replace("_", " ") for kind in sorted(kinds))
        yield f"**Personal data**: replaced by pattern ({named}); nothing else was looked for, such as names."
    else:
        yield "**Personal data**: none was looked for or taken out."


def _size(facts: CardFacts) -> Iterator[str]:
    parameters, context = facts.made.get("parameters"), facts.config.get("max_position_embeddings")
    if isinstance(parameters, int) and parameters < SMALL:
        back = f", and it sees {context:,} tokens at most" if isinstance(context, int) else ""
        yield f"**Size**: {parameters:,} parameters are few{back}. It has style, and hardly any knowledge."


def _test(facts: CardFacts) -> Iterator[str]:
    numbers = [score.number for score in facts.measured.scores if score.number] if facts.measured else []
    if numbers and min(numbers) < FEW:
        what = "question" if facts.is_chat else "document"
        yield f"**Thin test**: the smallest part of it has {count(min(numbers), what)}, which says little."


def _doubt(facts: CardFacts) -> Iterator[str]:
    if facts.measured and "may be noise" in facts.measured.why:
        yield "**Close choice**: its lead over the next candidate may be noise."
