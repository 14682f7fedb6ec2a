"""`lm card`: a registered model's card, written anew from what is known now."""

from __future__ import annotations

import sys
from pathlib import Path

from lmcore.config import SettingsError, did_you_mean
from tasks.engine.workspace import find_workspace
from tasks.tracking.versions import registered, versions


def card_command(called: str, out: Path | None) -> None:
    """Print the card, or write it into a file."""
    from tasks.card import card, gather

    workspace = find_workspace()
    name, _, which = called.removeprefix("models:/").partition("@")
    version = registered(workspace.root, name, which or "champion")
    if version is None:
        known = sorted({each.name for each in versions(workspace.root)})
        if name in known:
            raise SettingsError(
                f"model '{name}' has no version '{which or 'champion'}'; `lm list` shows what there is"
            )
        raise SettingsError(f"no registered model '{name}'.{did_you_mean(name, known)}")
    text = card(gather(workspace, version))
    if out is None:
        sys.stdout.write(text)
        return
    if not out.parent.is_dir():
        raise SettingsError(f"there is no folder {out.parent}; make it first, or name another place")
    out.write_text(text, encoding="utf-8")
    print(f"{out}: the card of {name} v{version.version}")
