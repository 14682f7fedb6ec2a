"""The graph in formats of others, each through its own library: `pip install "lmworks[lineage]"`.

openlineage.py   events of runs, for catalogues such as Marquez or DataHub
cyclonedx.py     a bill of materials of the model, for whoever keeps account of what is in use
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from uuid import UUID, uuid5

from lmcore.config import SettingsError

PROJECT = "lmworks"
NAMES = UUID("6f0d4a3e-6f5b-5f57-9c39-0f7f3d7b6a10")
"""Under which ids are derived: the same product has the same id in every export."""


def project_version() -> str:
    return version(PROJECT)


def id_of(what: str) -> UUID:
    """An id that depends on nothing but what it stands for."""
    return uuid5(NAMES, what)


@contextmanager
def needing(package: str) -> Iterator[None]:
    """Say how to install what an export is written through.

    Raises:
        SettingsError: it is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingsError(
            f'{package} is not installed, and this is written through it: pip install "{PROJECT}[lineage]"'
        ) from error
