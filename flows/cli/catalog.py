"""The flows there are: one file beside this folder is one flow, found without importing any."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `lm --help` waits for neither pydantic nor YAML
    from tasks.engine.experiment import Experiment
    from tasks.engine.flow import AnyFlow

FOLDER = Path(__file__).resolve().parents[1]
ABOUT_FLOWS = ("deployments",)
"""Files beside the flows that are none themselves."""


def flow_files() -> list[Path]:
    """One file is one flow."""
    files = (path for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    return sorted(path for path in files if path.stem not in ABOUT_FLOWS)


def flow_names() -> dict[str, str]:
    """Name -> the DAG in arrows, which is the file's docstring; sorted by name."""
    return {path.stem: ast.get_docstring(ast.parse(path.read_text())) or "" for path in flow_files()}


def find_flow(name: str) -> AnyFlow:
    """The flow of that name.

    Raises:
        SettingsError: there is none.
    """
    known = [path.stem for path in flow_files()]
    if name not in known:
        from lmcore.config import SettingsError, did_you_mean

        raise SettingsError(f"no flow named '{name}'.{did_you_mean(name, known)}")
    found: AnyFlow = getattr(importlib.import_module(f"flows.{name}"), name)
    return found


def kind_of(flow: str) -> type[Experiment]:
    """The class of experiments that a flow takes."""
    kind: type[Experiment] = find_flow(flow).experiment
    return kind
