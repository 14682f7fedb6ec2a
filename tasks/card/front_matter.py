"""The part of a card that programs read: Hugging Face's fields, and none that nobody has stated."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tasks.card.facts import CardFacts
from tasks.card.scores import Score

UNSTATED = "not-stated"
KNOWN = {
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0",
    "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0",
    "isc", "openrail", "unlicense",
}  # fmt: skip
"""Licences that Hugging Face knows by these names; of any other it is told the name."""


def front_matter(facts: CardFacts) -> str:
    """YAML between `---`; no language is named, since nobody has recorded one."""
    fields: dict[str, Any] = {
        "model_name": facts.title,
        **_licence(facts.licence),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["lmworks", "llama", *(["conversational"] if facts.is_chat else [])],
        "datasets": [source.name for source in facts.sources],
        "metrics": sorted({_word(score.metric) for score in _scores(facts)}),
    }
    if results := [_result(facts, score) for score in _scores(facts)]:
        fields["model-index"] = [{"name": facts.name, "results": results}]
    fields = {name: value for name, value in fields.items() if value}
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=100)}---\n"


def _licence(stated: str) -> dict[str, str]:
    """Of the weights: the licences of the data do not say it."""
    if (known := stated.lower()) in KNOWN:
        return {"license": known}
    return {"license": "other", "license_name": "-".join(stated.lower().split()) or UNSTATED}


def _scores(facts: CardFacts) -> list[Score]:
    return facts.measured.scores if facts.measured else []


def _result(facts: CardFacts, score: Score) -> dict[str, Any]:
    dataset = score.on if score.on != "all documents" else "test side"
    return {
        "task": {"type": "text-generation"},
        "dataset": {
            "type": _word(f"{facts.name} {dataset}"),
            "name": f"{facts.name}, {dataset}",
            "split": "test",
        },
        "metrics": [{"type": _word(score.metric), "name": score.metric, "value": round(score.value, 6)}],
    }


def _word(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").lower()
