"""The only door to DVC and git: every version of a data product, kept by the bytes that it has.

A product folder is taken into DVC's cache (content-addressed, in DVC's own format, so that `dvc push` and a
`.dvc` pointer understand it) and is written back from there when it was damaged, deleted or wanted again.
Looking (`has`) and restoring from the local cache never import DVC; taking and fetching from a remote do.

    versions.py   init, take, has, restore
    objects.py    the cache's format on disk
    git.py        the commit that the workspace stands at

Raises, all of them ValueErrors in one line:
    VersioningError: base of the others; a folder that cannot be taken.
    MissingVersionError: neither the cache nor the remote has every byte of that version.
    DamagedVersionError: the cache's bytes are not those that their name promises.
"""

from tasks.versioning.git import GitState, git_state
from tasks.versioning.objects import DamagedVersionError, MissingVersionError, VersioningError
from tasks.versioning.versions import has, init, restore, take

__all__ = [
    "DamagedVersionError",
    "GitState",
    "MissingVersionError",
    "VersioningError",
    "git_state",
    "has",
    "init",
    "restore",
    "take",
]
