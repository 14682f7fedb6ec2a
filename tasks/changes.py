"""What the sources hold that the champion was not trained on, and whether that is enough to train again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lmcore.lineage import Facts
from tasks.artifacts import Changes, Conversations, Corpus
from tasks.engine.artifact import Artifact
from tasks.engine.step import Build, Forecast, step
from tasks.settings import WatchConfig
from tasks.words import count

if TYPE_CHECKING:
    from lmcore.corpus.changes import Change, Kind
    from tasks.tracking.versions import Registered

ENTRY = "changes.json"
MOST_TOLD = 50
"""Documents that are named one by one; all of them are counted."""
MOST_FILES = 20
"""Files that are."""


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["corpus"].size
    return Forecast(seconds=0.3 + size / 1e8, memory=5e7 + size / 10, disk=2e4)


def _champions(workspace: Path, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    from tasks.tracking.registrar import champion_of

    models = filter(None, (arguments["model"], arguments["assistant"]))
    found = {model: champion_of(workspace, model) for model in models}
    return {model: champion and f"v{champion.version} {champion.digest}" for model, champion in found.items()}


@step(makes=Changes, forecast=_forecast, sees=_champions)
def compare_data(
    build: Build,
    corpus: Corpus,
    conversations: Sequence[Conversations],
    model: str,
    assistant: str | None,
    settings: WatchConfig,
    *,
    name: str,
) -> Facts:
    """Compare the corpus, document by document, with what the champion of `model` saw of it.

    A user's own conversations, where the experiment has some, with what that of `assistant` saw.
    """
    from lmcore.batching.seen import data_digest, read_seen
    from lmcore.corpus.changes import KINDS, compare_documents
    from tasks.tracking.registrar import champion_of

    now = _documents(build.path(corpus))
    champion = champion_of(build.workspace_root, model)
    before = read_seen(champion.home) if champion else []
    changes = compare_documents(before, now)
    counts = Counter(change.kind for change in changes)
    documents = Compared(model, champion, "document", len(before), {kind: counts[kind] for kind in KINDS})
    data, compared = [document.digest for document in now], [documents]
    if assistant:
        own, asked = _conversations(build, conversations[0], assistant)
        data, compared = [*data, *own], [documents, asked]
    entry: dict[str, Any] = {
        "model": model,
        "champion": champion and champion.version,
        "trains": assistant or model,
        "data": data_digest(data),
        "files": _files(build.workspace_root, [corpus, *conversations], [each.champion for each in compared]),
        **{f"{each.what}s": each.counts for each in compared},
        "is_enough": any(each.is_enough(settings) for each in compared),
        "by_source": _by_source(changes),
        "examples": [change._asdict() for change in changes[:MOST_TOLD]],
        "sentence": "; ".join(each.sentence(settings) for each in compared),
    }
    (build.folder / ENTRY).write_text(json.dumps(entry, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    for line in entry["files"][:MOST_FILES]:
        build.say(line)
    if (more := len(entry["files"]) - MOST_FILES) > 0:
        build.say(f"... and {more:,} more")
    return {**entry["documents"], "is_enough": int(entry["is_enough"]), "sentence": entry["sentence"]}


class Compared(NamedTuple):
    """What is otherwise than the champion of a model saw it."""

    model: str
    champion: Registered | None
    what: str
    """`document` or `conversation`."""
    before: int
    """How many it saw."""
    counts: Mapping[Kind, int]
    """How many are new, changed or gone."""

    def is_enough(self, settings: WatchConfig) -> bool:
        """Whether that is a reason to train again."""
        total = sum(self.counts.values())
        return total > 0 and total >= min(settings.documents, settings.share * max(1, self.before))

    def sentence(self, settings: WatchConfig) -> str:
        """The same in words."""
        if self.champion is None:
            return f"{self.model} has no champion yet to compare with"
        who, before, total = f"{self.model} v{self.champion.version}", self.before, sum(self.counts.values())
        if not total:
            return f"nothing changed since {who}, which saw {count(before, self.what)}"
        told = ", ".join(f"{number:,} {kind}" for kind, number in self.counts.items() if number)
        limit = f"{count(settings.documents, self.what)} or {settings.share:.0%}"
        enough = f"{'enough' if self.is_enough(settings) else 'too little'} to train again ({limit})"
        return f"since {who}, of {count(before, self.what)}: {told}, {total / max(1, before):.1%}; {enough}"


def _conversations(build: Build, conversations: Conversations, model: str) -> tuple[list[str], Compared]:
    """Digests of the own conversations that there are, and what the champion of `model` saw of them."""
    from lmcore.conversations.seen import compare_conversations, own_digests, read_seen_conversations
    from tasks.tracking.registrar import champion_of

    now = own_digests(build.path(conversations))
    champion = champion_of(build.workspace_root, model)
    seen = read_seen_conversations(champion.home) if champion else {}
    before = sum(map(len, seen.values()))
    return [*now.values()], Compared(
        model, champion, "conversation", before, compare_conversations(seen, now)
    )


def _documents(corpus: Path) -> list[Any]:
    """All documents of a corpus, without their text."""
    from lmcore.corpus.document import Document, read
    from lmcore.corpus.ledger import SIDES

    wanted = ("id", "source", "file", "line", "title", "digest")
    return [each for side in SIDES for each in read(corpus / f"{side}.parquet", Document, wanted)]


def _files(
    workspace: Path, products: Sequence[Artifact], champions: Sequence[Registered | None]
) -> list[str]:
    """Which files of which source are new, changed or gone; a source that is new, or no source any more."""
    from tasks.engine.reasons import changed_files
    from tasks.lineage import as_json, trace

    now = _sources(as_json(trace(workspace, product)) for product in products)
    records = [champion.home / "lineage.json" for champion in champions if champion]
    before = _sources(record.read_text(encoding="utf-8") for record in records)
    lines = []
    for source in sorted(now.keys() | before.keys()):
        if source not in before:
            lines.append(f"{source}: a new source, {count(len(now[source]), 'file')}")
        elif source not in now:
            lines.append(f"{source}: no source any more, {count(len(before[source]), 'file')}")
        else:
            lines += [f"{source}: {told}" for told in changed_files(before[source], now[source])]
    return lines


def _sources(records: Iterable[str]) -> dict[str, dict[str, str]]:
    """The files of each source in some lineages, with their SHA-256; its folder may have been moved."""
    found: dict[str, dict[str, str]] = {}
    for record in records:
        for node in json.loads(record)["products"].values():
            if "files" in node:
                found.setdefault(node["name"], {}).update(node["files"])
    return found


def _by_source(changes: Sequence[Change]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for change in changes:
        counts.setdefault(change.source, Counter())[change.kind] += 1
    return {source: dict(counted) for source, counted in sorted(counts.items())}
