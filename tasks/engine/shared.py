"""Products that other workspaces have pushed, found by key in DVC's default remote.

An entry names the version in DVC's cache that holds a product, and brings its whole manifest, so that a plan
knows what would be restored before a byte of it is fetched. It is sealed and written after the version is
there; what it promises is proved like any copy. A remote that does not answer is passed over for the rest of
the run, and asked again a minute later.

    lmworks/<key>.json              an entry
    lmworks/lines/<key>.json        what a version that carries a ledger started from; key without the ledger
    lmworks/ledgers/<digest>        that ledger
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lmcore.lineage import Damaged, Manifest, manifest_of, seal_document, unseal_document
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace
from tasks.versioning.objects import default_remote
from tasks.versioning.remote import Remote, RemoteError, open_remote

ELSEWHERE = "is_made_elsewhere"
"""Set in the provenance of what came from a remote: its times say nothing of this machine."""
HIT_SECONDS, MISS_SECONDS, TROUBLE_SECONDS = 600.0, 60.0, 60.0
"""How long an answer of a remote that is no plain folder is believed without asking again."""
README = b"Notes by which `lm` finds products in this DVC remote; what they name are objects of DVC's own.\n"


@dataclass(frozen=True)
class Entry:
    """A product that the remote has."""

    version: str
    """Its name in DVC's cache."""
    manifest: Manifest
    """As it was made; its provenance says that this was elsewhere."""


