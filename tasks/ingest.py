"""Sources become documents: what lies in `data/sources/`, or where a source's `path` points."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmcore.config import SettingsError, canonical, did_you_mean
from lmcore.corpus.settings import ReaderPart, Source, SourceChoice
from lmcore.corpus.unpacking import PACKINGS
from lmcore.lineage import Facts, content_digest, digest_of
from lmcore.runtime import usable_cores
from tasks.artifacts import RawDocuments, SourceFiles
from tasks.engine.locks import lock
from tasks.engine.proof import digests_of
from tasks.engine.session import Session
from tasks.engine.step import Build, Forecast, current, step
from tasks.engine.workspace import Workspace

FETCHED = "fetched"
"""The folder of `.lm` for the files of sources that lie elsewhere."""

TEXT_SHARE = {"html": 0.1, "pdf": 0.1, "docx": 0.3, "parquet": 1.0}
"""Bytes of a source's texts, packed, for each byte of its files."""
UNPACKED = 3


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["files"].size
    cores = min(_cores(arguments), usable_cores())
    share = TEXT_SHARE.get(arguments["reader"].type, 0.35)
    is_packed = any(Path(file).suffix in PACKINGS for file in arguments["files"].files)
    return Forecast(
        seconds=0.2 + size / 2e7 / cores,
        memory=1.5e8 * cores,
        disk=share * size * (UNPACKED if is_packed else 1),
    )


def _cores(arguments: Mapping[str, Any]) -> int:
    from lmcore.corpus.ingest import cores_for

    return cores_for(arguments["files"].size)


MOST_LISTED = 200
"""Of more files than this `dvc.yaml` names the folder: it is read and written with every run."""


def _reads(arguments: Mapping[str, Any]) -> list[Path | str]:
    """The whole folder or the chosen files of it, if few; the description where that is a file."""
    files, root = arguments["files"], Path(arguments["root"])
    source = arguments["source"]
    is_elsewhere = source.is_fetched or bool(source.package)  # that is not DVC's to watch
    is_few, is_whole = len(files.files) <= MOST_LISTED, arguments["name"] == arguments["source_name"]
    if is_elsewhere:
        watched: list[Path | str] = []
    elif is_few and (not is_whole or _has_loose_link(root)):
        watched = [root / file for file in files.files]
    else:
        watched = [] if _has_loose_link(root) else [root]
    described = files.address == f"{SourceFiles.home}/{arguments['source_name']}"
    return [*watched, *([f"{files.address}/source.yaml"] if described else [])]


def _has_loose_link(root: Path) -> bool:
    """Whether a link leads nowhere, as an editor's locks do: DVC cannot look at a folder with one."""
    inside = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    return any(path.is_symlink() and not path.exists() for path in inside)


@step(makes=RawDocuments, forecast=_forecast, ignores=("source", "root"), cores=_cores, reads=_reads)
def ingest_source(
    build: Build,
    files: SourceFiles,
    reader: ReaderPart,
    max_document_bytes: int,
    source_name: str,
    source: Source,
    root: str,
    *,
    name: str,
) -> Facts:
    """Read a source's files into documents; what cannot be read is kept apart with place and reason.

    Of the description only the reader and the limit shape the documents, so only they stand in the key.

    Raises:
        SettingsError: somebody changed a file since its digest was taken for the key.
    """
    from lmcore.corpus.ingest import read_source

    paths = [Path(file) for file in files.files]
    facts = read_source(
        source, source_name, paths, Path(root), build.folder, build.progress,
        digests=files.files, kept=build.pieces, cores=build.cores, say=build.say,
    )  # fmt: skip
    now = digests_of(Workspace(build.workspace_root), Path(root), list(files.files))
    for file, digest in files.files.items():
        if now[file] != digest:
            raise SettingsError(f"{Path(root) / file} was changed while this run was reading it; run again")
    return facts


