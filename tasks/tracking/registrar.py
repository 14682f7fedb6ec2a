"""Who moves the aliases of one model: finishes what was begun, notes what hands have moved, then moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.tracking.journal import FOLDER, Entry, Journal
from tasks.tracking.standing import BY_HAND, CHAMPION, ROLLBACK, Move, Standing, moves_of, standing
from tasks.tracking.store import TrackingError, open_store
from tasks.tracking.versions import Registered, aliases_of, numbers_of, registered, versions

if TYPE_CHECKING:
    from mlflow import MlflowClient

RELEASED, ROLLED_BACK = "lm.released", "lm.rolled_back"
"""Tags of versions: when, by whom, why."""
LONGEST_TAG = 5_000
"""Letters; the journal has all of them."""


class Registrar:
    """Who moves the aliases of one model. Under the registry's lock, which its maker holds.

    `tell` hears of each move when its aliases have moved, before the journal says that it is done: what
    nobody was told of is finished by the next command, and not done a second time.
    """

    def __init__(
        self,
        workspace: Path,
        name: str,
        who: str | None = None,
        tell: Callable[[Entry], object] = lambda _: None,
    ) -> None:
        self.workspace, self.name, self.tell = workspace, name, tell
        self.journal = Journal(workspace, name, who)
        if others := strangers(workspace, name):
            raise TrackingError(foreign(self.journal, others))
        self.finished = [entry for entry in self.journal.pending() if self._carry_out(entry)]
        self._note_what_was_moved_by_hand()

    @property
    def now(self) -> Standing:
        """Where the journal says that the aliases are; without moves that wait for a version that is lost."""
        entries = self.journal.entries()
        waiting = {entry.id for entry in self.journal.pending()}
        return standing(entry for entry in entries if entry.id not in waiting)

    @property
    def there(self) -> dict[int, Registered]:
        """The versions that are registered."""
        return {version.version: version for version in versions(self.workspace, self.name)}

    def find(self, version: int) -> Registered:
        """A version, with its files.

        Raises:
            TrackingError: it is not there, or they are not.
        """
        found = the_version(self.workspace, self.name, version)
        if not found.folder.is_dir():
            raise TrackingError(
                f"the files of {self.name} v{version} are gone; lm doctor --fix copies them again"
            )
        return found

    def move(self, cause: str, why: str, alias: str, to: int | None) -> Entry | None:
        """Move an alias, and those that follow from it; None if all are where they should be."""
        for entry in self.journal.pending():  # for a version that is lost; this move takes its place
            self._carry_out(entry, is_last_chance=True)
        moves = self.now.moves(cause, alias, to, self.there)
        if not moves:
            return None
        entry = self._note(cause, why, moves)
        self._carry_out(entry)
        return entry

    def _note(self, cause: str, why: str, moves: list[Move]) -> Entry:
        there = self.there
        is_first = not self.now.digests
        named = there.keys() if is_first else {number for move in moves for number in move[1:] if number}
        digests = {str(number): there[number].digest or "" for number in sorted(named) if number in there}
        rows = [{"alias": move.alias, "from": move.before, "to": move.after} for move in moves]
        why = " ".join(why.split())
        return self.journal.append("move", cause=cause, why=why, moves=rows, digests=digests)

    def _carry_out(self, entry: Entry, *, is_last_chance: bool = False) -> bool:
        """Do what a line says, as far as that is not done, and say so; what a hand has moved since stays.

        False: it waits for a version that the registry has lost.
        """
        if not is_last_chance and waits(self.workspace, self.name, entry):
            return False
        client, there, left = open_store(self.workspace), self.there, []
        for move in moves_of(entry):
            holder = aliases_of(self.workspace, self.name).get(move.alias)
            if holder == move.after:
                continue
            if holder not in (move.before, None) or move.after not in (None, *there):
                left.append(move.alias)
            elif move.after is None:
                client.delete_registered_model_alias(self.name, move.alias)
            else:
                client.set_registered_model_alias(self.name, move.alias, str(move.after))
        for move in moves_of(entry):
            if move.alias == CHAMPION and CHAMPION not in left:
                self._tag(client, entry, move)
        self.tell(entry)
        self.journal.append("done", of=entry.id, **({"left": left} if left else {}))
        return True

    def _tag(self, client: MlflowClient, entry: Entry, move: Move) -> None:
        """What MLflow's page of a version says of it."""
        is_rollback = entry.facts["cause"] == ROLLBACK
        tag, version = (ROLLED_BACK, move.before) if is_rollback else (RELEASED, move.after)
        if version in self.there:
            text = f"{entry.when}, {entry.who}: {entry.facts['why']}"
            client.set_model_version_tag(self.name, str(version), tag, text[:LONGEST_TAG])

    def _note_what_was_moved_by_hand(self) -> None:
        """An alias that is not where the journal has it was moved past it. What is lost nobody has moved."""
        now, there = self.now.aliases, self.there
        numbers = numbers_of(self.workspace, self.name, settled=True)
        held = {a: of for a, of in aliases_of(self.workspace, self.name).items() if of in there}
        moves = [Move(alias, now.get(alias), held.get(alias)) for alias in sorted({*now, *held})]
        moved = [m for m in moves if m.before != m.after and (m.after is not None or m.before in numbers)]
        if moved:
            is_first = not self.now.digests
            why = "as it was when this journal began" if is_first else "moved in MLflow, past lm"
            self._carry_out(self._note(BY_HAND, why, moved))


def strangers(workspace: Path, name: str) -> list[int]:
    """Versions that are other bytes in the registry than in the journal: that is of another workspace."""
    known = standing(Journal(workspace, name).entries()).digests
    numbers = numbers_of(workspace, name, settled=True)
    return [
        number for number, digest in numbers.items() if digest and known.get(number, "") not in ("", digest)
    ]


def foreign(journal: Journal, numbers: list[int]) -> str:
    """What is to be said of such versions, with the cure."""
    which = ", ".join(f"v{number}" for number in numbers)
    where = f"{FOLDER}/{journal.path.name}"
    return (
        f"{journal.model} {which} is another model in this registry than in {where}, which tells of another "
        "workspace; bring the one of this workspace back from git, or move it away to begin anew"
    )


def waits(workspace: Path, name: str, entry: Entry) -> bool:
    """Whether a move goes to a version that the registry has lost."""
    numbers = numbers_of(workspace, name, settled=True)
    return any(move.after not in (None, *numbers) for move in moves_of(entry))


def champion_of(workspace: Path, name: str) -> Registered | None:
    """The version that serves; None if nobody does.

    Raises:
        TrackingError: the journal knows one, and the registry has lost it.
    """
    found = registered(workspace, name, CHAMPION)
    known = standing(Journal(workspace, name).entries()).champion
    if found is None and known and known not in numbers_of(workspace, name):
        raise TrackingError(
            f"the champion of {name} is v{known}, which the registry has lost; lm doctor --fix, or a run of "
            "what made it, registers it again"
        )
    return found


def the_version(workspace: Path, name: str, version: int) -> Registered:
    """A version by its number.

    Raises:
        TrackingError: there is none.
    """
    found = registered(workspace, name, version)
    if found is not None:
        return found
    known = ", ".join(f"v{other.version}" for other in versions(workspace, name)) or "none"
    lost = version in standing(Journal(workspace, name).entries()).digests
    cure = "; the journal knows it: lm doctor --fix registers again what was lost" if lost else ""
    raise TrackingError(f"model '{name}' has no version {version}; registered: {known}{cure}")
