"""Taking weights away that learned from a forgotten file: versions, their copies, and model products.

The champion stays until another one serves. A version that only had the file on its test or validation side
holds nothing of it, and stays as well.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tasks.engine.reach import inputs_of
from tasks.engine.workspace import Workspace
from tasks.forgetting.caches import objects_of
from tasks.forgetting.sightings import IN_PLACE, SeenVersion, Sightings
from tasks.tracking.journal import holding
from tasks.tracking.standing import CHAMPION

DATA = ("write_shards", "write_conversations")


@dataclass
class Retired:
    """What went, and what did not."""

    gone: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What ought to go, and why it cannot yet."""


def has_learned(version: SeenVersion) -> bool:
    """Whether its weights may hold something of the file: all but those known to be only measured by it."""
    return not version.documents or any(text.side in ("train", "rejected") for text in version.documents)


def retire(workspace: Workspace, seen: Sightings, why: str) -> Retired:
    """Delete versions that learned from the file, with their files, and the model products that did.

    A kill in the middle leaves a version without files, or products: the same command finishes it.
    """
    done = Retired()
    measured = [each for each in seen.versions if not has_learned(each)]
    staying = {each.version.key for each in measured}
    innocent = {key for each in measured for key in _data_behind(seen, each.version.key)}
    for each in seen.versions:
        if each in measured:
            continue
        if CHAMPION in each.version.aliases:
            staying.add(each.version.key)
            done.left.append(f"{each.called} serves; release another version first, then run this again")
            continue
        _delete(workspace.root, each, why)
        done.gone.append(each.called)
    for product in seen.products:
        key = product.manifest.key
        is_model = product.address.startswith("models/") and key not in staying
        data = _data_behind(seen, key) if is_model else set()
        if not is_model or (data and data <= innocent):
            continue
        for path in objects_of(seen, frozenset([key])):
            path.unlink(missing_ok=True)
        if product.state == IN_PLACE:
            shutil.rmtree(workspace.path(product.address))
            done.gone.append(product.address)
    return done


def _data_behind(seen: Sightings, key: str | None) -> set[str]:
    """Keys of the shards and conversations that a model was shown: of them the sides are known."""
    known, reached, waiting = seen.reach.remembered, set[str](), [key]
    while waiting:
        at = waiting.pop()
        if at in known and at not in reached:
            reached.add(at)
            waiting += inputs_of(known[at])
    return {at for at in reached if known[at].step in DATA}


def _delete(root: Path, each: SeenVersion, why: str) -> None:
    """Its aliases, by way of the journal; its files; and then the version itself."""
    from tasks.tracking.moves import clear_alias
    from tasks.tracking.store import open_store

    version, client = each.version, open_store(root)
    with holding(root):
        for alias in version.aliases:
            clear_alias(root, version.name, alias, why)
        shutil.rmtree(version.home, ignore_errors=True)
        client.delete_model_version(version.name, str(version.version))
