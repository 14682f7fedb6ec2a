"""Which of a user's own conversations a model was made with: by digests and side, without their text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from lmcore.conversations.records import Record, read_side
from lmcore.corpus.changes import Kind
from lmcore.corpus.ledger import SIDES
from lmcore.lineage import digest_of

FILE = "own_conversations.json"


def own_records(conversations: Path, side: str) -> dict[str, Record]:
    """The own conversations of a side by the digest of what was asked; an id hangs on the place in a file.

    Those that were made from documents go by their documents, and are not among them.
    """
    own = (record for record in read_side(conversations, side) if record.document == record.id)
    return {digest_of(record.prompt): record for record in own}


def own_digests(conversations: Path) -> dict[str, str]:
    """Digest of what was asked -> digest of the whole conversation, of the own ones on all sides."""
    return {
        asked: digest_of(record.messages)
        for side in SIDES
        for asked, record in own_records(conversations, side).items()
    }


def write_seen_conversations(conversations: Path, out: Path) -> None:
    """Write the digests of the own conversations by side: of what was asked, and of the whole."""
    sides = {
        side: {
            asked: digest_of(record.messages) for asked, record in own_records(conversations, side).items()
        }
        for side in SIDES
    }
    (out / FILE).write_text(json.dumps(sides, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_seen_conversations(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """What `write_seen_conversations` wrote; the digest of the whole is "" where a version has not noted it.

    Raises:
        ValueError: there is no such file, or it is damaged.
    """
    try:
        sides: dict[str, list[str] | dict[str, str]] = json.loads((folder / FILE).read_bytes())
        told = {side: sides[side] for side in SIDES}
        return {side: dict.fromkeys(of, "") if isinstance(of, list) else of for side, of in told.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder} has no readable {FILE}, so nobody knows what its model saw") from error


def compare_conversations(seen: Mapping[str, Mapping[str, str]], now: Mapping[str, str]) -> dict[Kind, int]:
    """How many conversations are new, changed (other answers to what was asked) or gone.

    Args:
        seen: as `read_seen_conversations` gives it; empty where there was no model.
        now: as `own_digests` gives it.
    """
    before = {asked: whole for side in seen.values() for asked, whole in side.items()}
    return {
        "new": len(now.keys() - before.keys()),
        "changed": sum(before.get(asked, "") not in ("", whole) for asked, whole in now.items()),
        "gone": len(before.keys() - now.keys()),
    }
