"""`dvc.yaml` and `dvc.lock`: the stages by which DVC knows how each data product is made, and from what.

Reading them never imports DVC. Writing keeps what others have written, comments included; what stands in
`dvc.lock` is DVC's own work.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.versioning.gate import alone, repository, retry
from tasks.versioning.objects import VersioningError

PIPELINE, LOCKED = "dvc.yaml", "dvc.lock"
HEADER = """\
# A stage for each data product of each experiment, kept in step by `lm`: run an experiment, and its stages
# are here. What you add or say yourself is left alone. `dvc repro`, `dvc status`, `dvc push` and the rest
# work as in any DVC project.
"""


@dataclass(frozen=True)
class Stage:
    """How DVC makes one data product."""

    name: str
    flow: str
    experiment: str
    step: str
    deps: tuple[str, ...]
    """What it reads, relative to the workspace."""
    out: str

    @property
    def command(self) -> str:
        return shlex.join(["lm", self.flow, self.experiment, "--until", self.step])

    def entry(self) -> dict[str, Any]:
        """As it stands in `dvc.yaml`. Without `persist`, DVC would delete the product before `lm` saw it."""
        return {"cmd": self.command, "deps": list(self.deps), "outs": [{self.out: {"persist": True}}]}


@dataclass(frozen=True)
class Pipeline:
    """What `dvc.yaml` and `dvc.lock` say now."""

    stages: Mapping[str, Any]
    locked: Mapping[str, Any]

    def made_by(self, out: str) -> list[str]:
        """The stages that make what lies at an address, or in a folder around it, or in it."""
        parts = Path(out).parts
        return [
            name
            for name, entry in self.stages.items()
            for path in _paths(entry, "outs")
            if parts[: len(Path(path).parts)] == Path(path).parts[: len(parts)]
        ]

    def version_of(self, name: str, out: str) -> str | None:
        """The version that `dvc.lock` gives a stage's product."""
        entry = self.locked.get(name)
        rows = entry.get("outs", []) if isinstance(entry, dict) else []
        return next(
            (row.get("md5") for row in rows if isinstance(row, dict) and row.get("path") == out), None
        )


def read_pipeline(workspace: Path) -> Pipeline:
    """Both files; empty where there are none.

    Raises:
        VersioningError: one of them is no YAML of the kind.
    """
    stages, locked = (_stages_in(workspace / name) for name in (PIPELINE, LOCKED))
    return Pipeline(stages, locked)


def is_ours(entry: Any) -> tuple[str, str] | None:
    """The flow and the experiment of a stage that was written here; None for a user's own."""
    command = entry.get("cmd") if isinstance(entry, Mapping) else None
    with suppress(ValueError):
        match shlex.split(command) if isinstance(command, str) else []:
            case ["lm", flow, experiment, "--until", _]:
                return flow, experiment
    return None


def update_pipeline(
    workspace: Path, changed: Iterable[Stage], gone: Iterable[str], commit: Iterable[str]
) -> Mapping[str, Any]:
    """Write stages that changed, remove those that are gone, and let DVC record what stands there now.

    Returns:
        what `dvc.lock` then says, by stage.

    Raises:
        VersioningError: DVC does not take one of the files, or was busy all the time.
    """
    with alone(workspace):
        _write(workspace, PIPELINE, {stage.name: stage.entry() for stage in changed}, gone)
        _write(workspace, LOCKED, {}, gone)
        try:
            retry(lambda: _commit(workspace, list(commit)))
        except VersioningError:
            raise
        except Exception as error:  # DVC has many, and each may have several lines
            raise VersioningError(f"DVC did not record the data: {' '.join(str(error).split())}") from error
    return read_pipeline(workspace).locked


def _commit(workspace: Path, names: list[str]) -> None:
    with repository(workspace) as opened:
        for name in names:
            # Not linked again: a product in its place is a copy, and stays the very files that were proved.
            opened.commit(f"{workspace.absolute() / PIPELINE}:{name}", force=True, relink=False)


def _write(workspace: Path, file: str, changed: Mapping[str, Any], gone: Iterable[str]) -> None:
    """Replace the file in one step, if that changes anything."""
    path, gone = workspace / file, list(gone)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if not changed and not (gone and text):
        return
    from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

    document: Any = parse_yaml_for_update(text, str(path))
    if not document.get("stages"):
        document["stages"] = {}
    stages = document["stages"]
    for name in gone:
        stages.pop(name, None)
    for name, entry in changed.items():
        stages[name] = {**stages.get(name, {}), **entry}
    if file == PIPELINE and not text:
        text = HEADER
    fresh = (text if not text.strip(HEADER) else "") + dumps_yaml(document)
    scratch = workspace / ".lm" / file
    scratch.parent.mkdir(parents=True, exist_ok=True)
    scratch.write_text(fresh, encoding="utf-8")
    scratch.replace(path)


def _stages_in(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        # In C where it is built in: ten times as fast, and this is read on every run.
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
        stages = document.get("stages") or {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise VersioningError(f"{file.name} does not read: {' '.join(str(error).split())}; mend it") from None
    if not isinstance(stages, dict):
        raise VersioningError(f"{file.name} has `stages` that are no mapping; mend it")
    return stages


def _paths(entry: Any, kind: str) -> list[str]:
    """The paths that a stage names, each written alone or with options."""
    rows = entry.get(kind) if isinstance(entry, Mapping) else None
    return [path for row in rows or () for path in ([row] if isinstance(row, str) else row)]
