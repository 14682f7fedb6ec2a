"""The settings of a corpus: where its texts come from, and what happens to them on the way.

A source describes itself in its `source.yaml`; an experiment chooses sources and sets the stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from lmcore.config import PLAIN_NAME, Config, SettingsError
from lmcore.corpus.cleaners import cleaners
from lmcore.corpus.filters import Limit, filters, kind_of, limits_of
from lmcore.corpus.readers import readers
from lmcore.registry import Part, Registry

PLACES = ("path", "package", "dataset")
"""What says where a source lies."""


class ReaderPart(Part):
    """How a source's files become documents."""

    registry: ClassVar[Registry[Any]] = readers


class CleanerPart(Part):
    """A way to mend texts before they are judged."""

    registry: ClassVar[Registry[Any]] = cleaners


class FilterPart(Part):
    """A family of rules that a document has to pass."""

    registry: ClassVar[Registry[Any]] = filters

    @property
    def limits(self) -> list[Limit]:
        """Its rules that are not switched off."""
        return limits_of(self.type, self.dials)

    @property
    def measurement(self) -> Measurement:
        """What it measures, whatever its limits are."""
        return Measurement.model_validate({"type": self.type, **self.dials})


class Measurement(Part):
    """A filter without its limits: what a document is measured by."""

    registry: ClassVar[Registry[Any]] = filters

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        filled = dict(FilterPart.model_validate(given))
        return {name: value for name, value in filled.items() if kind_of(name) is None}


class DatasetChoice(Config):
    """A split of a data set of Hugging Face, read through `datasets`."""

    name: str = Field(min_length=1)
    """As on its page, such as `owner/name`; or a folder of data files."""
    config: str | None = None
    """Which of its variants, where it has several."""
    split: str = Field(default="train", pattern=r"^\w+$")
    revision: str | None = None
    """A commit of its repository: without one, what it is on the day that it is fetched."""


