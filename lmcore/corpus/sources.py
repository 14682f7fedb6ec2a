"""What a source is and which files it has: its description, its folder, its patterns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

import yaml
from pydantic import ValidationError

from lmcore.config import SettingsError, explain
from lmcore.corpus.fetching import home_of
from lmcore.corpus.inputs import UnreadableFileError
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


def root_of(source: Source, folder: Path, fetched: Path | None = None) -> Path:
    """The folder that holds the source's files: its own, or the one that its description names.

    Args:
        fetched: the folder of all that is brought from elsewhere.

    Raises:
        SettingsError: the package is not installed.
    """
    if source.is_fetched:
        assert fetched
        return home_of(source, fetched)
    if source.package:
        return Path(str(_distribution(source.package).locate_file("")))
    return folder / Path(source.path).expanduser() if source.path else folder


def is_chosen(name: str, source: Source, choice: SourceChoice | None) -> bool:
    """Whether the patterns of a source, and of the choice of it, take a file of that name."""
    patterns = (source.files, choice.files if choice else None)
    return all(each is None or _matches(Path(name), each) for each in patterns)


def find_files(
    source: Source, folder: Path, choice: SourceChoice | None = None, fetched: Path | None = None
) -> list[Path]:
    """The chosen files, sorted, relative to `root_of`; looks at names only.

    Hidden files and folders, and what stands beside the description (README, LICENCE), are left out.

    Raises:
        UnreadableFileError: the folder is missing, no file matches, or a name is not UTF-8.
    """
    root = root_of(source, folder, fetched)
    if not root.is_dir():
        what = "a file; name its folder, and the file in `files`" if root.exists() else "no such folder"
        place = f"of source '{choice.name}'" if choice and choice.source else f"in {folder / DESCRIPTION}"
        raise UnreadableFileError(root, f"{what} (`path` {place})")
    skipped = ABOUT if root == folder else set()
    there_are = _files_of(source.package) if source.package else _walk(root)
    files = sorted((file for file in there_are if file.as_posix() not in skipped), key=Path.as_posix)
    for patterns in (source.files, choice.files if choice else None):
        if patterns is not None:
            matching = [file for file in files if _matches(file, patterns)]
            if not matching:
                there = ", ".join(map(Path.as_posix, files[:5])) or "no file"
                raise UnreadableFileError(root, f"no file matches {', '.join(patterns)}; there is {there}")
            files = matching
    for file in files:
        _check_name(root, file)
    return files


def _distribution(package: str) -> Distribution:
    try:
        return distribution(package)
    except PackageNotFoundError:
        cure = f"pip install {package}"
        raise SettingsError(f"the package '{package}' is not installed; {cure}") from None


def _files_of(package: str) -> Iterator[Path]:
    """The files that an installed package brought, without those that installing it has written."""
    for file in _distribution(package).files or ():
        is_about = any(part.endswith((".dist-info", "__pycache__")) for part in file.parts)
        if not is_about and ".." not in file.parts:
            yield Path(file)


def _walk(root: Path) -> Iterator[Path]:
    """All plain files below the folder, relative to it."""
    for path in root.rglob("*"):
        file = path.relative_to(root)
        is_hidden = any(part.startswith(".") for part in file.parts)
        if path.is_file() and not is_hidden:
            yield file


def _check_name(root: Path, file: Path) -> None:
    try:
        file.as_posix().encode("utf-8")
    except UnicodeEncodeError:
        raise UnreadableFileError(repr(root / file), "the file's name is not UTF-8; rename it") from None


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
