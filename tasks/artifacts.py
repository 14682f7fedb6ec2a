"""What the steps make: each kind of artifact and where it lives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from tasks.engine.artifact import Artifact


@dataclass(frozen=True)
class SourceFiles(Artifact):
    """The files of one source as they lie in the workspace, or where `path` in its source.yaml points."""

    home: ClassVar[str] = "data/sources"

    files: dict[str, str] = field(default_factory=dict)
    """Relative path -> SHA-256: what lineage ends in."""
    licence: str = ""


@dataclass(frozen=True)
class RawDocuments(Artifact):
    """One source as documents, untouched."""

    home: ClassVar[str] = "data/raw"


@dataclass(frozen=True)
class Documents(Artifact):
    """Documents of all sources, clean, with measurements of each."""

    home: ClassVar[str] = "data/documents"


@dataclass(frozen=True)
class FilteredDocuments(Artifact):
    """Which documents break which rule."""

    home: ClassVar[str] = "data/filtered"


@dataclass(frozen=True)
class DistinctDocuments(Artifact):
    """Which documents say what another one says, the evidence, and the family of each."""

    home: ClassVar[str] = "data/deduplicated"


@dataclass(frozen=True)
class Repeats(Artifact):
    """Which passages stand elsewhere already and are to be cut out."""

    home: ClassVar[str] = "data/repeats"


@dataclass(frozen=True)
class HeldOutConversations(Artifact):
    """The user's own conversations that models are examined on, as documents to look for in others."""

    home: ClassVar[str] = "data/held_out"


@dataclass(frozen=True)
class Contaminated(Artifact):
    """Which documents hold what models are tested with, and the evidence."""

    home: ClassVar[str] = "data/decontaminated"


Decided = FilteredDocuments | DistinctDocuments | Repeats | Contaminated
"""What stages between cleaning and splitting make: decisions on documents, and no texts."""


@dataclass(frozen=True)
class Corpus(Artifact):
    """Documents on their sides (train, validation, test), the rejected ones, and the ledger of sides."""

    home: ClassVar[str] = "data/corpora"


@dataclass(frozen=True)
class Tokenizer(Artifact):
    home: ClassVar[str] = "data/tokenizers"


@dataclass(frozen=True)
class Shards(Artifact):
    """Memory-mapped token streams of the three sides."""

    home: ClassVar[str] = "data/shards"


@dataclass(frozen=True)
class Conversations(Artifact):
    """Questions and answers of the three sides."""

    home: ClassVar[str] = "data/conversations"


@dataclass(frozen=True)
class Embeddings(Artifact):
    """Vectors of the words and documents of a corpus."""

    home: ClassVar[str] = "data/embeddings"


@dataclass(frozen=True)
class Checkpoint(Artifact):
    """A trained model as a Hugging Face folder, tokenizer beside weights."""

    home: ClassVar[str] = "models"


@dataclass(frozen=True)
class Report(Artifact):
    """Scores, samples, statistics."""

    home: ClassVar[str] = "reports"


@dataclass(frozen=True)
class Choice(Artifact):
    """Which of several models was taken, and why."""

    home: ClassVar[str] = "reports"


@dataclass(frozen=True)
class Registration(Artifact):
    """A model's entry in the registry."""

    home: ClassVar[str] = "reports"


@dataclass(frozen=True)
class Changes(Artifact):
    """What the sources hold that the champion did not see."""

    home: ClassVar[str] = "reports"


@dataclass(frozen=True)
class Verdict(Artifact):
    """What the gate says of a challenger beside the champion, with the numbers behind it."""

    home: ClassVar[str] = "reports"


@dataclass(frozen=True)
class Release(Artifact):
    """What became of a challenger."""

    home: ClassVar[str] = "reports"
