"""Sources with faults planted in them, and what has to become of every document."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lmcore.chat.conversation import Conversation
from lmcore.conversations.sides import choose_sides

EXPERIMENT = """\
sources:
  - {name: notes, path: texts/notes, licence: my own}
  - {name: rows, path: texts/rows, licence: my own, reader: jsonl}
  - {name: tables, path: texts/tables, licence: my own, reader: parquet}
cleaners: [mojibake, personal_data]
decontaminate: {against: [{name: questions, path: texts/questions, licence: my own, reader: jsonl}]}
own_conversations: [{name: talks, path: texts/talks, licence: my own}]
split: {validation_share: 0.1, test_share: 0.1}
tokenizer: {vocab_size: 300}
"""
CLEANERS = ("mojibake", "personal_data")
SHINGLE, JACCARD = 5, 0.8
NUM_CHANGED = (2, 4, 6, 8, 9, 12, 40)
"""Words that are others in the second text of a pair: J = 0.95, 0.90, 0.86, 0.82, and below the limit 0.796,
0.74, 0.33."""
LEAKED = slice(3, 16)
"""The 13 words of an evaluation item that a note repeats."""
LONGEST, HUGE = 20_000_000, 200_000_000
"""Bytes that a document may have, and those of one line of a file."""
ADDRESS, OTHER_ADDRESS = "ada.lovelace@analytical.co.uk", "Charles@babbage.org"
DIARIES = ("notes/north/diary.txt#1", "notes/south/diary.txt#1")


def prose(seed: str, words: int = 400) -> str:
    """Words that no other seed has, in sentences of ten."""
    draw = random.Random(seed)
    told = ["".join(draw.choices("aeioubdfglmnprst", k=draw.randint(8, 12))) for _ in range(words)]
    return "\n".join(f"{' '.join(told[at : at + 10]).capitalize()}." for at in range(0, words, 10))


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def with_changes(text: str, number: int) -> str:
    """The text with so many words replaced by shorter ones, no two of which fall into one shingle."""
    parts = re.split(r"(\w+)", text)
    for place in range(number):
        parts[2 * (9 * place + SHINGLE) + 1] = f"so{place}"
    return "".join(parts)


def pairs() -> Iterator[tuple[str, str, str]]:
    """A folder's name, and two texts that are more or less alike."""
    for number in NUM_CHANGED:
        first = prose(f"pair {number}")
        yield f"pair_{number:02}", first, with_changes(first, number)


def jaccard(first: str, second: str) -> float:
    """Of the sets of all runs of five words."""
    one, other = (
        {tuple(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)}
        for words in map(words_of, (first, second))
    )
    return len(one & other) / len(one | other)


def stand_in(address: str) -> str:
    """What an address becomes: eight hex digits that follow from it alone."""
    return f"user-{sha256(address.lower().encode()).digest()[4:8].hex()}@example.com"