def ingest(choice: SourceChoice) -> Any:
    """The call of `ingest_source` for a source chosen in an experiment, as a parallel branch.

    Raises:
        ValueError: the source is not there, is empty, or holds what its reader cannot read.
    """
    session: Session = current().session
    source, files, root = find_source(session.workspace, choice, in_full=session.verify)
    name = choice.name if choice.files is None else f"{choice.name}-{digest_of(choice.files)[:6]}"
    return ingest_source.submit(
        files, source.reader, source.max_document_bytes, choice.name, source, str(root), name=name
    )


def find_source(
    workspace: Workspace, choice: SourceChoice, *, in_full: bool = False
) -> tuple[Source, SourceFiles, Path]:
    """A source's description, its chosen files by digest, and the folder that they lie in."""
    from lmcore.corpus.ingest import check_files
    from lmcore.corpus.sources import find_files

    source, folder = _describe(workspace, choice)
    fetched = workspace.private / FETCHED
    root = bring(workspace, source, choice, folder)
    paths = find_files(source, folder, choice, fetched)
    everything = digests_of(workspace, root, [path.as_posix() for path in paths], in_full=in_full)
    digests = _wanted(workspace, choice, root, everything)
    paths = [path for path in paths if path.as_posix() in digests]
    files = SourceFiles(
        address=f"{SourceFiles.home}/{choice.name}" if choice.source is None else workspace.address(root),
        name=choice.name,
        digest=content_digest(digests),
        size=sum((root / path).stat().st_size for path in paths),
        files=digests,
        licence=source.licence,
    )
    _check_once(workspace, files, source, lambda: check_files(source, paths, root))
    return source, files, root


def bring(workspace: Workspace, source: Source, choice: SourceChoice, folder: Path) -> Path:
    """The folder that holds a source's files; of one that lies elsewhere, what is new is brought first.

    What was forgotten is not brought again.
    """
    from lmcore.corpus.fetching import fetch
    from lmcore.corpus.sources import is_chosen, root_of
    from tasks.forgetting.ledger import place_of, read_forgotten

    root = root_of(source, folder, workspace.private / FETCHED)
    if not source.is_fetched:
        return root
    lines = read_forgotten(workspace)

    def is_wanted(name: str) -> bool:
        place = place_of(workspace, choice.name, root, name)
        return is_chosen(name, source, choice) and not any(line.covers(place, "") for line in lines)

    with lock(workspace.private / "locks" / f"{root.name}.fetch"):
        fetch(source, root, is_wanted)
    return root


def _wanted(
    workspace: Workspace, choice: SourceChoice, root: Path, digests: Mapping[str, str]
) -> dict[str, str]:
    """Without the files that were forgotten."""
    from tasks.forgetting.ledger import FILE, leave_out

    left, gone = leave_out(workspace, choice.name, root, digests)
    if gone and not left:
        file, line = next(iter(gone.items()))
        raise SettingsError(
            f"source '{choice.name}' has no file left: {file} was {line.told} (see {FILE}); "
            "take the source out of the experiment, or give it other files"
        )
    return left


def _describe(workspace: Workspace, choice: SourceChoice) -> tuple[Source, Path]:
    """A source's description, and the folder from which its `path` is meant."""
    from lmcore.corpus.sources import load_source

    if choice.source:
        return choice.source, workspace.root
    folder = workspace.sources / choice.name
    if not folder.is_dir():
        known = [path.parent.name for path in workspace.sources.glob("*/source.yaml")]
        raise SettingsError(
            f"no source named '{choice.name}' in {workspace.address(workspace.sources)}."
            f"{did_you_mean(choice.name, known)}; or say where it is: "
            f"{{name: {choice.name}, path: ..., licence: ...}}"
        )
    return load_source(folder), folder


def _check_once(workspace: Workspace, files: SourceFiles, source: Source, check: Any) -> None:
    """Whether files read at all depends on their bytes and the settings alone: ask once for both."""
    question = f"{files.digest} {digest_of([canonical(source.reader), source.max_document_bytes])}"
    marker = workspace.private / "readable" / hashlib.sha256(question.encode()).hexdigest()[:24]
    if not marker.exists():
        check()
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
