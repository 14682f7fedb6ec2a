"""From a token to its document, file and line, and from a text to the passages that it copies."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lmcore.config import SettingsError, did_you_mean
from lmcore.lineage import Manifest
from tasks.artifacts import Shards, Tokenizer
from tasks.catalogue import DIGITS, find_shards, manifest_of, sources_behind
from tasks.engine.leftovers import CATALOGUE
from tasks.engine.store import write_small
from tasks.engine.workspace import Workspace
from tasks.lineage.graph import inputs_in
from tasks.source_lines import SourceLines, Where
from tasks.words import count

if TYPE_CHECKING:
    from lmcore.batching.copied import Copied, CopiedPassages
    from lmcore.batching.copying_rate import CopyingRate
    from lmcore.batching.shard_index import DocumentSpan
    from lmcore.batching.token_shards import TokenShards
    from lmcore.tokenizers.tokenizer import Tokenizer as Encoder

FORM = re.compile(
    r"(?:(?P<shards>[^/:]+)/)?(?P<side>[^/:]+?)(?:-(?P<number>\d{5})\.bin)?:(?P<position>[\d_,]+)"
)
AROUND = 40
"""Tokens before and behind the one that is asked for, which are shown."""


class Asked(NamedTuple):
    """A token, as a command line names it."""

    shards: str | None
    side: str
    file: int | None
    position: int


@dataclass(frozen=True)
class Traced:
    """A token, and where it comes from."""

    shards: str
    side: str
    position: int
    """In the side's stream."""
    token: int
    spelled: str
    is_end: bool
    """Whether it is the end-of-text token behind the document."""
    document: DocumentSpan
    token_of_document: int
    where: Where
    before: str
    behind: str


@dataclass(frozen=True)
class OpenShards:
    """Token shards with their tokenizer and the files that they come from."""

    name: str
    manifest: Manifest
    shards: TokenShards
    tokenizer: Encoder
    lines: SourceLines

    def where(self, document: DocumentSpan, side: str, text: str, offset: int) -> Where:
        """The line of the word at an offset of a document's text."""
        others = (
            each.line
            for each in self.shards.documents(side)
            if (each.source, each.file) == (document.source, document.file) and each.line > document.line
        )
        # The next document in the file may be on another side: then the search reaches into it, no harm.
        return self.lines.find(
            document.source, document.file, document.line, text, offset, min(others, default=None)
        )


def parse(given: str) -> Asked:
    """`train:123`, `train-00000.bin:123`, or either behind `NAME/`.

    Raises:
        SettingsError: it is something else.
    """
    found = FORM.fullmatch(given.strip())
    if not found:
        raise SettingsError(
            f"'{given}' names no token; expected SHARD:POSITION such as train:1234 or train-00000.bin:1234"
        )
    number = found["number"]
    position = int(re.sub(r"[_,]", "", found["position"]) or 0)
    return Asked(found["shards"], found["side"], int(number) if number else None, position)


def shards_of_model(workspace: Workspace, called: str) -> str:
    """The name of the token shards that a model was trained on.

    Raises:
        SettingsError: there is no such model, or its shards are not there any more.
    """
    from tasks.lineage import ordered
    from tasks.lineage.find import find_product

    nodes = ordered(find_product(workspace, called).trace(workspace))
    found = [node for node in nodes if node.address.startswith(f"{Shards.home}/")]
    if not found:
        raise SettingsError(f"no token shards behind '{called}'; name them: --shards NAME")
    name, digest = Path(found[-1].address).name, found[-1].digest
    if find_shards(workspace, name)[1].digest != digest:
        raise SettingsError(
            f"data/shards/{name} was written anew since '{called}' was trained; run its flow again, or "
            "choose other shards: --shards NAME"
        )
    return name


def open_shards(workspace: Workspace, name: str | None = None) -> OpenShards:
    """Open token shards by name; without one, those made last.

    Raises:
        SettingsError: there are none, or their tokenizer is not there any more.
    """
    from lmcore.batching.token_shards import TokenShards
    from lmcore.tokenizers.tokenizer import Tokenizer as Encoder

    name, manifest = find_shards(workspace, name)
    artifact = next(each for _, each in inputs_in(manifest) if isinstance(each, Tokenizer))
    there = manifest_of(workspace, artifact)
    folder = workspace.path(artifact.address)
    if there is None or there.digest != artifact.digest or not folder.is_dir():
        raise SettingsError(
            f"the tokenizer of data/shards/{name} is not there any more; write the shards anew"
        )
    tokenizer = Encoder.load(folder)
    shards = TokenShards(workspace.path(f"{Shards.home}/{name}"), tokenizer.digest, is_thorough=False)
    sources = {source.name: source for source in sources_behind(workspace, manifest)}
    return OpenShards(name, manifest, shards, tokenizer, SourceLines(workspace, sources))