class Source(Config):
    """A collection of texts: what it is, whether it may be used, and how to read it."""

    title: str = Field(min_length=1)
    """What a reader of a report calls this source."""
    origin: str = Field(min_length=1)
    """Where the texts come from: a package, an address, a person."""
    licence: str = Field(min_length=1)
    """Why the texts may be used, for example `CC BY 4.0` or `Public domain`."""
    reader: ReaderPart = ReaderPart(type="text")
    """How its files become documents: text, jsonl, csv, parquet, or a reader of the workspace."""
    files: tuple[str, ...] = ("**/*",)
    """Patterns of the files that count, relative to the source's folder (or to `path`)."""
    path: str | None = None
    """Where the files lie, if elsewhere: a folder (absolute, from `~`, or relative to the source's folder),
    or an address such as `s3://bucket/prefix`."""
    package: str | None = None
    """An installed Python package whose files they are: `files` are relative to where packages lie."""
    dataset: DatasetChoice | None = None
    """A data set of Hugging Face, read as Parquet: set its fields in the reader."""
    max_document_bytes: int = Field(default=20_000_000, ge=1)
    """Longer documents are quarantined: nobody writes them, and a line of that length is damage."""

    _is_inside = field_validator("files")(lambda patterns: _check_patterns(patterns))

    @property
    def is_fetched(self) -> bool:
        """Whether its files have to be brought here first."""
        return self.dataset is not None or bool(self.path and "://" in self.path)

    @model_validator(mode="before")
    @classmethod
    def _is_at_one_place(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        places = [name for name in PLACES if given.get(name) is not None]
        if len(places) > 1:
            raise ValueError(f"it has {' and '.join(places)}; a source lies at one place")
        return {"reader": "parquet", **given} if given.get("dataset") else given


class SourceChoice(Config):
    """A source in an experiment: by name, by name and some of its files, or described on the spot.

    `{name: letters, path: ~/letters, licence: my own}` needs no `source.yaml`: the settings of a `Source` may
    stand beside the name. Its title is then the name and its origin the path, unless they are given.
    """

    name: str = Field(pattern=PLAIN_NAME)
    """The folder under `data/sources/`, or a new name for a source that is described here."""
    files: tuple[str, ...] | None = None
    """Patterns that narrow down the source's files; all of them when left out."""
    source: Source | None = None
    """The description, where it is given here."""

    _is_inside = field_validator("files")(
        lambda patterns: None if patterns is None else _check_patterns(patterns)
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"name": given}
        if not isinstance(given, Mapping) or not {*PLACES, "licence"} & given.keys():
            return given
        told = {
            name: value for name, value in given.items() if name in Source.model_fields and name != "files"
        }
        rest = {name: value for name, value in given.items() if name not in told}
        place = next((told[name] for name in PLACES if told.get(name)), None)
        if told.get("package"):
            place = _with_version(str(place))
        place = place.get("name") if isinstance(place, Mapping) else place
        description = {"title": given.get("name"), "origin": str(place), **told}
        return {**rest, "source": description}

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if self.source and not any(getattr(self.source, place) for place in PLACES):
            raise ValueError(
                f"source '{self.name}' is described here and says not where it is; give it a `path`, or "
                f"leave its licence out to take data/sources/{self.name} as it is described there"
            )
        return self


DEFAULT_FILTERS = (FilterPart(type="length"), FilterPart(type="gopher_repetition"))
"""What an experiment filters by unless it says otherwise."""


class NormalizeConfig(Config):
    """How text is written, so that equal texts are equal bytes; meaning is left alone."""

    unicode_form: Literal["NFC", "NFKC"] = "NFC"
    """NFC only joins letters and accents; NFKC also replaces ligatures, wide letters and the like."""
    keep_indentation: bool = False
    """Keep spaces at the start of lines, as program code needs them."""
    max_blank_lines: int = Field(default=1, ge=0)
    """Longer runs of blank lines are shortened to this many."""


class DeduplicateConfig(Config):
    """Which documents say the same, judged on exact sets of word shingles and never on an estimate."""

    shingle_words: int = Field(default=5, ge=1)
    """Documents are compared by the set of all runs of this many words, letter case aside."""
    bands: int = Field(default=96, ge=1)
    """More bands propose more pairs: at a Jaccard index of J with probability 1 - (1 - J^rows)^bands, which
    is 0.980 at J = 0.2, 0.998 at 0.25 and 0.9999 at 0.3 for 96 bands of 2 rows."""
    rows: int = Field(default=2, ge=1)
    """More rows in a band propose fewer pairs, as millions of documents may need (32 bands of 4 rows)."""
    jaccard: float = Field(default=0.8, gt=0, le=1)
    """A document is removed if it shares at least this share of shingles with one that is kept ..."""
    containment: float = Field(default=0.9, gt=0, le=1)
    """... or if at least this share of its shingles stands in a longer one that is kept."""
    family_jaccard: float = Field(default=0.25, gt=0, le=1)
    """Documents that share at least this share of shingles are a family, which no split tears apart ..."""
    family_containment: float = Field(default=0.5, gt=0, le=1)
    """... and so are two of which the shorter one stands in the longer one with at least this share."""
    seed: int = Field(default=0, ge=0)
    """Chooses the hash functions; another seed proposes other borderline pairs."""

    @model_validator(mode="after")
    def _family_is_wider(self) -> Self:
        for name in ("jaccard", "containment"):
            wide, narrow = getattr(self, f"family_{name}"), getattr(self, name)
            if wide > narrow:
                raise ValueError(
                    f"family_{name} {wide} is above {name} {narrow}; lower it, for what is alike enough to "
                    "be removed has to be alike enough to be family"
                )
        return self


class RepeatsConfig(Config):
    """Which passages stand elsewhere already, word for word, and are cut out (Lee et al. 2021)."""

    min_words: int = Field(default=50, ge=10)
    """A passage is cut where so many of its words, letter case and punctuation aside, stand in a longer
    document, or before it in the same one."""
    min_left_words: int = Field(default=20, ge=0)
    """A document of which fewer words are left goes as a whole."""

    @model_validator(mode="after")
    def _keeps_what_others_went_for(self) -> Self:
        if self.min_left_words > self.min_words:
            raise ValueError(
                f"min_left_words {self.min_left_words} is above min_words {self.min_words}; lower it, or "
                "documents go for whose passages others were cut"
            )
        return self


class DecontaminateConfig(Config):
    """Which documents go because they hold what models are tested with."""

    against: tuple[SourceChoice, ...] = ()
    """Evaluation sets from elsewhere, chosen like sources; each of their documents is an item."""
    own_conversations: bool = True
    """Also the experiment's own conversations that models are examined on: each question with its answer is
    an item."""
    ngram_words: int = Field(default=13, ge=2)
    """An item is found by runs of so many of its words, letter case and punctuation aside ..."""
    min_item_words: int = Field(default=8, ge=1)
    """... and a shorter one as a whole, unless it has fewer words than this: then it is not looked for."""
    definition: Literal["any_ngram", "item_share"] = "any_ngram"
    """`any_ngram`: one run in common is enough, unless it is common (Brown et al. 2020, GPT-3). `item_share`:
    only a document goes that holds `min_share` of an item's runs."""
    max_documents: int = Field(default=10, ge=1)
    """A run that stands in more documents than this is common: nobody goes for it alone."""
    min_share: float = Field(default=0.8, gt=0, le=1)
    """Who holds this share of an item's runs goes by either definition. If all of them are common, this
    counts only for items of more than `ngram_words` runs: a shorter one may be an idiom."""

    @model_validator(mode="after")
    def _short_items_are_shorter(self) -> Self:
        if self.min_item_words > self.ngram_words:
            raise ValueError(
                f"min_item_words {self.min_item_words} is above ngram_words {self.ngram_words}; lower it, or "
                "items that are long enough for a run would not be looked for"
            )
        return self


class SplitConfig(Config):
    """How much of each source is held out from training."""

    validation_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of each source's documents that choose the checkpoint."""
    test_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of each source's documents that only the evaluation reads."""
    seed: int = Field(default=0, ge=0)
    """Another seed holds out other documents."""

    def require(self, share: Literal["validation_share", "test_share"], what_for: str) -> None:
        """Refuse a share of 0 where the side is needed.

        Raises:
            SettingsError: it is 0.
        """
        if not getattr(self, share):
            raise SettingsError(f"split.{share} is 0, and {what_for}; give it a share, such as 0.05")

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.validation_share + self.test_share >= 1:
            raise ValueError(
                f"validation_share {self.validation_share} and test_share {self.test_share} leave nothing to "
                "train on; their sum has to be below 1"
            )
        return self


def _with_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


def _check_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if not pattern or pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
            raise ValueError(f"pattern '{pattern}' leaves the folder; set `path` to read files elsewhere")
    if not patterns:
        raise ValueError("no pattern; leave `files` out to take all files")
    return patterns
