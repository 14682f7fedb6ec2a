"""The one gatekeeper of DVC: whoever wants it to write waits here, and tries again where it was busy.

DVC's own lock gives up after three seconds, so two branches of a run that both kept a version would fail.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tasks.engine.locks import lock
from tasks.versioning.objects import VersioningError

LOCK = Path(".lm") / "versioning.lock"
T = TypeVar("T")


def alone(workspace: Path) -> AbstractContextManager[None]:
    """Held by the one process, and the one thread in it, that lets DVC write."""
    return lock(workspace / LOCK)


@contextmanager
def repository(workspace: Path, config: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """The workspace as DVC sees it, opened without a word on the terminal or the network."""
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    from dvc.repo import Repo  # type: ignore[import-untyped,unused-ignore]

    for name in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Git is not wanted: a workspace that was copied without its `.git` has a cache too, and DVC would write
    # `.gitignore` files where the workspace's own ignores products already.
    opened = Repo(str(workspace), config={"core": {"no_scm": True}, **(config or {})})
    try:
        yield opened
    finally:
        opened.close()


def retry(action: Callable[[], T], waits: Iterable[float] = (0.2, 1.0, 3.0)) -> T:
    """Try again after a busy disk, DVC or state database; what waiting does not mend is told at once."""
    for wait in waits:
        try:
            return action()
        except VersioningError:
            raise
        except Exception as error:  # DVC, sqlite and the file system each have their own
            if _is_final(error):
                raise
            time.sleep(wait)
    return action()


def _is_final(error: Exception) -> bool:
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc_objects.errors import ObjectFormatError

    return isinstance(error, DvcException | ObjectFormatError) and not isinstance(error, LockError)
