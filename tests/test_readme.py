"""What the README says is so: its commands exist, its files are there, its example works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.catalog import flow_names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = sorted(set(re.findall(r"\blm ([a-z][a-z_-]*)\b", README)))


@pytest.fixture(scope="module")
def known_commands() -> str:
    done = subprocess.run([sys.executable, "-m", "flows", "--help"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_that_it_names_exists(command: str, known_commands: str):
    assert re.search(rf"^  {command}\b", known_commands, re.MULTILINE)


def test_every_command_is_named(known_commands: str):
    commands = re.findall(r"^  ([a-z][a-z_-]*) ", known_commands.partition("Commands:")[2], re.MULTILINE)
    assert set(commands) == set(COMMANDS)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z]+)\b", README))))
def test_each_make_target_exists(target: str):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:flows|tasks|lmcore|data|tests)/[\w/.]*)`", README)))
)
def test_each_path_exists_or_is_the_example(path: str):
    assert (ROOT / path).exists() or path == "lmcore/corpus/filters/shouting.py"


def test_the_grid_names_real_flows_tasks_and_parts():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+\.py)` \| `([\w ]+)` \|([^|]*)\|([^|]*)\|$", README, re.MULTILINE)
    flows = set(flow_names())
    assert {row[0] for row in rows} == flows
    for _, flow, tasks, parts, tests in rows:
        assert (ROOT / "flows" / flow).is_file()
        assert all((ROOT / "tasks" / f"{task}.py").is_file() for task in tasks.split())
        assert all((ROOT / "lmcore" / part).is_dir() for part in re.findall(r"`([\w/]+)`", parts))
        assert all((ROOT / "tests" / "lmcore" / part).is_dir() for part in re.findall(r"`([\w/]+)`", tests))


def test_the_example_of_a_part_works_from_a_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "shouting.py").write_text(EXAMPLES[1])
    from lmcore import registry
    from lmcore.corpus.settings import FilterPart
    from lmcore.corpus.text import Text

    monkeypatch.setattr(registry, "workspace_parts", [tmp_path])
    shouting = FilterPart(type="shouting", max_capitals_share=0.3)
    assert [limit.column for limit in shouting.limits] == ["shouting_capitals_share"]
    measure = shouting.measurement.build()
    assert measure(Text("QUITE LOUD")) == {"capitals_share": 0.9}
    assert measure(Text("rather quiet")) == {"capitals_share": 0.0}


def test_lmcore_alone_trains_and_samples_in_fifteen_lines(tmp_path: Path):
    code = EXAMPLES[0]
    assert len([line for line in code.splitlines() if line]) <= 15
    blocked = (
        "import sys\n"
        "for name in 'prefect mlflow dvc datasets transformers pyarrow duckdb tasks flows'.split():\n"
        "    sys.modules[name] = None\n"
    )
    (tmp_path / "text.txt").write_text("She sells sea shells on the sea shore. " * 50)
    done = subprocess.run(
        [sys.executable, "-c", blocked + code.replace("range(300)", "range(60)")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "se" in done.stdout
