"""A source's files become documents: found, checked before any work starts, and read one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import yaml
from pydantic import ValidationError

from lmcore.config import SettingsError, explain
from lmcore.corpus.document import Document, Facts, Progress, Rejected, Writer, digest_of, reject
from lmcore.corpus.readers import Draft, UnreadableFileError
from lmcore.corpus.settings import Source, SourceChoice

DESCRIPTION = "source.yaml"
ABOUT = {DESCRIPTION, "README.md", "LICENCE.md", "LICENSE.md", "LICENSE", "LICENCE"}
"""Files that speak of a source, beside its description, and are no part of its text."""


def load_source(folder: Path) -> Source:
    """Read how a source describes itself, from its `source.yaml`.

    Raises:
        SettingsError: no such file, no YAML, or a setting is wrong.
    """
    file = folder / DESCRIPTION
    try:
        given = yaml.safe_load(file.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{file}: no such file; it has to say what the source is") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{file}: no readable YAML ({' '.join(str(error).split())})") from None
    if not isinstance(given, dict):
        raise SettingsError(f"{file}: no settings in it; expected title, origin, licence and reader")
    try:
        return Source.model_validate(given)
    except ValidationError as error:
        raise SettingsError(f"{file}: {explain(error, Source)}") from None


def root_of(source: Source, folder: Path) -> Path:
    """The folder that holds the source's files: its own, or the one that its `path` names."""
    return folder / Path(source.path).expanduser() if source.path else folder


def find_files(source: Source, folder: Path, choice: SourceChoice | None = None) -> list[Path]:
    """The chosen files, sorted, relative to `root_of`; looks at names and sizes only.

    Hidden files and folders, and what stands beside the description (README, LICENCE), are left out.

    Raises:
        UnreadableFileError: the folder is missing, no file matches, or a file is empty.
    """
    root = root_of(source, folder)
    if not root.is_dir():
        what = "a file; name its folder, and the file in `files`" if root.exists() else "no such folder"
        place = f"of source '{choice.name}'" if choice and choice.source else f"in {folder / DESCRIPTION}"
        raise UnreadableFileError(f"{root}: {what} (`path` {place})")
    skipped = ABOUT if root == folder else set()
    files = sorted((file for file in _walk(root) if file.as_posix() not in skipped), key=Path.as_posix)
    for patterns in (source.files, choice.files if choice else None):
        if patterns is not None:
            matching = [file for file in files if _matches(file, patterns)]
            if not matching:
                there = ", ".join(map(Path.as_posix, files[:5])) or "no file"
                raise UnreadableFileError(f"{root}: no file matches {', '.join(patterns)}; there is {there}")
            files = matching
    for file in files:
        _check_name_and_size(root, file)
    return files


def list_files(source: Source, folder: Path, choice: SourceChoice | None = None) -> list[Path]:
    """`find_files`, and each file proved to be what the source's reader expects (`check_files`)."""
    files = find_files(source, folder, choice)
    check_files(source, files, root_of(source, folder))
    return files


def check_files(source: Source, files: Sequence[Path], root: Path) -> None:
    """Read each file's first document: whole text files are decoded, tables are asked for their fields.

    Raises:
        UnreadableFileError: the first file, in order, that the reader refuses.
    """
    read = source.reader.build()
    for file in files:
        next(read(root / file), None)


def read_source(
    source: Source,
    source_name: str,
    files: Sequence[Path],
    root: Path,
    out: Path,
    progress: Progress | None = None,
) -> Facts:
    """Read files into `documents.parquet` and `rejected.parquet` in `out`.

    Args:
        files: relative to `root`, as `find_files` gives them.
        progress: called with the number of files read, and of all.

    Raises:
        UnreadableFileError: a file cannot be read as the source says, or no file has a document.
    """
    with (
        Writer(out / "documents.parquet", Document) as documents,
        Writer(out / "rejected.parquet", Rejected) as rejected,
    ):
        for number, file in enumerate(sorted(files, key=Path.as_posix), start=1):
            for row in _documents(source, source_name, root, file):
                if isinstance(row, Rejected):
                    rejected.write(row)
                else:
                    documents.write(row)
            if progress:
                progress(number, len(files))
    if not documents.num_rows:
        raise UnreadableFileError(
            f"source '{source_name}': {rejected.num_rows} records in {len(files)} files, and none is a "
            "document; is its reader the right one?"
        )
    return {
        "files": len(files),
        "documents": documents.num_rows,
        "rejected": rejected.num_rows,
        "characters": documents.num_characters,
    }


def _documents(source: Source, source_name: str, root: Path, file: Path) -> Iterator[Document]:
    drafts: Iterator[Draft] = source.reader.build()(root / file)
    name = file.as_posix()
    for number, draft in enumerate(drafts, start=1):
        document = Document(
            id=f"{source_name}/{name}#{number}",
            source=source_name,
            file=name,
            line=draft.line,
            title=draft.title,
            text=draft.text,
            digest=digest_of(draft.text),
        )
        if draft.problem:
            yield reject(document, "ingest", "unreadable_record", draft.problem)
        elif not draft.text.strip():
            yield reject(document, "ingest", "empty", "the text is empty")
        else:
            yield document


def _walk(root: Path) -> Iterator[Path]:
    """All plain files below the folder, relative to it."""
    for path in root.rglob("*"):
        file = path.relative_to(root)
        is_hidden = any(part.startswith(".") for part in file.parts)
        if path.is_file() and not is_hidden:
            yield file


def _check_name_and_size(root: Path, file: Path) -> None:
    try:
        file.as_posix().encode("utf-8")
    except UnicodeEncodeError:
        raise UnreadableFileError(f"{root / file!r}: the file's name is not UTF-8; rename it") from None
    if (root / file).stat().st_size == 0:
        cure = "fill it, or leave it out of the source's files"
        raise UnreadableFileError(f"{root / file}: the file is empty; {cure}")


def _matches(file: Path, patterns: Sequence[str]) -> bool:
    """Whether a pattern fits the whole path; `**/` stands for any folders, or none."""
    name = PurePosixPath(file.as_posix())
    return any(_fits(name.parts, tuple(pattern.split("/"))) for pattern in patterns)


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or (bool(parts) and _fits(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
