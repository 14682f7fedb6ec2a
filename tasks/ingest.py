"""Sources become documents: what lies in `data/sources/`, or where a source's `path` points."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmcore.config import canonical
from lmcore.corpus.settings import ReaderPart, Source, SourceChoice
from lmcore.lineage import Facts, content_digest, digest_of
from tasks.artifacts import RawDocuments, SourceFiles
from tasks.engine.proof import digests_of
from tasks.engine.step import Build, Forecast, current, step
from tasks.engine.workspace import Workspace


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["files"].size
    return Forecast(seconds=0.5 + size / 6e6, memory=1e8 + 3 * size, disk=2 * size)


@step(makes=RawDocuments, forecast=_forecast, ignores=("root",))
def ingest_source(
    build: Build, files: SourceFiles, reader: ReaderPart, source_name: str, root: str, *, name: str
) -> Facts:
    """Read a source's files into documents; unreadable ones are kept apart with the reason."""
    from lmcore.corpus.ingest import load_source, read_source

    source = load_source(build.workspace_root / "data" / "sources" / source_name)
    paths = [Path(file) for file in files.files]
    return read_source(
        source.model_copy(update={"reader": reader}), source_name, paths, Path(root), build.folder, build.progress
    )


def ingest(choice: SourceChoice) -> Any:
    """The call of `ingest_source` for a source chosen in an experiment, as a parallel branch.

    Raises:
        ValueError: the source is not there, is empty, or holds what its reader cannot read.
    """
    workspace: Workspace = current().session.workspace
    source, files, root = find_source(workspace, choice)
    name = choice.name if choice.files is None else f"{choice.name}-{digest_of(choice.files)[:6]}"
    return ingest_source.submit(files, source.reader, choice.name, str(root), name=name)


def find_source(workspace: Workspace, choice: SourceChoice) -> tuple[Source, SourceFiles, Path]:
    """A source's description, its chosen files by digest, and the folder that they lie in."""
    from lmcore.corpus.ingest import check_files, find_files, load_source, root_of

    folder = workspace.sources / choice.name
    source = load_source(folder)
    paths = find_files(source, folder, choice)
    root = root_of(source, folder)
    digests = digests_of(workspace, root, [path.as_posix() for path in paths])
    files = SourceFiles(
        address=f"{SourceFiles.home}/{choice.name}",
        name=choice.name,
        digest=content_digest(digests),
        size=sum((root / path).stat().st_size for path in paths),
        files=digests,
        licence=source.licence,
    )
    _check_once(workspace, files, source, lambda: check_files(source, paths, root))
    return source, files, root


def _check_once(workspace: Workspace, files: SourceFiles, source: Source, check: Any) -> None:
    """Whether files read at all depends on their bytes and the reader alone: ask once for both."""
    question = f"{files.digest} {digest_of(canonical(source.reader))}"
    marker = workspace.private / "readable" / hashlib.sha256(question.encode()).hexdigest()[:24]
    if not marker.exists():
        check()
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
