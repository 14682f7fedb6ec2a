"""A model's card: what it is, was made from, is worth, cost, and is not for (after Mitchell et al. 2019).

Every sentence comes from a record or says that there is none. The card is Markdown with the front matter of
Hugging Face; it lies beside the registered model as `README.md`.

facts.py         what is known of a registered version, gathered
scores.py        how it was measured, and what it scored
text.py          the card, section by section
markdown.py      texts from outside
front_matter.py  the part for programs
publish.py       into MLflow: files beside the model, pages, the description
"""

from tasks.card.facts import CardFacts, gather
from tasks.card.publish import is_published, publish
from tasks.card.text import card, summary

__all__ = ["CardFacts", "card", "gather", "is_published", "publish", "summary"]