class Shared:
    """What a workspace's default remote has, by key. Nothing at all where there is none."""

    def __init__(self, workspace: Workspace, say: Callable[[str], None] = lambda _: None) -> None:
        self.workspace = workspace
        self.say = say
        """Told once when the remote is given up."""

    @property
    def remote(self) -> Remote | None:
        """The default remote, unless it has just been found not to answer."""
        if default_remote(self.workspace.root) is None:
            return None
        remote = open_remote(self.workspace.root)
        if remote and remote.trouble is None and (text := self._recent_trouble(remote)):
            remote.trouble = text
        return remote if remote and remote.trouble is None else None

    @property
    def trouble(self) -> str | None:
        """Why the remote is passed over."""
        try:
            remote = open_remote(self.workspace.root)
        except RemoteError as error:
            return str(error)
        return remote.trouble if remote else None

    def entry(self, key: str) -> Entry | None:
        """The entry of a product, if the remote has one that reads."""
        text = self.note(f"{key}.json")
        try:
            return _entry(key, text) if text else None
        except Damaged:
            return None

    def note(self, name: str) -> bytes | None:
        """A note of that name; None too where the remote does not answer."""
        try:
            remote = self.remote
        except RemoteError:
            return None
        if remote is None:
            return None
        if remote.folder is None and (answer := self._remembered(remote, name)) is not None:
            return answer or None
        try:
            text = remote.read(name)
        except RemoteError as error:
            self._give_up(remote, error)
            return None
        if remote.folder is None:
            self._remember(remote, name, text or b"")
        return text

    def holds(self, version: str) -> bool:
        """Whether `dvc push` has brought a version there, entry or not."""
        try:
            remote = self.remote
            return remote.holds(version) if remote else False
        except RemoteError as error:
            if remote := open_remote(self.workspace.root):
                self._give_up(remote, error)
            return False

    def doubt(self, version: str) -> None:
        """Note that the remote's copy is damaged: whoever makes it again here, and pushes, mends it there."""
        mark = self._doubts / version
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()

    def is_doubted(self, version: str) -> bool:
        return (self._doubts / version).exists()

    def trust(self, version: str) -> None:
        (self._doubts / version).unlink(missing_ok=True)

    @property
    def _doubts(self) -> Path:
        return self.workspace.private / "doubted"

    def forget(self) -> None:
        """Ask everything anew."""
        shutil.rmtree(self.workspace.private / "remote", ignore_errors=True)
        if remote := open_remote(self.workspace.root):
            remote.trouble = None

    def _give_up(self, remote: Remote, error: RemoteError) -> None:
        remote.trouble = str(error)
        self.say(f"{error}; going on without it")
        file = self._memory(remote, "trouble")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(remote.trouble)

    def _recent_trouble(self, remote: Remote) -> str | None:
        if remote.folder is not None:
            return None
        file = self._memory(remote, "trouble")
        return file.read_text() if _is_younger(file, TROUBLE_SECONDS) else None

    def _remembered(self, remote: Remote, name: str) -> bytes | None:
        """The last answer, empty for a miss; None if it is too old, or there was none."""
        file = self._memory(remote, name)
        try:
            answer = file.read_bytes()
        except OSError:
            return None
        return answer if _is_younger(file, HIT_SECONDS if answer else MISS_SECONDS) else None

    def _remember(self, remote: Remote, name: str, answer: bytes) -> None:
        file = self._memory(remote, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_name(f".{file.name}.{os.getpid()}.{time.monotonic_ns()}")
        scratch.write_bytes(answer)
        scratch.replace(file)

    def _memory(self, remote: Remote, name: str) -> Path:
        place = hashlib.sha256(remote.url.encode()).hexdigest()[:12]
        return self.workspace.private / "remote" / place / name.replace("/", "~")


def offer(
    shared: Shared,
    remote: Remote,
    version: str,
    manifest: Manifest,
    notes: Iterable[tuple[str, bytes]] = (),
) -> str:
    """Bring a product and then its entry into the remote; `there` if all of it was, else `pushed`.

    The same product made twice has the same bytes, but beside them other times: whichever version of it was
    there first stays, so that two workspaces do not replace each other's for ever.

    Raises:
        RemoteError: it does not answer, or does not take them.
    """
    name = f"{manifest.key}.json"
    provenance = {what: known for what, known in manifest.provenance.items() if what != ELSEWHERE}
    document = {
        "key": manifest.key, "version": version, "manifest": manifest.document(), "provenance": provenance
    }  # fmt: skip
    for note, content in notes:
        if remote.read(note) != content:
            remote.write(note, content)
    first = _version_there(remote, manifest)
    is_damaged = any(shared.is_doubted(each) for each in {version, first or version})
    if first not in (None, version) and not is_damaged and remote.holds(first):
        return "there"
    is_new = remote.push(version, anew=is_damaged)
    shared.trust(version)
    if is_new or first != version:
        remote.write(name, seal_document(document))
        return "pushed"
    return "there"


def is_there(remote: Remote, manifest: Manifest) -> bool:
    """Whether the remote has an entry of this very product; raises RemoteError where it does not answer."""
    return _version_there(remote, manifest) is not None


def _version_there(remote: Remote, manifest: Manifest) -> str | None:
    """The version that the remote's entry of this very product names."""
    text = remote.read(f"{manifest.key}.json")
    try:
        entry = _entry(manifest.key, text) if text else None
    except Damaged:
        return None
    return entry.version if entry and entry.manifest.seal == manifest.seal else None


def prepare(remote: Remote) -> None:
    """Find out whether the remote takes anything before gigabytes are on their way."""
    if remote.read("README.txt") != README:
        remote.write("README.txt", README)


def _entry(key: str, text: bytes) -> Entry:
    document = unseal_document(text)
    if document.get("key") != key:
        raise Damaged("it is the entry of another product")
    manifest = manifest_of(document.get("manifest") or {})
    made = document.get("provenance")
    provenance = {**made, ELSEWHERE: True} if isinstance(made, dict) and made else {}
    if manifest.key != key or not isinstance(document.get("version"), str):
        raise Damaged("it is no entry")
    return Entry(document["version"], manifest.model_copy(update={"provenance": provenance}))


def learn(store: Store, entry: Entry) -> Manifest:
    """Remember the manifest of what a remote has, unless the product was made here."""
    before = store.remembered(entry.manifest.key)
    if before and before.seal == entry.manifest.seal:
        return before
    store.remember(entry.manifest)
    return entry.manifest


def _is_younger(file: Path, seconds: float) -> bool:
    try:
        return time.time() - file.stat().st_mtime < seconds
    except OSError:
        return False