def trace_token(opened: OpenShards, asked: Asked) -> Traced:
    """Where a token comes from.

    Raises:
        SettingsError: there is no such side, file or position.
    """
    shards, tokenizer = opened.shards, opened.tokenizer
    position = _position(opened, asked)
    documents = shards.documents(asked.side)
    document = max(
        (each for each in documents if each.first_token <= position), key=lambda each: each.first_token
    )
    tokens = shards.stream(asked.side).tokens(document.first_token, document.num_tokens).tolist()
    at = position - document.first_token
    is_end = at == len(tokens) - 1
    text, before = tokenizer.decode(tokens), tokenizer.decode(tokens[:at])
    spelled = tokenizer.decode(tokens[at : at + 1], keep_control=True)
    # A token begins with the space before its word.
    offset = min(len(before) + len(spelled) - len(spelled.lstrip()), max(len(text) - 1, 0))
    return Traced(
        opened.name, asked.side, position, tokens[at], spelled, is_end, document, at,
        opened.where(document, asked.side, text, offset),
        tokenizer.decode(tokens[max(at - AROUND, 0) : at]),
        tokenizer.decode(tokens[at + 1 : at + 1 + AROUND]),
    )  # fmt: skip


def _position(opened: OpenShards, asked: Asked) -> int:
    sides = opened.shards.index.sides
    if asked.side not in sides:
        raise SettingsError(
            f"data/shards/{opened.name} has no side '{asked.side}'.{did_you_mean(asked.side, sides)}"
        )
    entry = sides[asked.side]
    begin, num_tokens, what = 0, entry.tokens, asked.side
    if asked.file is not None:
        if asked.file >= len(entry.shards):
            raise SettingsError(
                f"no file {asked.side}-{asked.file:05d}.bin in data/shards/{opened.name}; the last one is "
                f"{entry.shards[-1].file}"
            )
        begin = sum(file.tokens for file in entry.shards[: asked.file])
        num_tokens, what = entry.shards[asked.file].tokens, entry.shards[asked.file].file
    if asked.position >= num_tokens:
        raise SettingsError(
            f"{what} has {num_tokens:,} tokens, from 0 on; there is no position {asked.position:,}"
        )
    return begin + asked.position


class TextTrace(NamedTuple):
    """What a text copies, and what held-out text does."""

    copied: Copied
    rate: CopyingRate | None
    """None where no passage of the held-out side is long enough."""


def trace_text(workspace: Workspace, opened: OpenShards, text: str) -> TextTrace:
    """The passages of a text that stand in the train side.

    Raises:
        SettingsError: the text is too short to say anything.
    """
    from lmcore.batching.copied import WORDS, CopiedPassages

    num_words = len(text.split())
    if num_words < WORDS:
        raise SettingsError(
            f"the text has {count(num_words, 'word')}; write at least {WORDS}, the fewest that count as "
            "copied"
        )
    search = CopiedPassages(opened.shards, opened.tokenizer)
    (copied,) = search.find([text])
    return TextTrace(copied, _rate(workspace, opened, search, num_words))


def _rate(
    workspace: Workspace, opened: OpenShards, search: CopiedPassages, num_words: int
) -> CopyingRate | None:
    """Counted once for each length of passages, and kept beside what is known of the shards."""
    from lmcore.batching.copying_rate import CopyingRate, copying_rate, length_for

    length = length_for(num_words)
    if length is None:
        return None
    file = workspace.private / CATALOGUE / opened.manifest.key[:DIGITS] / f"copying-{length}.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return CopyingRate(**found | {"shares": tuple(found["shares"])}) if found else None
    except (OSError, ValueError, TypeError):
        rate = copying_rate(search, opened.shards, opened.tokenizer, length)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_small(file, json.dumps(rate._asdict() if rate else None))
        return rate
