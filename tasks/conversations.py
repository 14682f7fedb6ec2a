"""Chapters become questions with answers; conversations of one's own join them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmcore.config import SettingsError
from lmcore.conversations.settings import ConversationsConfig
from lmcore.corpus.settings import SourceChoice
from lmcore.lineage import Facts
from tasks.artifacts import Conversations, Corpus, HeldOutConversations, SourceFiles
from tasks.engine.proof import digests_of
from tasks.engine.session import Session
from tasks.engine.step import Build, Forecast, current, step
from tasks.engine.workspace import Workspace
from tasks.ingest import find_source


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["corpus"].size
    own = sum(files.size for files in arguments["own"])
    return Forecast(seconds=1 + (size + own) / 2e6, memory=6e7 + 4 * (size + own), disk=2e6 + own)


@step(makes=Conversations, forecast=_forecast, ignores=("roots",))
def write_conversations(
    build: Build,
    corpus: Corpus,
    own: Sequence[SourceFiles],
    roots: Sequence[str],
    settings: ConversationsConfig,
    *,
    name: str,
) -> Facts:
    """Make exercises from each side's own chapters, and give conversations of one's own their sides.

    Raises:
        SettingsError: somebody changed a file since its digest was taken for the key.
    """
    from lmcore.conversations.write import write_conversations

    files = _files_of(own, roots)
    facts = write_conversations(build.path(corpus), files, build.folder, settings, build.progress)
    _check_unchanged(build, own, roots)
    return facts


def _held_out_forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = sum(files.size for files in arguments["own"])
    return Forecast(seconds=0.3 + size / 2e6, memory=6e7 + 4 * size, disk=size)


@step(makes=HeldOutConversations, forecast=_held_out_forecast, ignores=("roots",))
def hold_out_conversations(
    build: Build,
    own: Sequence[SourceFiles],
    roots: Sequence[str],
    settings: ConversationsConfig,
    *,
    name: str,
) -> Facts:
    """Take those of one's own conversations that are not to learn from, for the corpus not to hold them.

    Raises:
        SettingsError: somebody changed a file since its digest was taken for the key.
    """
    from lmcore.conversations.own import write_held_out

    facts = write_held_out(_files_of(own, roots), build.folder, settings)
    _check_unchanged(build, own, roots)
    return facts


def _files_of(own: Sequence[SourceFiles], roots: Sequence[str]) -> list[Path]:
    return [Path(root) / file for root, source in zip(roots, own, strict=True) for file in source.files]


def _check_unchanged(build: Build, own: Sequence[SourceFiles], roots: Sequence[str]) -> None:
    for root, source in zip(roots, own, strict=True):
        now = digests_of(Workspace(build.workspace_root), Path(root), list(source.files))
        for file, digest in source.files.items():
            if now[file] != digest:
                raise SettingsError(
                    f"{Path(root) / file} was changed while this run was reading it; run again"
                )


def find_conversations(choices: Sequence[SourceChoice]) -> tuple[list[SourceFiles], list[str]]:
    """The files of one's own conversations by digest, and the folder that each source lies in.

    Raises:
        ValueError: a source is not there or is empty.
    """
    session: Session = current().session
    found = [find_source(session.workspace, choice, in_full=session.verify) for choice in choices]
    return [files for _, files, _ in found], [str(root) for _, _, root in found]
