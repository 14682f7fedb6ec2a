"""The gate: a challenger beside the champion that serves, on documents that neither has learned from."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.evaluate.settings import ExamConfig, GateConfig
from lmcore.lineage import Facts
from lmcore.runtime import usable_cores
from tasks.artifacts import Checkpoint, Conversations, Corpus, Registration, Verdict
from tasks.engine.step import Build, Forecast, step
from tasks.who import who

if TYPE_CHECKING:
    from tasks.tracking.journal import Entry, Journal
    from tasks.tracking.versions import Registered

ENTRY = "verdict.json"
CHAMPION = "champion"
SIDE = "test"
LEARNED_FROM = ("train", "validation")
"""Sides that a model was made from: the one taught it, the other chose it."""
TOLD = {"promote": "better", "keep": "worse", "cannot tell": "cannot tell"}
"""What the word comes to for the challenger."""
SAMPLE, DIGITS = 256, 16
"""Of a test set, the documents with the smallest digests and so many digits of each stand in the journal:
enough to tell which share of a later test set is new."""


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["corpus"].size
    return Forecast(seconds=10 + size / 2e5, memory=5e8, disk=1e5)


def _opponent(workspace: Path, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Whom the challenger is judged beside, by content: one verdict a challenger, unless it was overtaken."""
    from tasks.tracking.journal import Journal
    from tasks.tracking.registrar import champion_of
    from tasks.tracking.standing import standing

    entry = _entry(workspace / arguments["challenger"].address)
    lines = Journal(workspace, entry["name"]).entries()
    verdicts = [line.facts for line in lines if line.kind == "verdict"]
    last = next((each for each in reversed(verdicts) if each["challenger"] == entry["digest"]), None)
    now = standing(lines)
    was_released = now.version_of(entry["digest"]) in now.released
    if last and (last["word"] != "promote" or was_released):
        return {CHAMPION: last["champion"]}
    champion = champion_of(workspace, entry["name"])
    return {CHAMPION: champion.digest if champion and champion.digest != entry["digest"] else None}


