"""A champion, a challenger and held-out documents in; what both scored, wrote, weigh and take, out.

Each model reads the raw text with its own tokenizer and its own context, as it does where it serves. Their
nats are of the same bytes, so that they compare however the text was cut into tokens.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lmcore.corpus.document import Document, read
from lmcore.evaluate.challenge_marks import MarkedQuestions
from lmcore.evaluate.contestant import Contestant
from lmcore.evaluate.paired_scores import PairedScores, write_scores
from lmcore.evaluate.scoring import Progress
from lmcore.evaluate.settings import ExamConfig, GateConfig
from lmcore.evaluate.smoke import Sample, tell_smoke, write_samples
from lmcore.evaluate.speed import measure_speed
from lmcore.lineage import Facts

FILE = "challenge.json"
Contestants = Mapping[str, Contestant]
"""By `champion` and `challenger`; without the former where nobody serves yet."""


class Trial(NamedTuple):
    """What was measured, how, and on which texts."""

    metric: str
    definition: dict[str, Any]
    scores: PairedScores
    texts: Sequence[str]


def challenge(
    champion: Path | None,
    challenger: Path,
    documents: Path,
    unseen: Collection[str],
    older: Collection[str],
    out: Path,
    settings: GateConfig,
    progress: Progress | None = None,
    *,
    conversations: Path | None = None,
    exam: ExamConfig | None = None,
) -> Facts:
    """Let both models do the same, and write what came of it into `out`, for `gate.decide`.

    Writes challenge.json (scores, sizes, smoke generation), documents.parquet (a row per document) and
    samples.jsonl (a line per prompt), the same bytes for the same models and documents, and log/speed.json,
    which depends on the clock. `progress` is told windows or questions done, and of how many.

    Args:
        champion: a model folder; None where nobody serves yet.
        documents: the Parquet file of a corpus side, such as `test.parquet`.
        unseen: digests of its documents that neither model was trained on or chosen by: what is scored.
        older: those of them that the champion's own held-out side had, for the guard on older text.
        conversations: a folder of conversations, for models that chat. The questions on those documents, on
            the side that the file is named for, are asked in place of their text; an own conversation is
            unseen or older by its id, since it has no document.
        exam: how answers are cut and marked.

    Returns:
        documents, older_documents, and both models' scores on all documents.

    Raises:
        ValueError: a folder is no model, the file lacks a document, a document is older but not unseen, or a
            tokenizer loses text.
    """
    settings, exam = settings.resolved(), (exam or ExamConfig()).resolved()
    if strange := sorted(set(older) - set(unseen)):
        raise ValueError(f"document {strange[0]} is older but not unseen; the older ones are a part of those")
    named = {"champion": champion, "challenger": challenger}
    contestants = {name: Contestant.open(each, settings.device) for name, each in named.items() if each}
    found = _find(documents, unseen, with_text=conversations is None)
    if conversations is None:
        trial = _read_text(contestants, _all_of(found, unseen, documents), set(older), settings, progress)
    else:
        names = {document.id: document.digest for document in found.values()}
        questions = MarkedQuestions(conversations, documents.stem, unseen, names)
        trial = _ask(contestants, questions, found, set(older), exam, progress)
    is_chat = conversations is not None
    samples = {
        name: write_samples(each.model, each.tokenizer, settings, is_chat=is_chat)
        for name, each in contestants.items()
    }
    out.mkdir(parents=True, exist_ok=True)
    _write(_tell(trial, contestants, samples), out / FILE)
    write_scores(trial.scores, out)
    _write_samples(samples, settings, out / "samples.jsonl")
    if champion is not None:
        measure_speed(contestants["champion"].model, contestants["challenger"].model, out, settings)
    return _facts(trial)


def _find(file: Path, wanted: Collection[str], *, with_text: bool) -> dict[str, Document]:
    """The documents that are wanted, by digest, in the order of the digests; of equal texts the first."""
    columns = ("id", "source", "file", "line", "digest", "family", *(("text",) if with_text else ()))
    digests = set(wanted)
    found: dict[str, Document] = {}
    for document in read(file, Document, columns):
        if document.digest in digests:
            found.setdefault(document.digest, document)
    return dict(sorted(found.items()))


def _all_of(found: dict[str, Document], wanted: Collection[str], file: Path) -> dict[str, Document]:
    if missing := sorted(set(wanted) - set(found)):
        raise ValueError(
            f"{file} lacks {len(missing)} of {len(set(wanted))} documents to score, such as "
            f"{missing[0][:12]}: take the side and version of the corpus that the digests are of"
        )
    return found


def _read_text(
    contestants: Contestants,
    found: Mapping[str, Document],
    older: set[str],
    settings: GateConfig,
    progress: Progress | None,
) -> Trial:
    texts = [document.text for document in found.values()]
    nats = {
        name: each.read(texts, settings, _part(progress, place, len(contestants)))
        for place, (name, each) in enumerate(contestants.items())
    }
    windows = {name: each.window(settings) for name, each in contestants.items()}
    definition = {
        "text": "every token of each document and the end-of-text token behind it, once, behind one that is "
        "not scored; each model with its own tokenizer",
        "windows": {name: {"context_tokens": size, "stride": step} for name, (size, step) in windows.items()},
        "bits_per_byte": "summed nats / ln 2 / UTF-8 bytes of the documents",
        "precision": settings.precision,
    }
    sizes = np.array([len(text.encode()) for text in texts], dtype=np.float64)
    scores = PairedScores(
        "nats", *_columns(found, {name: each.source for name, each in found.items()}), sizes,
        nats.get("champion"), nats["challenger"], _is_older(found, older),
    )  # fmt: skip
    return Trial("bits per byte", definition, scores, texts)


def _ask(
    contestants: Contestants,
    questions: MarkedQuestions,
    found: Mapping[str, Document],
    older: set[str],
    exam: ExamConfig,
    progress: Progress | None,
) -> Trial:
    marks = {
        name: questions.marks(each.folder, exam, _part(progress, place, len(contestants)))
        for place, (name, each) in enumerate(contestants.items())
    }
    definition = {
        "questions": dict(questions.asked),
        "answers": f"greedy, cut at {exam.max_new_tokens} tokens at most",
        "rouge": {"score": "F", "is_stemmed": exam.is_stemmed, "tokenizer": exam.rouge_tokenizer},
    }
    names = questions.sources
    scores = PairedScores(
        "marks", *_columns(found, names), questions.weights(),
        marks.get("champion"), marks["challenger"], _is_older(names, older),
    )  # fmt: skip
    return Trial(questions.metric, definition, scores, [each.question for each in questions.records])


def _columns(
    found: Mapping[str, Document], sources: Mapping[str, str]
) -> tuple[list[str], list[str], list[str]]:
    """Digests, sources and families; what was never compared with others is a family of its own."""
    families = [(name in found and found[name].family) or name for name in sources]
    return list(sources), list(sources.values()), families


def _is_older(names: Collection[str], older: set[str]) -> Any:
    return np.array([name in older for name in names], dtype=np.bool_)


def _tell(
    trial: Trial,
    contestants: Contestants,
    samples: Mapping[str, Sequence[Sample]],
) -> dict[str, Any]:
    scores = trial.scores
    sources = np.array(scores.sources, dtype=str)
    return {
        "kind": scores.kind,
        "metric": trial.metric,
        "definition": trial.definition,
        "all": scores.summary(),
        "older": scores.older.summary(),
        "sources": {name: scores.only(sources == name).summary() for name in sorted(set(scores.sources))},
        "models": {
            name: {
                **each.size(),
                "bytes_per_token": each.bytes_per_token(trial.texts),
                "smoke": tell_smoke(samples[name]),
            }
            for name, each in contestants.items()
        },
    }


def _facts(trial: Trial) -> Facts:
    scores = trial.scores
    told = {name: scores.score(name) for name in ("champion", "challenger")}
    return {
        "documents": len(scores.digests),
        "older_documents": int(scores.is_older.sum()),
        **{name: value for name, value in told.items() if value is not None},
    }


def _part(progress: Progress | None, place: int, number: int) -> Progress | None:
    """The progress of one model of several; with tokenizers of their own their totals differ a little."""
    return progress and (lambda done, total: progress(place * total + done, number * total))


def _write_samples(samples: Mapping[str, Sequence[Sample]], settings: GateConfig, path: Path) -> None:
    """A line per prompt and temperature, with what each model wrote."""
    lines = []
    for row in zip(*samples.values(), strict=True):
        written = [{"model": name, "text": each.text} for name, each in zip(samples, row, strict=True)]
        told = {"prompt": row[0].prompt, "temperature": row[0].temperature, "seed": settings.seed}
        lines.append(json.dumps(told | {"continuations": written}, sort_keys=True, ensure_ascii=False) + "\n")
    path.write_text("".join(lines), encoding="utf-8")


def _write(document: dict[str, Any], path: Path) -> None:
    text = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8")
