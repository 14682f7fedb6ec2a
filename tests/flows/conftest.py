"""A workspace in which the tiny experiment was run for real: `lm`, Prefect's server, MLflow, DVC."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from pages import chromium

ROOT = Path(__file__).parents[2]
LONG = ("test_faults", "test_story", "test_serving", "test_release", "test_changes")
"""Files with which to begin, so that no process is left with one at the end; the first builds for all."""
TINY = ROOT / "flows" / "experiments" / "build_assistant" / "tiny.yaml"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@dataclass(frozen=True)
class Lm:
    """The `lm` command in one workspace."""

    workspace: Path
    num_calls: ClassVar[int] = 27
    """Calls of steps in the whole of the tiny experiment."""

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flows", *arguments],
            cwd=self.workspace,
            env=os.environ | {"PYTHONPATH": str(ROOT), "LM_WORKSPACE": str(self.workspace)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run it to the end; its output, if it ends with `code`."""
        process = self.start(*arguments, **environment)
        out, errors = process.communicate(timeout=280)
        assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{errors}"
        assert "Traceback" not in out + errors, out + errors
        return out + errors

    def kill_inside(self, step: str, after_seconds: float, *command: str, **environment: str) -> bool:
        """Start a run and `kill -9` it so long after a step began; False if it ended before."""
        process = self.start(*command, **environment)
        scratch = self.workspace / ".lm" / "scratch"
        while process.poll() is None and not list(scratch.glob(f"{step}-*")):
            time.sleep(0.002)
        time.sleep(after_seconds)
        was_running = process.poll() is None
        process.kill()
        process.communicate()
        return was_running

    def actions(self, *arguments: str) -> dict[str, str]:
        """What `lm plan` says of each step of the tiny experiment (of the worst where one runs twice)."""
        worst = ("run", "depends", "restore", "reuse")
        rows: dict[str, str] = {}
        for line in self("plan", "build_assistant", "tiny", *arguments).splitlines():
            words = line.split()
            if len(words) > 2 and words[0] in worst:
                rows[words[1]] = min(words[0], rows.get(words[1], "reuse"), key=worst.index)
        return rows

    def digests(self) -> dict[str, str]:
        """Step and name -> content digest of every product in its place."""
        found = {}
        for pattern in ("data/*/*", "models/*", "reports/*"):
            for manifest in sorted(self.workspace.glob(f"{pattern}/manifest.json")):
                document = json.loads(manifest.read_text())
                found[f"{document['step']} {document['name']}"] = document["digest"]
        return found

    def address(self, step: str, name: str = "tiny") -> Path:
        """Where a step's product of that name lies."""
        manifests = [
            path
            for pattern in ("data/*/*", "models/*", "reports/*")
            for path in self.workspace.glob(f"{pattern}/manifest.json")
            if (made := json.loads(path.read_text()))["step"] == step and made["name"] == name
        ]
        assert len(manifests) == 1, manifests
        return manifests[0].parent


def make_workspace(folder: Path) -> Lm:
    """A workspace with the shipped sources and the tiny experiment, in which nothing has been run."""
    (folder / "data").mkdir(parents=True)
    shutil.copytree(ROOT / "data" / "sources", folder / "data" / "sources")
    (folder / "experiments" / "build_assistant").mkdir(parents=True)
    shutil.copy(TINY, folder / "experiments" / "build_assistant")
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    (folder / ".lmworks").touch()
    return Lm(folder)


def for_all_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes that run tests have in common."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def workspace_at() -> Callable[[Path], Lm]:
    """Makes a workspace in a folder."""
    return make_workspace


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Lm:
    """The tiny experiment, run once from nothing; look, but do not touch.

    Of several processes that run tests the first one makes it, and each has a copy.
    """
    from tasks.engine.locks import lock

    shared = for_all_processes(tmp_path_factory)
    original = shared / "built-for-all" / "workspace"
    with lock(shared / "built.lock"):
        if not (original / "output.txt").exists():
            shutil.rmtree(original.parent, ignore_errors=True)
            lm = make_workspace(original)
            (original / "output.txt").write_text(lm("build_assistant", "tiny"))
    copy = tmp_path_factory.mktemp("built") / "workspace"
    shutil.copytree(original, copy, symlinks=True)
    return Lm(copy)


@pytest.fixture
def moved(built: Lm, tmp_path: Path) -> Lm:
    """A copy of the built workspace in another folder, to do with as one likes."""
    shutil.copytree(built.workspace, tmp_path / "moved", symlinks=True)
    return Lm(tmp_path / "moved")


@pytest.fixture
def fresh(tmp_path: Path) -> Lm:
    """A workspace in which nothing has been run."""
    return make_workspace(tmp_path / "fresh")


@pytest.fixture(scope="session")
def lm_in() -> type[Lm]:
    """The `lm` command in a folder of the test's choice."""
    return Lm


@pytest.fixture(scope="session")
def with_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Lm], None]]:
    """Lets the runs of a workspace find a Prefect server that is up: one for all tests, in all processes."""
    from tasks.engine.server import prefect_server
    from tasks.engine.workspace import Workspace

    def share(lm: Lm) -> None:
        home = lm.workspace / ".lm" / "prefect"
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(workspace.private / "prefect" / "server.json", home)

    workspace = Workspace(for_all_processes(tmp_path_factory) / "server")
    workspace.root.mkdir(exist_ok=True)
    (workspace.root / ".lmworks").touch()
    with prefect_server(workspace):
        yield share


@pytest.fixture
def browser(tmp_path):
    """Chromium without a window."""
    with chromium(tmp_path / "chromium") as driven:
        yield driven
