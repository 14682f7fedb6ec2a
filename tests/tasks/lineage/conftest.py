"""A workspace with hand-made products: two sources, a corpus, a tokenizer, shards, a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lmcore.corpus.document import Document, digest_of, write
from lmcore.lineage import FORMAT, content_digest, file_digest
from lmcore.lineage import digest_of as key_of
from tasks.artifacts import (
    Checkpoint,
    Corpus,
    DistinctDocuments,
    Documents,
    RawDocuments,
    Shards,
    SourceFiles,
    Tokenizer,
)
from tasks.engine.artifact import Artifact
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace

CODE = {"lmcore.train.loop:train": "aa", "lmcore.nn.norm:RMSNorm": "bb"}
TORCH = {"cpu": "x86_64-avx2", "torch": "2.13.0"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Shop:
    """Makes products as the engine does, without computing anything."""

    workspace: Workspace
    commit: str = COMMIT
    is_dirty: bool = False
    environment: dict[str, str] = field(default_factory=lambda: dict(TORCH))

    @property
    def store(self) -> Store:
        return Store(self.workspace)

    def source(self, name: str, files: Mapping[str, str], licence: str = "CC-BY-4.0") -> SourceFiles:
        folder = self.workspace.sources / name
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            (folder / path).write_text(text)
        digests = {path: file_digest(folder / path) for path in files}
        size = sum(len(text) for text in files.values())
        address = f"data/sources/{name}"
        return SourceFiles(address, name, content_digest(digests), None, size, digests, licence)

    def make(
        self,
        kind: type[Artifact],
        step: str,
        name: str,
        inputs: Mapping[str, Artifact | Sequence[Artifact]],
        *,
        settings: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
        code: Mapping[str, str] = CODE,
        documents: Mapping[str, Sequence[Document]] | None = None,
        texts: Mapping[str, str] | None = None,
        seconds: float = 2.0,
    ) -> Any:
        lists = {parameter: each if isinstance(each, list) else [each] for parameter, each in inputs.items()}
        document = {
            "format": FORMAT, "step": step, "settings": dict(settings or {}), "code": dict(code),
            "fingerprint": key_of(code)[:16],
            "inputs": {parameter: [each.digest for each in found] for parameter, found in lists.items()},
        }  # fmt: skip
        key = key_of({name: value for name, value in document.items() if name != "code"})
        scratch = self.workspace.private / "scratch" / key[:12]
        scratch.mkdir(parents=True)
        (scratch / "content.txt").write_text(key)
        for side, rows in (documents or {}).items():
            write(scratch / f"{side}.parquet", Document, rows)
        for file, text in (texts or {}).items():
            (scratch / file).write_text(text)
        manifest = self.store.seal(
            scratch, step=step, name=name, key=key, key_document=document, facts=dict(facts or {}),
            inputs={parameter: [each.to_json() for each in found] for parameter, found in lists.items()},
            environment=self.environment, provenance=self._provenance(seconds),
        )  # fmt: skip
        address = f"{kind.home}/{name if kind.is_data() else f'{step}-{key[:12]}'}"
        self.store.place(scratch, address, set_aside=False)
        self.store.remember(manifest)
        self.store.use(step, name, key)
        return kind(address, name, manifest.digest, key, manifest.size)

    def _provenance(self, seconds: float) -> dict[str, Any]:
        return {
            "run": "run1", "flow": "pretrain", "experiment": "mine", "host": "here", "python": "3.11.7",
            "finished": "2026-11-21T12:00:00+00:00", "seconds": seconds, "cpu_seconds": 3.0,
            "peak_memory": 2e8, "git": {"commit": self.commit, "dirty": self.is_dirty},
            "mlflow_run_id": "f" * 32, "prefect_run_id": None,
        }  # fmt: skip

    def model(
        self,
        letters: Mapping[str, str],
        *,
        licence: str = "my own",
        steps: int = 30,
        vocab_size: int = 400,
        code: Mapping[str, str] = CODE,
        name: str = "mine",
    ) -> Checkpoint:
        """The whole way to a model; of the letters, one in four is on the test side."""
        sources = [
            self.source("letters", letters, licence),
            self.source("bible", {"ruth.txt": "now it came to pass"}, "Public domain"),
        ]
        raw = [
            self.make(RawDocuments, "ingest_source", each.name, {"files": each},
                      facts={"documents": len(each.files), "rejected": 0})
            for each in sources
        ]  # fmt: skip
        clean = self.make(Documents, "clean_documents", name, {"raw": raw})
        distinct = self.make(DistinctDocuments, "deduplicate_documents", name, {"documents": clean})
        sides = sides_of(letters)
        counts = {f"{side}_documents": len(rows) for side, rows in sides.items()}
        corpus = self.make(
            Corpus, "split_corpus", name, {"distinct": distinct, "documents": clean, "raw": raw},
            facts=counts | {"train_characters": 1000}, documents=sides,
        )  # fmt: skip
        tokenizer = self.make(
            Tokenizer, "train_tokenizer", name, {"corpus": corpus},
            settings={"settings": {"vocab_size": vocab_size}}, facts={"vocab_size": vocab_size},
        )  # fmt: skip
        shards = self.make(Shards, "write_shards", name, {"corpus": corpus, "tokenizer": tokenizer})
        return self.make(
            Checkpoint, "pretrain_model", name, {"shards": shards, "tokenizer": tokenizer},
            settings={"model": {"type": "transformer", "width": 16}, "train": {"steps": steps}},
            facts={"parameters": 14160, "steps": steps, "tokens": 7680}, code=code, seconds=60.0,
        )  # fmt: skip


def sides_of(letters: Mapping[str, str]) -> dict[str, list[Document]]:
    rows = [
        Document(f"letters/{file}#1", "letters", file, 1, file.partition(".")[0], text, digest_of(text))
        for file, text in letters.items()
    ]
    test = [row for row in rows if row.file.startswith("t")]
    return {"train": [row for row in rows if row not in test], "validation": [], "test": test}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    root = tmp_path / "workspace"
    root.mkdir()
    (root / ".lmworks").touch()
    return Shop(Workspace(root))


@pytest.fixture
def letters() -> dict[str, str]:
    return {"a.txt": "dear a", "b.txt": "dear b", "c.txt": "dear c", "t.txt": "dear t"}
