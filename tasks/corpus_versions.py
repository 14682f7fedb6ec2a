"""A corpus as it is now or as it was: by its name, by digits of a version, or by what was made from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lmcore.config import SettingsError
from lmcore.lineage import Manifest
from tasks.catalogue import corpora_of, find_corpus, finished
from tasks.engine.workspace import Workspace
from tasks.lineage.diff.documents import CORPUS, folder_of
from tasks.lineage.find import find_product, known_products
from tasks.lineage.graph import Node, ordered

if TYPE_CHECKING:
    from lmcore.corpus.catalogue import Products

DIGITS = 12
"""Of a digest, that tell versions apart."""


@contextmanager
def corpus_version(workspace: Workspace, called: str) -> Iterator[tuple[str, Products]]:
    """A corpus, and what to call it; one that was replaced since is written out of DVC's cache for a while.

    Args:
        called: the name of a corpus, or whatever `find_product` knows: digits of a version's digest or key, a
            registered model such as demo@v3, of which the corpus behind it is meant.

    Raises:
        SettingsError: nothing is called so, several corpora are behind it, or no copy of it is left.
    """
    from lmcore.corpus.catalogue import Products

    if called in corpora_of(workspace):
        yield called, find_corpus(workspace, called).products
        return
    corpus = _corpus_behind(workspace, called)
    title = f"{corpus.name} {corpus.digest[:DIGITS]}"
    with folder_of(workspace, corpus) as folder:
        if folder is None:
            raise SettingsError(f"no copy is left of the version {title}; name another one, or run it again")
        yield title, Products(folder)


def version_before(workspace: Workspace, name: str) -> str:
    """The key of the version that stood under a corpus's name before the one that stands there now.

    Raises:
        SettingsError: there is no such corpus, or no earlier version is known.
    """
    now = find_corpus(workspace, name).manifest
    earlier = [each for each in known_products(workspace) if _is_earlier(each, now)]
    if not earlier:
        raise SettingsError(
            f"no earlier version of corpus '{name}' is known here; name what to compare it with: "
            f"lm data diff OTHER {name}"
        )
    return max(earlier, key=lambda each: (finished(each), each.key)).key


def _is_earlier(each: Manifest, now: Manifest) -> bool:
    is_another = (each.step, each.name) == (now.step, now.name) and each.digest != now.digest
    return is_another and finished(each) <= finished(now)


def _corpus_behind(workspace: Workspace, called: str) -> Node:
    try:
        root = find_product(workspace, called).trace(workspace)
    except SettingsError:
        if "@" not in called and set(called) - set("0123456789abcdef"):
            find_corpus(workspace, called)  # it knows the names that may be meant
        raise
    found = {node.digest: node for node in ordered(root) if node.step == CORPUS}
    if len(found) != 1:
        several = "several corpora are" if found else "no corpus is"
        raise SettingsError(f"{several} behind {called}; name a corpus, or digits of a version of one")
    return next(iter(found.values()))
