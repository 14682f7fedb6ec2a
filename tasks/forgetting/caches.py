"""What of DVC's cache holds a file's text: whole versions of data, and single objects that quote it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lmcore.lineage import file_digest
from tasks.engine.step import known_steps
from tasks.forgetting.copies import Listing, listing_of, made_by
from tasks.forgetting.quotes import Quotes
from tasks.forgetting.sightings import Sightings
from tasks.versioning.objects import cache_folder
from tasks.versioning.unneeded import objects

OBJECT = "DVC object"
DATA, INNOCENT, UNKNOWN = "comes from it", "comes from elsewhere", "nobody knows"


def cached_items(seen: Sightings, quotes: Quotes) -> Iterator[tuple[str, Path, str] | str]:
    """(kind, path, why) of every object that has to go, and remarks on what stays.

    A version of a data product that was made from the file goes as a whole, but for the objects that it has
    in common with a version that was not. Of all others what quotes the file goes, or has its bytes.
    """
    root = seen.workspace.root
    cache = cache_folder(root)
    if not cache.is_dir():
        return
    if not cache.resolve().is_relative_to(root.resolve()):
        yield f"DVC's cache {cache} lies outside of the workspace and may be others': it is left alone"
        return
    there = objects(root)
    gone, _ = objects_that_go(seen, quotes)
    yield from ((OBJECT, there[name], why) for name, why in sorted(gone.items()) if name in there)


def objects_that_go(seen: Sightings, quotes: Quotes) -> tuple[dict[str, str], set[str]]:
    """Names of objects with why they go, and those that belong to versions that were not made from it."""
    root = seen.workspace.root
    there = objects(root)
    listings = {name: listing_of(root, name) for name in there if name.endswith(".dir")}
    kinds = {name: _kind(seen, root, listing) for name, listing in listings.items()}
    innocent = {md5 for name, kind in kinds.items() if kind == INNOCENT for md5 in listings[name].values()}
    gone = {name: "lists a version that was made from it" for name, kind in kinds.items() if kind == DATA}
    for name in list(gone):
        gone |= dict.fromkeys(set(listings[name].values()) - innocent, "of a version that was made from it")
    names = {md5: path for listing in listings.values() for path, md5 in listing.items()}
    for md5 in there.keys() - gone.keys() - innocent - listings.keys():
        if quotes.are_in(there[md5], names.get(md5)) or file_digest(there[md5]) in seen.subject.digests:
            gone[md5] = "quotes it"
    return gone, innocent


def objects_of(seen: Sightings, keys: frozenset[str]) -> list[Path]:
    """The objects of products with these keys, but for those that another version needs."""
    root = seen.workspace.root
    there = objects(root)
    listings = {name: listing_of(root, name) for name in there if name.endswith(".dir")}
    gone = {name for name, listing in listings.items() if made_by(root, listing)[0] in keys}
    needed = {md5 for name in listings.keys() - gone for md5 in listings[name].values()}
    names = gone | {md5 for name in gone for md5 in listings[name].values()} - needed
    return [there[name] for name in sorted(names) if name in there]


def _kind(seen: Sightings, root: Path, listing: Listing) -> str:
    """What a version is, by the manifest in it."""
    key, step = made_by(root, listing)
    if key in seen.keys:
        return DATA if step in data_steps(seen) else UNKNOWN
    return INNOCENT if key in seen.reach.remembered else UNKNOWN


def data_steps(seen: Sightings) -> set[str]:
    """The steps whose products lie under `data/`."""
    declared = {name for name, step in known_steps.items() if step.makes.is_data()}
    return declared | {each.manifest.step for each in seen.products if each.address.startswith("data/")}
