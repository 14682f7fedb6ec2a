"""Imports point down, each service has one door, and a plan never waits for a heavy library."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "prefect", "mlflow", "dvc", "datasets", "transformers", "pyarrow", "duckdb", "matplotlib")

# `a: b` reads "a may import b"; every part may import itself and the four foundations.
FOUNDATIONS = {"config", "registry", "lineage", "runtime"}
MAY_IMPORT = {
    "nn": set(),
    "models": {"nn"},
    "corpus": set(),
    "tokenizers": {"chat"},
    "chat": set(),
    "conversations": {"corpus", "chat"},
    "batching": {"corpus", "tokenizers", "chat"},
    "interop": {"models", "nn", "tokenizers", "chat", "finetune"},
    "generate": {"models", "nn"},
    "train": {"models", "nn", "batching", "tokenizers", "interop", "generate"},
    "finetune": {
        "train",
        "models",
        "nn",
        "batching",
        "tokenizers",
        "chat",
        "interop",
        "generate",
        "conversations",
    },
    "evaluate": {
        "models",
        "nn",
        "batching",
        "corpus",
        "tokenizers",
        "generate",
        "interop",
        "conversations",
        "chat",
    },
    "merge": {"interop"},
}

DOORS = {
    "prefect": ("tasks/engine/",),
    "mlflow": ("tasks/tracking/", "tasks/pyfunc_model.py"),
    "dvc": ("tasks/versioning",),
    "dvc_data": ("tasks/versioning",),
}


def modules(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in tree.body if top_level_only else ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively; write the whole name"
            yield node.module or ""


@pytest.mark.parametrize(
    ("package", "above"), [("lmcore", {"tasks", "flows"}), ("tasks", {"flows"}), ("flows", set())]
)
def test_imports_point_down(package: str, above: set[str]):
    for path in modules(package):
        reached = {name.partition(".")[0] for name in imports(path)}
        assert not reached & above, f"{path} imports {reached & above}"


def test_parts_of_lmcore_import_only_what_the_design_allows():
    for path in modules("lmcore"):
        part = path.relative_to(ROOT / "lmcore").parts[0].removesuffix(".py")
        allowed = MAY_IMPORT.get(part, set()) | FOUNDATIONS | {part}
        for name in imports(path):
            if name.startswith("lmcore."):
                assert name.split(".")[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_every_part_of_lmcore_has_its_place_in_the_order():
    parts = {
        path.name for path in (ROOT / "lmcore").iterdir() if path.is_dir() and (path / "__init__.py").exists()
    }
    assert parts == set(MAY_IMPORT)


@pytest.mark.parametrize("service", DOORS)
def test_each_service_has_one_door(service: str):
    for path in modules("lmcore", "tasks", "flows"):
        place = path.relative_to(ROOT).as_posix()
        if service in {name.partition(".")[0] for name in imports(path)}:
            assert place.startswith(DOORS[service]), f"{place} talks to {service} past its door"


def test_settings_import_nothing_heavy():
    for path in [*(ROOT / "lmcore").rglob("settings.py"), *(ROOT / "tasks").rglob("settings.py")]:
        reached = {name.partition(".")[0] for name in imports(path)}
        assert not reached & {*HEAVY, "numpy"}, path


def test_flows_can_be_planned_without_any_heavy_library():
    blocked = (
        "import sys, importlib\n"
        f"heavy = {HEAVY!r}\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in heavy: raise ImportError('blocked: ' + name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "import flows.cli.commands, flows.cli.running\n"
        "from flows.cli.catalog import find_flow, flow_names\n"
        "assert len(flow_names()) >= 6\n"
        "for name in flow_names(): find_flow(name).experiment\n"
    )
    done = subprocess.run([sys.executable, "-c", blocked], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_waits_neither_for_pydantic_nor_for_yaml():
    code = "import sys, flows.cli.commands; print({'pydantic', 'yaml'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_every_flow_is_one_file_one_function_and_one_docstring():
    from flows.cli.catalog import find_flow, flow_names

    for name, arrows in flow_names().items():
        flow = find_flow(name)
        assert flow.name == name
        assert "->" in arrows
        assert flow.function.__doc__ == arrows