@dataclass
class Planted:
    """Sources on the disk, and the promise for each document by its id."""

    folder: Path
    kept: dict[str, str] = field(default_factory=dict)
    """The text with which it is to be kept."""
    rejected: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The stage and the rule that are to reject it."""

    def file(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def note(self, name: str, text: str, becomes: str | None = None) -> None:
        """A text file that is in order, and its text after cleaning where that is another one."""
        self.file(f"notes/{name}", text.encode())
        self.kept[f"notes/{name}#1"] = becomes or text

    def fault(self, name: str, content: bytes | str, stage: str, rule: str) -> None:
        """A text file that is to go."""
        self.file(f"notes/{name}", content.encode() if isinstance(content, str) else content)
        self.rejected[f"notes/{name}#1"] = (stage, rule)

    def rows(self, name: str, before: str, line: bytes, behind: str, rule: str) -> None:
        """A JSONL file of two texts with a faulty line between them."""
        first, last = (json.dumps({"text": text}).encode() for text in (before, behind))
        self.file(f"rows/{name}", b"\n".join([first, line, last, b""]))
        self.kept |= {f"rows/{name}#1": before, f"rows/{name}#3": behind}
        self.rejected[f"rows/{name}#2"] = ("ingest", rule)

    def table(self, name: str, columns: dict[str, list[object]]) -> None:
        path = self.folder / "tables" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)


def plant(folder: Path) -> Planted:
    """Fill the sources of the experiment."""
    planted = Planted(folder)
    for number in range(12):
        planted.note(f"plain_{number:02}.txt", prose(f"plain {number}"))
    for id in DIARIES:
        planted.note(id.removeprefix("notes/").removesuffix("#1"), prose(id))
    _plant_likenesses(planted)
    _plant_leaks(planted)
    _plant_talks(planted)
    _plant_addresses(planted)
    _plant_damaged_notes(planted)
    _plant_damaged_rows(planted)
    _plant_wrong_tables(planted)
    return planted


def _plant_likenesses(planted: Planted) -> None:
    copied = prose("plain 3")
    respaced = copied.replace(" ", " \u00a0 ").replace("\n", "\r\n")
    planted.fault("repeated/same.txt", copied, "deduplicate", "exact_duplicate")
    planted.fault("repeated/spaces.txt", respaced, "deduplicate", "exact_duplicate")
    for name, first, second in pairs():
        planted.note(f"{name}/first.txt", first)
        if jaccard(first, second) >= JACCARD:
            planted.fault(f"{name}/second.txt", second, "deduplicate", "near_duplicate")
        else:
            planted.note(f"{name}/second.txt", second)


def _plant_leaks(planted: Planted) -> None:
    items = [prose("question", 40), prose("another question", 40)]
    lines = [json.dumps({"text": item}) for item in items]
    planted.file("questions/test.jsonl", "\n".join(lines).encode())
    words = words_of(items[0])
    planted.fault("leaks/run_of_13.txt", _holding(words[LEAKED]), "decontaminate", "evaluation_ngram")
    planted.fault("leaks/whole.txt", _holding(words), "decontaminate", "evaluation_item")
    planted.note("leaks/run_of_12.txt", _holding(words[20:32]))


def _plant_talks(planted: Planted) -> None:
    """An answer that models are examined on is a leak, one that they learn from is none."""
    talks = [(prose(f"asked {n}", 20), prose(f"answered {n}", 30)) for n in range(60)]
    lines = [json.dumps({"prompt": asked, "completion": answer}) for asked, answer in talks]
    planted.file("talks/talks.jsonl", "\n".join(lines).encode())
    roles = ("user", "assistant")
    turns = [
        [{"role": role, "content": text} for role, text in zip(roles, talk, strict=True)] for talk in talks
    ]
    sides = choose_sides([Conversation.model_validate({"messages": each}) for each in turns], 0.05, 0.05)
    answers = {side: words_of(answer) for side, (_, answer) in zip(sides, talks, strict=True)}
    for side in ("validation", "test"):
        planted.fault(f"leaks/{side}.txt", _holding(answers[side]), "decontaminate", "evaluation_ngram")
    planted.note("leaks/train.txt", _holding(answers["train"]))


def _holding(passage: list[str]) -> str:
    """Prose in which a passage stands in another spelling."""
    spread = " --\n".join(passage).upper()
    return f"{prose(f'before {passage}')}\n{spread}\n{prose(f'behind {passage}')}"


def _plant_addresses(planted: Planted) -> None:
    for name, address in (("mail", ADDRESS), ("reply", ADDRESS), ("other", OTHER_ADDRESS)):
        text = f"Write to {{}} soon.\n{prose(name)}"
        planted.note(f"mails/{name}.txt", text.format(address), text.format(stand_in(address)))


def _plant_damaged_notes(planted: Planted) -> None:
    latin = prose("latin").encode().replace(b"e", b"\xe9", 1)
    planted.fault("damage/latin.txt", latin, "ingest", "not_utf8")
    planted.fault("damage/empty.txt", b"", "ingest", "empty_file")
    packed = gzip.compress(prose("torn").encode())
    planted.fault("damage/torn.txt.gz", packed[: len(packed) // 2], "ingest", "damaged_archive")
    planted.fault("damage/long.txt", b"x" * (LONGEST + 1), "ingest", "too_long")


def _plant_damaged_rows(planted: Planted) -> None:
    planted.rows("latin.jsonl", prose("r1"), b'{"text": "caf\xe9"}', prose("r2"), "not_utf8")
    planted.rows("huge.jsonl", prose("r3"), b'{"text": "' + b"x" * HUGE, prose("r4"), "too_long")
    planted.file("rows/empty.jsonl", b"")
    planted.rejected["rows/empty.jsonl#1"] = ("ingest", "empty_file")


def _plant_wrong_tables(planted: Planted) -> None:
    planted.table("good.parquet", {"text": [prose("table")]})
    planted.kept["tables/good.parquet#1"] = prose("table")
    planted.table("other.parquet", {"body": [prose("body")]})
    planted.rejected["tables/other.parquet#1"] = ("ingest", "missing_field")
    planted.table("numbers.parquet", {"text": [7]})
    planted.rejected["tables/numbers.parquet#1"] = ("ingest", "unreadable_record")
