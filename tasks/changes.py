"""What the sources hold that the champion was not trained on, and whether that is enough to train again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.lineage import Facts
from tasks.artifacts import Changes, Corpus
from tasks.engine.step import Build, Forecast, step
from tasks.settings import WatchConfig

if TYPE_CHECKING:
    from lmcore.corpus.changes import Change
    from tasks.tracking.versions import Registered

ENTRY = "changes.json"
CHAMPION = "champion"
MOST_TOLD = 50
"""Documents that are named one by one; all of them are counted."""


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["corpus"].size
    return Forecast(seconds=0.3 + size / 1e8, memory=5e7 + size / 10, disk=2e4)


def _champion(workspace: Path, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    from tasks.tracking.versions import registered

    found = registered(workspace, arguments["model"], CHAMPION)
    return {"champion": found and f"v{found.version} {found.digest}"}


@step(makes=Changes, forecast=_forecast, sees=_champion)
def compare_data(build: Build, corpus: Corpus, model: str, settings: WatchConfig, *, name: str) -> Facts:
    """Compare the corpus, document by document, with what the champion of `model` saw of it."""
    from lmcore.batching.seen import data_digest, read_seen
    from lmcore.corpus.changes import KINDS, compare_documents
    from tasks.tracking.versions import registered

    now = _documents(build.path(corpus))
    champion = registered(build.workspace_root, model, CHAMPION)
    before = read_seen(champion.home) if champion else []
    changes = compare_documents(before, now)
    counts = Counter(change.kind for change in changes)
    is_enough = len(changes) >= min(settings.documents, settings.share * max(1, len(before)))
    entry: dict[str, Any] = {
        "model": model,
        "champion": champion and champion.version,
        "data": data_digest(document.digest for document in now),
        "files": _files(build.workspace_root, corpus, champion),
        "documents": {kind: counts[kind] for kind in KINDS},
        "before": len(before),
        "is_enough": is_enough and bool(changes),
        "by_source": _by_source(changes),
        "examples": [change._asdict() for change in changes[:MOST_TOLD]],
    }
    entry["sentence"] = _sentence(entry, settings)
    (build.folder / ENTRY).write_text(json.dumps(entry, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    for line in entry["files"][:MOST_TOLD]:
        build.say(line)
    build.say(entry["sentence"])
    return {**entry["documents"], "is_enough": int(entry["is_enough"]), "sentence": entry["sentence"]}


def _documents(corpus: Path) -> list[Any]:
    """All documents of a corpus, without their text."""
    from lmcore.corpus.document import Document, read
    from lmcore.corpus.ledger import SIDES

    wanted = ("id", "source", "file", "line", "title", "digest")
    return [each for side in SIDES for each in read(corpus / f"{side}.parquet", Document, wanted)]


def _files(workspace: Path, corpus: Corpus, champion: Registered | None) -> list[str]:
    """Which files of which source are new, changed or gone; a source that is new, or no source any more."""
    from tasks.engine.reasons import changed_files
    from tasks.lineage import as_json, trace

    now = _sources(as_json(trace(workspace, corpus)))
    before = _sources((champion.home / "lineage.json").read_text(encoding="utf-8")) if champion else {}
    return [
        f"{source}: {told}"
        for source in sorted(now.keys() | before.keys())
        for told in changed_files(before.get(source, {}), now.get(source, {}))
    ]


def _sources(record: str) -> dict[str, dict[str, str]]:
    """The files of each source in a lineage, with their SHA-256."""
    products = json.loads(record)["products"]
    return {name: node["files"] for name, node in products.items() if "files" in node}


def _by_source(changes: Sequence[Change]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for change in changes:
        counts.setdefault(change.source, Counter())[change.kind] += 1
    return {source: dict(counted) for source, counted in sorted(counts.items())}


def _sentence(entry: Mapping[str, Any], settings: WatchConfig) -> str:
    if entry["champion"] is None:
        return f"{entry['model']} has no champion yet to compare with"
    who, counts, before = f"{entry['model']} v{entry['champion']}", entry["documents"], entry["before"]
    if not any(counts.values()):
        return f"nothing changed since {who}, which saw {before:,} documents"
    total = sum(counts.values())
    told = ", ".join(f"{number:,} {kind}" for kind, number in counts.items() if number)
    limit = f"{settings.documents:,} documents or {settings.share:.0%}"
    enough = f"{'enough' if entry['is_enough'] else 'too little'} to train again ({limit})"
    return f"since {who}, of {before:,} documents: {told}, {total / max(1, before):.1%}; {enough}"
