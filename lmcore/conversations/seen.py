"""Which of a user's own conversations a model was made with: by digest and side, without their text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from lmcore.conversations.records import Record, read_side
from lmcore.corpus.ledger import SIDES
from lmcore.lineage import digest_of

FILE = "own_conversations.json"


def own_records(conversations: Path, side: str) -> dict[str, Record]:
    """The own conversations of a side by the digest of what was asked; an id hangs on the place in a file.

    Those that were made from documents go by their documents, and are not among them.
    """
    own = (record for record in read_side(conversations, side) if record.document == record.id)
    return {digest_of(record.prompt): record for record in own}


def write_seen_conversations(conversations: Path, out: Path) -> None:
    """Write the digests of the own conversations by side."""
    sides = {side: sorted(own_records(conversations, side)) for side in SIDES}
    (out / FILE).write_text(json.dumps(sides, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_seen_conversations(folder: Path) -> Mapping[str, set[str]]:
    """What `write_seen_conversations` wrote.

    Raises:
        ValueError: there is no such file, or it is damaged.
    """
    try:
        sides: dict[str, list[str]] = json.loads((folder / FILE).read_bytes())
        return {side: set(sides[side]) for side in SIDES}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder} has no readable {FILE}, so nobody knows what its model saw") from error
