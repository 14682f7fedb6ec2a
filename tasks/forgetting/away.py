"""What of DVC's default remote holds a file's text: what goes here, and whatever else was pushed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.engine.shared import Shared
from tasks.engine.step import known_steps
from tasks.forgetting.caches import data_steps, objects_that_go
from tasks.forgetting.quotes import Quotes
from tasks.forgetting.sightings import Sightings
from tasks.versioning.remote import Remote, RemoteError
from tasks.versioning.unneeded import objects

UNKNOWN = "what DVC's remote has of it is not known"


@dataclass(frozen=True)
class Away:
    """Objects and notes in the remote, where others may still fetch them."""

    remote: Remote
    objects: tuple[str, ...]
    notes: tuple[str, ...]
    products: tuple[str, ...]
    """Whose they are, as far as that is known."""

    @property
    def told(self) -> str:
        """What it is, in words."""
        whose = f" (of {', '.join(self.products)})" if self.products else ""
        return f"{len(self.objects):,} objects in DVC's remote {self.remote.url}{whose}"

    def remove(self) -> None:
        """Delete them there; raises RemoteError where it does not answer, or refuses."""
        self.remote.remove(self.objects, self.notes)


def find_away(seen: Sightings, quotes: Quotes) -> Away | str | None:
    """What the remote has of it; in words, why that cannot be said; None where there is nothing.

    What a version that was not made from the file needs as well stays, as far as this workspace knows of it.
    """
    shared = Shared(seen.workspace)
    try:
        remote = shared.remote
        if remote is None:
            trouble = shared.trouble
            return f"{UNKNOWN}: {trouble}" if trouble else None
        gone, innocent = objects_that_go(seen, quotes)
        found = _away(shared, remote, seen, gone, innocent)
        return found or (f"{UNKNOWN}: {remote.trouble}" if remote.trouble else None)
    except RemoteError as error:
        return f"{UNKNOWN}: {error}"


def _away(
    shared: Shared, remote: Remote, seen: Sightings, gone: Mapping[str, str], innocent: set[str]
) -> Away | None:
    names, steps, entries, here = set(gone), data_steps(seen), {}, objects(seen.workspace.root)
    for made in (each.manifest for each in seen.products):
        if entry := shared.entry(made.key):
            files = {entry.version, *(md5 for _, md5 in remote.entries(entry.version))}
            # Whether a report quotes it is not known of one that is not here any more.
            is_unread = _is_report(made.step) and not files <= here.keys()
            if made.step in steps or is_unread:
                names |= files - innocent
            entries[made.key] = files, f"{made.step} {made.name}"
    there = remote.present(names)
    torn = {key: whose for key, (files, whose) in entries.items() if not files.isdisjoint(there)}
    if not there:
        return None
    notes = tuple(f"{key}.json" for key in sorted(torn))
    return Away(remote, tuple(there), notes, tuple(dict.fromkeys(torn.values())))


def _is_report(step: str) -> bool:
    return step in known_steps and known_steps[step].makes.home == "reports"
