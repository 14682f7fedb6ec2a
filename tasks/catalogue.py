"""Which products belong to a corpus, found through manifests: what the catalogue has its views over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.config import SettingsError, did_you_mean
from lmcore.lineage import MANIFEST, Manifest
from tasks.artifacts import Corpus, Documents, Embeddings, RawDocuments, Shards, SourceFiles
from tasks.engine.artifact import Artifact
from tasks.engine.leftovers import CATALOGUE
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace
from tasks.forgetting.subject import root_of_source
from tasks.lineage.graph import inputs_in
from tasks.source_lines import SourceLines

if TYPE_CHECKING:
    from lmcore.corpus.catalogue import Products
    from lmcore.corpus.settings import FilterPart

DIGITS = 24
"""Of a key, that name a folder of counts."""


@dataclass(frozen=True)
class FoundCorpus:
    """A corpus with all that it was made from, as far as that is still there."""

    name: str
    manifest: Manifest
    products: Products
    step_manifests: dict[str, Manifest]
    """Of the steps behind it, also of those whose product has been replaced: their settings tell limits."""
    gone: tuple[str, ...]
    """Addresses whose product is not there any more, or is another one."""
    roots: dict[str, Path]
    """Where the files of each source lie."""
    is_only: bool
    """Whether there was no other to choose."""

    @property
    def note(self) -> str:
        """What cannot be answered, and why; empty if all can."""
        if not self.gone:
            return ""
        return (
            f"{', '.join(self.gone)}: not there any more, or replaced since this corpus was made; what it "
            "would tell is left out"
        )


def find_corpus(workspace: Workspace, name: str | None = None) -> FoundCorpus:
    """A corpus by name; without one the only one there is, or the one made last.

    Raises:
        SettingsError: there is none, or none of that name.
    """
    corpora = corpora_of(workspace)
    if not corpora:
        raise SettingsError("no corpus here yet; make one: lm prepare_corpus EXPERIMENT")
    name = _chosen(corpora, name, "corpus")
    return _gather(workspace, name, corpora[name], is_only=len(corpora) == 1)


def corpora_of(workspace: Workspace) -> dict[str, Manifest]:
    """Name and manifest of each corpus that stands in its place."""
    return dict(_made(workspace, Corpus))


def finished(manifest: Manifest) -> str:
    """When a product was made, as text that sorts; empty where that is not known."""
    return str(manifest.provenance.get("finished", ""))


def find_shards(workspace: Workspace, name: str | None = None) -> tuple[str, Manifest]:
    """A folder of token shards by name; without one, the one made last.

    Raises:
        SettingsError: there is none, or none of that name.
    """
    made = dict(_made(workspace, Shards))
    if not made:
        raise SettingsError("no token shards here yet; write some: lm write_shards EXPERIMENT")
    name = _chosen(made, name, "shards")
    return name, made[name]


def find_embeddings(workspace: Workspace, corpus: FoundCorpus) -> Path:
    """Where the vectors of a corpus's words lie; of several, those made last.

    Raises:
        SettingsError: there are none of this version of the corpus.
    """
    made = {
        name: manifest
        for name, manifest in _made(workspace, Embeddings)
        if any(artifact.digest == corpus.manifest.digest for _, artifact in inputs_in(manifest))
    }
    if not made:
        raise SettingsError(
            f"no vectors of this version of corpus '{corpus.name}' here yet; make some: "
            "lm embed_words EXPERIMENT"
        )
    name = _chosen(made, None, "embeddings")
    return workspace.path(f"{Embeddings.home}/{name}")


def _chosen(made: Mapping[str, Manifest], name: str | None, what: str) -> str:
    """The name asked for, if there is such a product; without one, that of the one made last."""
    if name is not None and name not in made:
        raise SettingsError(f"no {what} named '{name}'.{did_you_mean(name, made)}")
    return name or max(made, key=lambda each: (finished(made[each]), each))


def sources_behind(workspace: Workspace, manifest: Manifest) -> Iterator[SourceFiles]:
    """The sources that a product comes from, by the manifests of all that is between."""
    known: set[str] = set()
    waiting = [manifest]
    while waiting:
        for _, artifact in inputs_in(waiting.pop()):
            if isinstance(artifact, SourceFiles):
                yield artifact
            elif artifact.key and artifact.key not in known:
                known.add(artifact.key)
                if found := manifest_of(workspace, artifact):
                    waiting.append(found)


def manifest_of(workspace: Workspace, artifact: Artifact) -> Manifest | None:
    """The manifest of a product: in its place, or as it is remembered."""
    store = Store(workspace)
    if _is_there(workspace, artifact):
        return store.read(workspace.path(artifact.address))
    return store.remembered(artifact.key) if artifact.key else None


def _gather(workspace: Workspace, name: str, manifest: Manifest, *, is_only: bool) -> FoundCorpus:
    from lmcore.corpus.catalogue import Products, SourceFile

    documents, decided, gone = None, [], []
    steps: dict[str, Manifest] = {}
    inputs = [artifact for _, artifact in inputs_in(manifest)]
    for artifact in inputs:
        is_there = _is_there(workspace, artifact)
        if found := manifest_of(workspace, artifact):
            steps[found.step] = found
        if isinstance(artifact, RawDocuments):
            continue
        if not is_there:
            gone.append(artifact.address)
        elif isinstance(artifact, Documents):
            documents = workspace.path(artifact.address)
        else:
            decided.append(workspace.path(artifact.address))
    sources = list(sources_behind(workspace, manifest))
    files = tuple(
        SourceFile(source.name, file, digest, source.licence)
        for source in sources
        for file, digest in source.files.items()
    )
    products = Products(
        workspace.path(f"{Corpus.home}/{name}"), documents, tuple(decided), _shards_of(workspace, manifest),
        files, workspace.private / CATALOGUE / manifest.key[:DIGITS],
    )  # fmt: skip
    roots = {source.name: root_of_source(workspace, source) for source in sources}
    return FoundCorpus(name, manifest, products, steps, tuple(gone), roots, is_only)


def _shards_of(workspace: Workspace, corpus: Manifest) -> dict[str, Path]:
    return {
        name: workspace.path(f"{Shards.home}/{name}")
        for name, manifest in _made(workspace, Shards)
        if any(artifact.digest == corpus.digest for _, artifact in inputs_in(manifest))
    }


def _made(workspace: Workspace, kind: type[Artifact]) -> Iterator[tuple[str, Manifest]]:
    """Name and manifest of each product of a kind; unreadable ones are passed over, a plan tells of them."""
    for folder in sorted(workspace.root.glob(f"{kind.home}/*")):
        if (folder / MANIFEST).is_file():
            try:
                yield folder.name, Store(workspace).read(folder)
            except (OSError, ValueError):
                continue


def _is_there(workspace: Workspace, artifact: Artifact) -> bool:
    try:
        there = Store(workspace).read(workspace.path(artifact.address))
    except (OSError, ValueError):
        return False
    return there.digest == artifact.digest


def filters_of(found: FoundCorpus) -> list[FilterPart]:
    """The filters that decided on a corpus, with their limits; none where that is not known any more."""
    from lmcore.corpus.settings import FilterPart

    manifest = found.step_manifests.get("filter_documents")
    settings = manifest.key_document["settings"]["filters"] if manifest else []
    return [FilterPart.model_validate(each) for each in settings]


def lines_of(workspace: Workspace, found: FoundCorpus) -> SourceLines:
    """What looks passages up in the files of a corpus."""
    return SourceLines(workspace, {each.name: each for each in sources_behind(workspace, found.manifest)})
