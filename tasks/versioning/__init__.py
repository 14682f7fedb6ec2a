"""The only door to DVC and git: every version of a data product, kept by the bytes that it has.

A product folder is taken into DVC's cache (content-addressed, in DVC's own format, so that `dvc push` and a
`.dvc` pointer understand it) and is written back from there when it was damaged, deleted or wanted again.
Looking (`has`), restoring from the local cache and asking a remote folder never import DVC; the rest does.

    versions.py   init, take, has, restore
    objects.py    the cache's format on disk
    pipeline.py   dvc.yaml and dvc.lock
    remote.py     the default remote, and the notes in it by which products are found
    gate.py       the one gatekeeper of DVC
    unneeded.py   what of the cache nobody needs
    git.py        the commit that the workspace stands at

Raises, all of them ValueErrors in one line:
    VersioningError: base of the others; a folder that cannot be taken.
    MissingVersionError: neither the cache nor the remote has every byte of that version.
    DamagedVersionError: the cache's bytes are not those that their name promises.
    RemoteError: the remote is not there, does not answer or refuses.
"""

from tasks.versioning.git import GitState, git_state
from tasks.versioning.objects import DamagedVersionError, MissingVersionError, VersioningError
from tasks.versioning.remote import RemoteError
from tasks.versioning.versions import has, init, restore, take

__all__ = [
    "DamagedVersionError",
    "GitState",
    "MissingVersionError",
    "RemoteError",
    "VersioningError",
    "git_state",
    "has",
    "init",
    "restore",
    "take",
]