@step(makes=Verdict, forecast=_forecast, sees=_opponent, cores=lambda _: usable_cores())
def judge_challenger(
    build: Build,
    challenger: Registration,
    corpus: Corpus,
    conversations: Sequence[Conversations],
    exam: ExamConfig,
    settings: GateConfig,
    *,
    name: str,
) -> Facts:
    """Say whether the challenger may take the champion's place, with the numbers behind it.

    Each look at a test set is noted in the model's journal before it is taken: it spends a part of the error
    rate. With conversations the models are examined on their questions, without on the text itself.
    """
    from lmcore.evaluate.challenge import challenge
    from lmcore.evaluate.gate import decide
    from tasks.tracking.journal import Journal

    entry = _entry(build.path(challenger))
    champion = _version(build.workspace_root, entry["name"], build.seen[CHAMPION])
    unseen, older = _held_out(build.path(corpus), build.path(challenger), champion)
    looked_at = unseen
    for each in conversations:
        own, own_older = _own_held_out(build.path(each), champion)
        asked = with_questions(build.path(each), build.path(corpus), unseen | own)
        unseen, older, looked_at = set(asked), (older | own_older) & set(asked), set(asked.values())
    journal, number = Journal(build.workspace_root, entry["name"], who()), 1
    if champion:
        number = _look(journal, entry, champion, looked_at, settings)
        build.say(f"beside v{champion.version}, on {len(unseen):,} documents; look {number} at this test set")
    challenge(
        champion.folder if champion else None,
        build.path(Checkpoint.from_json(entry["model"])),
        build.path(corpus) / f"{SIDE}.parquet",
        unseen, older, build.folder, settings, build.progress,
        conversations=build.path(conversations[0]) if conversations else None,
        exam=exam,
    )  # fmt: skip
    decision = decide(build.folder, settings, number)
    verdict = {
        "model": entry["name"],
        "challenger": {"digest": entry["digest"], "chosen": entry["chosen"]},
        "champion": champion and {"digest": champion.digest, "version": champion.version},
        "looks": settings.looks,
        **decision.document(),
    }
    text = json.dumps(verdict, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (build.folder / ENTRY).write_text(text, encoding="utf-8")
    return {
        "word": decision.word,
        "sentence": decision.sentence,
        "verdict": TOLD[decision.word],
        "documents": decision.documents,
    }


def _entry(registration: Path) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads((registration / "registration.json").read_text(encoding="utf-8"))
    return entry


def _version(workspace: Path, name: str, digest: str | None) -> Registered | None:
    """The version of a digest, with its files.

    Raises:
        ValueError: the registry has lost it.
    """
    from tasks.tracking.versions import versions

    if digest is None:
        return None
    found = next((each for each in versions(workspace, name) if each.digest == digest), None)
    if found is None or not found.folder.is_dir():
        raise ValueError(f"the files of {name}'s champion are gone; lm doctor --fix brings them back")
    return found


def _held_out(corpus: Path, challenger: Path, champion: Registered | None) -> tuple[set[str], set[str]]:
    """Digests of the documents that neither model learned from, and those of them that are older than the
    challenger: held out when the champion was made already.

    Raises:
        ValueError: nobody knows what the champion saw.
    """
    from lmcore.batching.seen import read_seen
    from lmcore.corpus.document import Document, read

    seen = read_seen(champion.home) if champion else []
    learned = {each.digest for each in (*seen, *read_seen(challenger)) if each.side in LEARNED_FROM}
    found = {each.digest for each in read(corpus / f"{SIDE}.parquet", Document, ("id", "digest"))} - learned
    return found, {each.digest for each in seen if each.side == SIDE} & found


def _own_held_out(conversations: Path, champion: Registered | None) -> tuple[set[str], set[str]]:
    """The same of a user's own conversations, by their ids."""
    from lmcore.conversations.seen import own_records, read_seen_conversations

    asked = own_records(conversations, SIDE)
    seen = read_seen_conversations(champion.home) if champion and asked else {}
    learned = {digest for side in LEARNED_FROM for digest in seen.get(side, ())}
    unseen = {record.id for digest, record in asked.items() if digest not in learned}
    return unseen, {record.id for digest, record in asked.items() if digest in seen.get(SIDE, ())} & unseen


def with_questions(conversations: Path, corpus: Path, unseen: Collection[str]) -> dict[str, str]:
    """Those of the unseen that there are questions on, with the digest that each goes by in the journal: of
    a document, or of what an own conversation asks, whose id would be another one in another place.
    """
    from lmcore.conversations.seen import own_records
    from lmcore.corpus.document import Document, read
    from lmcore.evaluate.challenge_marks import MarkedQuestions

    names = {each.id: each.digest for each in read(corpus / f"{SIDE}.parquet", Document, ("id", "digest"))}
    own = {record.id: digest for digest, record in own_records(conversations, SIDE).items()}
    questions = MarkedQuestions(conversations, SIDE, unseen, names)
    return {name: own.get(name, name) for name in questions.sources}


def _look(
    journal: Journal,
    entry: Mapping[str, Any],
    champion: Registered,
    documents: Collection[str],
    settings: GateConfig,
) -> int:
    """Note a look at a test set, once, and say the how many-th it is."""
    from lmcore.batching.seen import data_digest
    from tasks.tracking.journal import holding

    facts = {
        "challenger": entry["digest"],
        "champion": champion.digest,
        "documents": len(documents),
        "test_set": data_digest(documents),
    }
    with holding(journal.workspace):
        looks = [line for line in journal.entries() if line.kind == "look"]
        for line in looks:
            if all(line.facts[name] == value for name, value in facts.items()):
                return int(line.facts["number"])
        number = 1 if _is_new(looks, documents) else looks[-1].facts["number"] + 1
        if number == 1:
            facts["sample"] = _sample(documents)
        journal.append("look", **facts, number=number, error_rate=settings.error_per_look)
    return int(number)


def _is_new(looks: Sequence[Entry], documents: Collection[str]) -> bool:
    """Whether the looks are counted anew: more than half of the documents are not of the first look's."""
    from lmcore.evaluate.gate import begins_anew

    first = next((line for line in reversed(looks) if "sample" in line.facts), None)
    if first is None:
        return True
    known = set(first.facts["sample"])
    shortened = {digest[:DIGITS] for digest in documents}
    # Where only a sample is known, the same stretch of digests is compared.
    if first.facts["documents"] > len(known):
        shortened = {digest for digest in shortened if digest <= max(known)}
    return begins_anew(known, shortened)


def _sample(documents: Collection[str]) -> list[str]:
    return sorted(digest[:DIGITS] for digest in documents)[:SAMPLE]
