"""A workspace without anything in it, and the toy flow to run there."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from lmcore.lineage import read_manifest
from tasks.engine.workspace import Workspace

ROOT = Path(__file__).parents[3]
TOY = Path(__file__).with_name("toy_flow.py")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("toy_flow", TOY)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy_flow"] = module
    spec.loader.exec_module(module)
    return module


_toy = _load()


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """The module `toy_flow.py`."""
    return _toy


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "workspace"
    (root / "data" / "sources").mkdir(parents=True)
    (root / "experiments").mkdir()
    (root / "data" / "sources" / "toy.txt").write_text("it is a truth universally acknowledged")
    (root / ".lmworks").touch()
    return Workspace(root)


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Start the toy flow as a process."""

    def start(workspace: Workspace, name: str = "demo", pause: float = 0, **settings: object):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TOY_PAUSE": str(pause)}
        command = [sys.executable, str(TOY), str(workspace.root), json.dumps(settings), name]
        return subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    return start


@pytest.fixture
def products() -> Callable[[Workspace], dict[str, str]]:
    """Address -> content digest of every product in its place."""

    def products(workspace: Workspace) -> dict[str, str]:
        manifests = [
            path
            for pattern in ("data/*/*", "models/*", "reports/*")
            for path in sorted(workspace.root.glob(f"{pattern}/manifest.json"))
        ]
        return {workspace.address(path.parent): read_manifest(path.parent).digest for path in manifests}

    return products
