"""Moving aliases so that a kill between any two lines leaves no wrong one: first the journal, then the alias.

Each function here first finishes what another has begun, and notes what somebody has moved by hand, in
MLflow. All of it under the registry's lock. An alias moves only by a line of the journal, see `journal.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tasks.tracking.journal import Entry, Journal, holding
from tasks.tracking.registrar import Registrar
from tasks.tracking.standing import (
    BY_HAND,
    CHALLENGER,
    CHAMPION,
    FIRST,
    REGISTERED,
    RELEASE,
    ROLLBACK,
    standing,
)
from tasks.tracking.store import TrackingError, open_store
from tasks.tracking.versions import Registered, aliases_of, numbers_of


class Overtaken(TrackingError):
    """Another version became champion between the comparison and the move."""


def promote(
    workspace: Path,
    name: str,
    version: int,
    *,
    expected_champion: int | None,
    why: str,
    cause: str = RELEASE,
    who: str | None = None,
) -> Registered:
    """Make a version the champion; who was it becomes `previous`. A version that is it already stays it.

    Args:
        expected_champion: the version that it was compared with; None: there was no champion.
        who: for the journal; `user@host` if left out.

    Raises:
        Overtaken: another version is champion by now.
        TrackingError: there is no such version, or its files are gone.
    """
    open_store(workspace)  # the first time takes seconds: not under the lock
    with holding(workspace):
        registrar = Registrar(workspace, name, who)
        registrar.find(version)
        if (champion := registrar.now.champion) != version:
            if champion != expected_champion:
                raise _overtaken(registrar, "run it again to be compared with that")
            registrar.move(cause, why, CHAMPION, version)
        return registrar.find(version)


def rollback(
    workspace: Path,
    name: str,
    to: int | None = None,
    why: str = "",
    *,
    who: str | None = None,
    tell: Callable[[Entry], object] = lambda _: None,
) -> Registered:
    """Make the champion what it was before; a second one goes further back, never to what was rolled back.

    A rollback that a kill has interrupted before anybody was told of it is finished, not done a second time.

    Args:
        to: a version to go to instead, whatever it was.
        tell: hears of each move that is made or finished, see `Registrar`.

    Raises:
        Overtaken: another version became champion since this was called.
        TrackingError: there is nothing to go back to.
    """
    seen = {aliases_of(workspace, name).get(CHAMPION), standing(Journal(workspace, name).entries()).champion}
    open_store(workspace)
    with holding(workspace):
        registrar = Registrar(workspace, name, who, tell)
        now = registrar.now
        is_done = any(entry.facts["cause"] == ROLLBACK for entry in registrar.finished)
        goal = now.champion if is_done and to is None else to or now.before_champion(registrar.there)
        if goal is None:
            raise TrackingError(_nothing_before(registrar))
        if now.champion not in {*seen, goal}:
            raise _overtaken(registrar, "run it again if that is the one to leave")
        registrar.find(goal)
        if now.champion != goal:
            registrar.move(ROLLBACK, why, CHAMPION, goal)
        return registrar.find(goal)


def set_alias(workspace: Path, name: str, alias: str, version: int, why: str = "") -> Registered:
    """Move any alias to a version by hand; whoever was `champion` before becomes `previous`.

    Raises:
        TrackingError: there is no such version, or its files are gone.
    """
    open_store(workspace)
    with holding(workspace):
        registrar = Registrar(workspace, name)
        registrar.find(version)
        registrar.move(BY_HAND, why, alias, version)
        return registrar.find(version)


def clear_alias(workspace: Path, name: str, alias: str, why: str = "") -> None:
    """Take an alias away by hand."""
    open_store(workspace)
    with holding(workspace):
        Registrar(workspace, name).move(BY_HAND, why, alias, None)


def enlist(workspace: Path, name: str, version: int, alias: str, who: str | None = None) -> None:
    """Give a version that was just registered its alias; the first one of a model is its champion at once.

    `challenger` is the newest version that was never released: one that was is passed over.
    """
    with holding(workspace):
        registrar = Registrar(workspace, name, who)
        if not registrar.now.released:
            registrar.move(FIRST, "the first version", CHAMPION, version)
        if alias != CHALLENGER or version not in registrar.now.released:
            registrar.move(REGISTERED, f"registered as {alias}", alias, version)


def is_enlisted(workspace: Path, name: str, digest: str) -> bool:
    """Whether a product has been given its alias: the journal names it, or there are only aliases so far."""
    known = standing(Journal(workspace, name).entries())
    return known.version_of(digest) is not None if known.digests else bool(aliases_of(workspace, name))


def restore(workspace: Path, name: str, version: int) -> None:
    """Give a version that a registry had lost, and has again, the aliases that the journal says it has."""
    with holding(workspace):
        client, held = open_store(workspace), aliases_of(workspace, name)
        for alias, holder in standing(Journal(workspace, name).entries()).aliases.items():
            if holder == version and alias not in held:
                client.set_registered_model_alias(name, alias, str(version))


def finish(workspace: Path, name: str, who: str | None = None) -> list[Entry]:
    """Finish the moves of a model that a kill has interrupted; returns their lines.

    Cheap where there are none: MLflow is not even imported.
    """
    if not Journal(workspace, name).pending():
        return []
    open_store(workspace)
    with holding(workspace):
        return Registrar(workspace, name, who).finished


def _overtaken(registrar: Registrar, cure: str) -> Overtaken:
    now = registrar.now
    line = now.released.get(now.champion) if now.champion else None
    if line is None:
        return Overtaken(f"{registrar.name} lost its champion meanwhile; {cure}")
    what = f"v{now.champion} became champion of {registrar.name} meanwhile ({line.who}, {line.when})"
    return Overtaken(f"{what}; {cure}")


def _nothing_before(registrar: Registrar) -> str:
    there, now, name = registrar.there, registrar.now, registrar.name
    lost = sorted(now.digests.keys() - numbers_of(registrar.workspace, name).keys())
    told = f"registered: {_listed(list(there)) or 'none'}"
    told += f"; lost, see lm doctor: {_listed(lost)}" if lost else ""
    what = f"before v{now.champion} " if now.champion else ""
    return (
        f"model '{name}' had no champion {what}that is still registered; "
        f"name a version: lm rollback {name} --to vN ({told})"
    )


def _listed(numbers: list[int]) -> str:
    return ", ".join(f"v{number}" for number in numbers)
