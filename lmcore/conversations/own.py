"""The user's own conversations on their sides, and those held out, as items to look for in a corpus."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lmcore.chat.conversation import Conversation
from lmcore.config import SettingsError
from lmcore.conversations.read import read_conversations
from lmcore.conversations.records import Record
from lmcore.conversations.settings import ConversationsConfig
from lmcore.conversations.sides import choose_sides, content_digest
from lmcore.conversations.works import ENDING
from lmcore.corpus.document import Document, digest_of, write
from lmcore.corpus.ledger import SIDES, Side
from lmcore.lineage import Facts

Sides = dict[Side, list[Record]]


def own_name(path: Path) -> str:
    """What the exercise of an own file is called: as the file, in letters that any tool takes."""
    return re.sub(r"[^A-Za-z0-9]+", "_", ENDING.sub("", path.name)).strip("_").lower() or "own"


def read_own(path: Path, settings: ConversationsConfig) -> tuple[Sides, int]:
    """The conversations of an own file, each once, on the sides that their content decides; and how many
    were read.

    Raises:
        UnreadableFileError: the file cannot be read; names file and line.
        SettingsError: no conversation is in it.
    """
    distinct: dict[str, Conversation] = {}
    num_read, name = 0, own_name(path)
    for conversation in read_conversations(path, settings.system):
        distinct.setdefault(content_digest(conversation), conversation)
        num_read += 1
    if not distinct:
        raise SettingsError(f"{path}: no conversation in it; fill it, or leave it out")
    sides: Sides = {side: [] for side in SIDES}
    chosen = choose_sides(list(distinct.values()), settings.validation_share, settings.test_share)
    for (digest, conversation), side in zip(distinct.items(), chosen, strict=True):
        own_id = f"{name}/{digest[:16]}"
        record = Record(
            messages=conversation.messages, id=own_id, exercise=name, document=own_id, source=path.name
        )
        sides[side].append(record)
    return sides, num_read


def write_held_out(own: Sequence[Path], out: Path, settings: ConversationsConfig) -> Facts:
    """Write what models are examined on into `documents.parquet`, each question with its answer.

    The bytes depend on the held-out conversations alone: another one to learn from changes nothing.

    Raises:
        UnreadableFileError: an own file cannot be read; names file and line.
        SettingsError: no conversation is in a file.
    """
    items = {}
    for path in own:
        sides, _ = read_own(path, settings)
        for record in (*sides["validation"], *sides["test"]):
            said = (message.content for message in record.messages if message.role != "system")
            text = "\n".join(said)
            items[record.id] = Document(record.id, record.exercise, path.name, 0, "", text, digest_of(text))
    number = write(out / "documents.parquet", Document, (items[id] for id in sorted(items)))
    return {"documents": number}
