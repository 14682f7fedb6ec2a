"""What came of it, with a caution where the numbers do not compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lmcore.lineage import Manifest
from tasks.lineage.diff.topic import Side, Topic, Word
from tasks.lineage.words import scores_in
from tasks.words import count

TEST = "test.jsonl"


def scores(was: Side, now: Side) -> Topic:
    """Old -> new, on the test side."""
    if not was.scores or not now.scores:
        lacking = was.title if not was.scores else now.title
        return Topic("Scores", "unknown", f"of {lacking} none is on record")
    before, after = ({score.name: score.value for score in scores_in(side.scores)} for side in (was, now))
    details = tuple(_lines(before, after))
    word: Word = "same" if was.scores == now.scores else "changed"
    return Topic("Scores", word, f"on the test side{_caution(was, now)}", details)


def _lines(was: Mapping[str, float], now: Mapping[str, float]) -> Iterator[str]:
    for name in [*now, *(name for name in was if name not in now)]:
        if name not in was:
            yield f"{name} is new: {now[name]:.4g}"
        elif name not in now:
            yield f"{name} is gone (was {was[name]:.4g})"
        else:
            yield f"{name} {was[name]:.4g} -> {now[name]:.4g} ({now[name] - was[name]:+.2g})"


def _caution(was: Side, now: Side) -> str:
    """Two numbers compare only if they were taken on the same documents, or questions."""
    if not was.scores.keys() & now.scores.keys():
        return "; nothing was measured of both"
    if was.taught and now.taught:
        return _on_questions(was.taught, now.taught)
    if was.documents is None or now.documents is None:
        return "; whether on the same documents is not known"
    before, after = (
        {each.digest for each in documents if each.side == "test"}
        for documents in (was.documents, now.documents)
    )
    if before == after:
        return f", the same {count(len(after), 'document')} for both"
    shared = f"{len(before):,} and {len(after):,}, of which {len(before & after):,} are the same"
    return f"; they were taken on other documents ({shared}), so they do not compare"


def _on_questions(was: Manifest, now: Manifest) -> str:
    """What models that answer are examined on is a file of its own."""
    before, after = (made.files[TEST].sha256 if TEST in made.files else None for made in (was, now))
    one, other = (int(made.facts.get("test_conversations", 0)) for made in (was, now))
    if before is None or after is None:
        return "; whether on the same questions is not known"
    if before == after:
        return f", the same {count(other, 'question')} for both"
    return f"; they were taken on other questions ({one:,} and {other:,}), so they do not compare"
