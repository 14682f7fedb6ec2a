"""What other limits would reject, decided anew from what was measured: no text is read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lmcore.config import SettingsError, did_you_mean
from lmcore.corpus.catalogue import rows, table_of
from lmcore.corpus.clean import NothingLeftError
from lmcore.corpus.filter import filter_documents
from lmcore.corpus.filters import kind_of
from lmcore.corpus.settings import FilterPart

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]
BY_SOURCE = """
    SELECT source, (count(*))::BIGINT AS documents,
        (count(*) FILTER (was IS NOT NULL))::BIGINT AS rejected_now,
        (count(*) FILTER (will IS NOT NULL))::BIGINT AS rejected_then,
        (count(*) FILTER (was IS NULL AND will IS NOT NULL))::BIGINT AS newly_rejected,
        (count(*) FILTER (was IS NOT NULL AND will IS NULL))::BIGINT AS newly_kept
    FROM judged GROUP BY ALL ORDER BY ALL
"""
EXAMPLES = """
    SELECT id, source, coalesce(will, was) AS rule, reason, was IS NULL AS is_rejected FROM judged
    WHERE (was IS NULL) <> (will IS NULL) ORDER BY is_rejected DESC, sha256(id)
"""


@dataclass(frozen=True)
class Trial:
    """Rejections by the filters as they are, and as they would be."""

    sources: list[Row]
    """Of each source: documents, rejected_now, rejected_then, newly_rejected, newly_kept."""
    changed: list[Row]
    """Documents whose fate would be another one: id, source, rule, reason, is_rejected."""


def with_limits(filters: Sequence[FilterPart], changes: Sequence[str]) -> tuple[FilterPart, ...]:
    """Filters with other limits.

    Args:
        changes: such as `length.min_words=80`; `null` switches a limit off.

    Raises:
        SettingsError: no such filter or limit, or a value that is none.
    """
    import yaml

    parts = {part.type: part for part in filters}
    for change in changes:
        path, equals, value = change.partition("=")
        name, _, dial = path.strip().partition(".")
        if not equals or not dial:
            raise SettingsError(f"'{change}' is no limit; expected one such as length.min_words=80")
        if name not in parts:
            hint = did_you_mean(name, parts)
            raise SettingsError(
                f"filter '{name}' has measured nothing in this corpus.{hint}; to have it measure, add it to "
                "`filters` of the experiment"
            )
        known = [each for each in parts[name].dials if kind_of(each)]
        if dial not in known:
            raise SettingsError(f"filter '{name}' has no limit '{dial}'.{did_you_mean(dial, known)}")
        try:
            parts[name] = FilterPart.model_validate({**dict(parts[name]), dial: yaml.safe_load(value)})
        except (ValueError, yaml.YAMLError) as error:
            told = error.errors()[0]["msg"] if hasattr(error, "errors") else "no value"
            raise SettingsError(f"{path} is {value!r}: {told.removeprefix('Value error, ')}") from None
    return tuple(parts.values())


def try_limits(database: duckdb.DuckDBPyConnection, documents: Path, filters: Sequence[FilterPart]) -> Trial:
    """Decide again, by the code of the step, and compare with what was decided.

    Args:
        documents: the folder that `clean_documents` filled.
    """
    with TemporaryDirectory(prefix="lm-try-") as folder:
        with suppress(NothingLeftError):  # what it has written by then is whole
            filter_documents(documents, Path(folder), filters)
        first = "row_number() OVER (PARTITION BY id ORDER BY file_row_number) = 1"
        then = f"SELECT id, rule, reason FROM {table_of(Path(folder) / 'decisions.parquet')} QUALIFY {first}"
        database.execute(f"""
            CREATE OR REPLACE TEMP TABLE judged AS
            SELECT signals.id, source, was.rule AS was, will.rule AS will,
                coalesce(will.reason, was.reason) AS reason
            FROM signals LEFT JOIN (FROM decisions WHERE is_first AND stage = 'filter') AS was USING (id)
            LEFT JOIN ({then}) AS will ON will.id = signals.id
        """)
    return Trial(rows(database, BY_SOURCE), rows(database, EXAMPLES))
