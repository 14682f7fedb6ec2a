"""`lm export-shards`: token shards in another program's format."""

from __future__ import annotations

from pathlib import Path

from flows.cli.screen import console
from lmcore.config import SettingsError, did_you_mean
from tasks.artifacts import Shards
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace, find_workspace
from tasks.words import count, size

FORMATS = ("megatron",)
INDEX = "index.json"


def export_command(called: str, out: Path, format: str) -> None:
    """Write every side that has documents."""
    if format not in FORMATS:
        raise SettingsError(f"--format: no format named '{format}'.{did_you_mean(format, FORMATS)}")
    workspace, out = find_workspace(), out.expanduser()
    folder = _find_shards(workspace, called)
    if out.is_file():
        raise SettingsError(f"{out} is a file; name a folder")
    if workspace.path(Shards.home).absolute() in out.absolute().parents:
        raise SettingsError(f"{out} lies among the shards, which are products; name a folder of your own")
    from lmcore.batching import megatron
    from lmcore.batching.token_shards import TokenShards

    with Store(workspace).reading(workspace.address(folder)):
        shards = TokenShards(folder)
        for side, index in shards.index.sides.items():
            if index.documents:
                written = megatron.export(shards, out, side)
                total = size(sum(file.stat().st_size for file in written))
                told = f"{count(index.documents, 'document')}, {index.tokens:,} tokens, {total}"
                console().print(f"{out / side}.bin and .idx: {told}")


def _find_shards(workspace: Workspace, called: str) -> Path:
    """By the name under which they lie in `data/shards`, or by their folder."""
    home = workspace.path(Shards.home)
    for folder in (home / called, workspace.path(called), Path(called)):
        if (folder / INDEX).is_file():
            return folder
    known = [index.parent.name for index in home.glob(f"*/{INDEX}")]
    raise SettingsError(f"no shards named '{called}'.{did_you_mean(called, known)}")
