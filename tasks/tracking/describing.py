"""What is known of a registered version only later: files beside it, and the first words on its page."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from tasks.tracking.store import open_store
from tasks.tracking.versions import LICENCE_TAG, Registered

BEGIN, END = "[//]: # (lm: known later)", "[//]: # (lm: end)"
"""Lines that Markdown does not show."""
_BLOCK = re.compile(rf"{re.escape(BEGIN)}.*?{re.escape(END)}\s*", re.DOTALL)


def attach(version: Registered, files: Mapping[str, str]) -> None:
    """Write texts beside a registered model, in place of earlier ones; each is whole at any moment."""
    for name, text in files.items():
        file = version.home / name
        scratch = file.with_name(f".{name}.{os.getpid()}")
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(file)


def state_licence(workspace: Path, version: Registered, licence: str | None) -> None:
    """Let a version say under which licence its weights are passed on, or no longer say it."""
    if (licence or "") == version.licence:
        return
    client, number = open_store(workspace), str(version.version)
    if licence:
        client.set_model_version_tag(version.name, number, LICENCE_TAG, licence)
    else:
        client.delete_model_version_tag(version.name, number, LICENCE_TAG)


def put_first(workspace: Path, name: str, version: int, markdown: str) -> None:
    """Let a version's description begin with this, in place of what it began with by the same way before."""
    client = open_store(workspace)
    was = client.get_model_version(name, str(version)).description or ""
    rest = _BLOCK.sub("", was).lstrip()
    now = f"{BEGIN}\n\n{markdown}\n\n{END}\n\n{rest}"
    if now != was:
        client.update_model_version(name, str(version), now)
