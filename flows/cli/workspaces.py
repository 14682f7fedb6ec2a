"""`lm init`: a workspace of the user's own, apart from the tool."""

from __future__ import annotations

from pathlib import Path

from lmcore.config import SettingsError
from tasks.engine.workspace import MARKER

GITIGNORE = """\
# products: kept by DVC and MLflow, not by git
/.lm/
/models/
/reports/
/mlflow.db*
/mlartifacts/
/data/*
!/data/sources/
"""

EXAMPLE = """\
# What to learn from, and whatever differs from the defaults. Run it: lm build_assistant {name}
sources:
  - name: {name}
    path: {path}
    licence: {licence}
"""


def init_command(folder: Path, texts: Path | None) -> None:
    """Make the folder a workspace; with texts, write the one file that starts a model from them."""
    folder = folder.expanduser()
    if (folder / MARKER).exists():
        raise SettingsError(f"{folder} is a workspace already")
    if folder.is_file():
        raise SettingsError(f"{folder} is a file; name a folder")
    if texts and not texts.expanduser().is_dir():
        raise SettingsError(f"--texts {texts} is no folder; name the one that holds your .txt files")
    for part in ("data/sources", "experiments/build_assistant", "parts"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    if not (folder / ".gitignore").exists():
        (folder / ".gitignore").write_text(GITIGNORE)
    from tasks.versioning import init

    init(folder)
    (folder / MARKER).touch()
    print(f"{folder} is a workspace now")
    if texts is None:
        print(
            "next: lm add FOLDER describes your texts as a source; or say where they are in\n"
            "      experiments/build_assistant/NAME.yaml,\n"
            "      then: lm build_assistant NAME"
        )
        return
    name = _name(texts.expanduser())
    file = folder / "experiments" / "build_assistant" / f"{name}.yaml"
    file.write_text(
        EXAMPLE.format(name=name, path=texts.expanduser().absolute(), licence="unknown, for own use only")
    )
    print(f"wrote {file}\nnext: cd {folder} && lm build_assistant {name}")


def _name(texts: Path) -> str:
    letters = "".join(letter if letter.isalnum() else "_" for letter in texts.absolute().name.lower())
    return letters.strip("_") or "texts"
