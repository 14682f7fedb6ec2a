"""Libraries that only some readers need, and what to do where they are not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lmcore.config import SettingsError

EXTRA = "documents"


@contextmanager
def needs_extra(reader: str) -> Iterator[None]:
    """Around the import of a reader's library.

    Raises:
        SettingsError: it is not installed; says which extra brings it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the reader '{reader}' needs {error.name}, which is not installed; "
            f'pip install "lmworks[{EXTRA}]"'
        ) from None
