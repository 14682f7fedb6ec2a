"""The code fingerprint: what it notices, what it does not, and that every Python sees the same."""

import json
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from tasks.engine.code import CodeReader, read_module

ROOT = Path(__file__).parents[3]
TREE = {
    "tasks/toy.py": '''
        """Runs."""
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from lmcore.config import Config
        from lmcore.toy import settings
        from lmcore.toy.exported import renamed
        from lmcore.toy.shape import WIDTH
        from tasks.engine.step import step
        if TYPE_CHECKING:
            from lmcore.toy.shape import Annotated

        @step(makes=None, forecast=lambda _: 1)
        def run(build, shape: Annotated, *, size: int = 3):
            """Runs it."""
            from lmcore.toy.late import late
            # a comment
            shape.area()
            return late(renamed(WIDTH)), settings.ToySettings().double(), ENTRY_IN_USE

        ENTRY_IN_USE = "lmcore.toy.process:main"

        def unrelated():
            return 1
        ''',
    "tasks/silent.py": """
        ENTRY = "lmcore.toy.process:main"

        def run(build):
            pass
        """,
    "lmcore/toy/__init__.py": "",
    "lmcore/toy/exported.py": "from lmcore.toy.deep import original as renamed\n",
    "lmcore/toy/deep.py": "from .table import TABLE\ndef original(x): return TABLE[x]\n",
    "lmcore/toy/table.py": """
        def base(): return {}
        TABLE = base()
        TABLE[1] = 2
        for each in (3, 4):
            TABLE[each] = each
        """,
    "lmcore/toy/shape.py": """
        WIDTH = 4
        DEPTH = 5
        class Annotated:
            def area(self): return helper()
        def helper(): return 6
        """,
    "lmcore/toy/late.py": """
        from pathlib import Path
        import sys
        TEMPLATE = Path(__file__).with_name("page.jinja").read_text()
        if sys.platform == "linux":
            def late(x): return one(x)
        else:
            def late(x): return two(x)
        def one(x): return TEMPLATE
        def two(x): return x
        if __name__ == "__main__":
            print(late(1))
        """,
    "lmcore/toy/page.jinja": "page",
    "lmcore/toy/process.py": "def main(): return inner()\ndef inner(): return 7\ndef other(): return 8\n",
    "lmcore/toy/settings.py": '''
        from typing import ClassVar
        from lmcore.config import Config
        class ToySettings(Config):
            """Settings."""
            size: int = 3
            """How big."""
            FACTOR: ClassVar[int] = 2
            def double(self): return self.FACTOR * self.size
            @field_validator("size")
            def _check(cls, size): return size
        ''',
    "lmcore/toy/filters/short.py": "LIMIT = 3\ndef short(text): return len(text) < LIMIT\n",
    "lmcore/config.py": "class Config: pass\n",
    "lmcore/configured.py": "def work(): return 1\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    return tmp_path


def fingerprint(tree: Path, function: str = "tasks.toy:run", **parts: Path | None) -> dict[str, str]:
    return CodeReader(tree).fingerprint(
        function, {name.replace("__", "."): path for name, path in parts.items()}
    )


def change(tree: Path, file: str, old: str, new: str) -> None:
    text = (tree / file).read_text()
    assert old in text
    (tree / file).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("tasks/toy.py", '"""Runs it."""', '"""Runs it otherwise."""'),
        ("tasks/toy.py", '"""Runs."""', ""),
        ("tasks/toy.py", "# a comment", "# another\n\n"),
        ("tasks/toy.py", "size: int = 3", "size : float=3"),
        ("tasks/toy.py", "lambda _: 1", "lambda _: 2"),
        ("tasks/toy.py", "def unrelated():\n    return 1", "def unrelated(): return 2"),
        ("tasks/toy.py", "from lmcore.config import Config\n", ""),
        ("lmcore/toy/shape.py", "DEPTH = 5", "DEPTH = 6"),
        ("lmcore/toy/settings.py", "size: int = 3", "size: int = 4"),
        ("lmcore/toy/settings.py", '"""How big."""', '"""How large."""'),
        ("lmcore/toy/settings.py", "return size", "return size + 0"),
        ("lmcore/toy/process.py", "return 8", "return 9"),
        ("lmcore/toy/late.py", "print(late(1))", "print(late(2))"),
        ("lmcore/config.py", "pass", "x = 1"),
        ("lmcore/toy/filters/short.py", "LIMIT = 3", "LIMIT = 4"),
    ],
)
def test_what_does_not_change_a_result_does_not_change_the_fingerprint(tree, file, old, new):
    before = fingerprint(tree)
    change(tree, file, old, new)
    assert fingerprint(tree) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "noticed"),
    [
        ("tasks/toy.py", "size: int = 3", "size: int = 4", "tasks.toy:run"),
        ("lmcore/toy/shape.py", "WIDTH = 4", "WIDTH = 5", "lmcore.toy.shape:WIDTH"),
        ("lmcore/toy/deep.py", "TABLE[x]", "TABLE[-x]", "lmcore.toy.deep:original"),
        ("lmcore/toy/table.py", "TABLE[1] = 2", "TABLE[1] = 3", "lmcore.toy.table:TABLE"),
        ("lmcore/toy/table.py", "return {}", "return {0: 0}", "lmcore.toy.table:base"),
        ("lmcore/toy/table.py", "(3, 4)", "(3, 5)", "lmcore.toy.table:"),
        ("lmcore/toy/shape.py", "return 6", "return 7", "lmcore.toy.shape:helper"),
        ("lmcore/toy/late.py", "return TEMPLATE", "return TEMPLATE * 2", "lmcore.toy.late:one"),
        ("lmcore/toy/late.py", "def two(x): return x", "def two(x): return -x", "lmcore.toy.late:two"),
        ("lmcore/toy/late.py", '== "linux"', '!= "linux"', "lmcore.toy.late:"),
        ("lmcore/toy/page.jinja", "page", "pages", "lmcore.toy.late:page.jinja"),
        ("lmcore/toy/process.py", "return 7", "return 8", "lmcore.toy.process:inner"),
        ("lmcore/toy/settings.py", "self.FACTOR *", "self.FACTOR +", "lmcore.toy.settings:ToySettings"),
        ("lmcore/toy/settings.py", "= 2", "= 3", "lmcore.toy.settings:ToySettings"),
    ],
)
def test_a_change_of_what_is_used_is_noticed_by_name(tree, file, old, new, noticed):
    before = fingerprint(tree)
    change(tree, file, old, new)
    after = fingerprint(tree)
    assert {name for name in before | after if before.get(name) != after.get(name)} == {noticed}


def test_a_part_that_settings_name_counts_with_its_whole_file(tree):
    before = fingerprint(tree, lmcore__toy__filters__short=None)
    assert before.keys() - fingerprint(tree) == {
        "lmcore.toy.filters.short:LIMIT",
        "lmcore.toy.filters.short:short",
    }
    change(tree, "lmcore/toy/filters/short.py", "LIMIT = 3", "LIMIT = 4")
    assert fingerprint(tree, lmcore__toy__filters__short=None) != before


def test_a_part_of_a_workspace_counts_by_its_own_file(tree):
    own = tree / "own.py"
    own.write_text("from lmcore.toy.shape import WIDTH\ndef own(): return WIDTH\n")
    found = fingerprint(tree, lmcore__toy__filters__own=own)
    assert {"lmcore.toy.filters.own:own", "lmcore.toy.shape:WIDTH"} <= found.keys()
    own.write_text("def own(): return 2\n")
    assert fingerprint(tree, lmcore__toy__filters__own=own) != found


def test_what_cannot_be_found_is_an_error_because_its_changes_would_go_unnoticed(tree):
    with pytest.raises(ValueError, match=r"lmcore\.toy\.filters\.gone is not to be found"):
        fingerprint(tree, lmcore__toy__filters__gone=None)
    change(tree, "lmcore/toy/process.py", "def main", "def start")
    with pytest.raises(ValueError, match=r"names 'lmcore\.toy\.process:main', which is not to be found"):
        fingerprint(tree)


def test_what_a_module_says_that_it_runs_counts_even_if_no_code_reads_it(tree):
    assert "lmcore.toy.process:inner" in fingerprint(tree, "tasks.silent:run")


def test_plumbing_is_named_exactly_not_by_the_beginning_of_a_name(tree):
    (tree / "tasks" / "toy.py").write_text(
        "from lmcore import config, configured\ndef run(): config.Config(); configured.work()\n"
    )
    assert fingerprint(tree).keys() == {"tasks.toy:run", "lmcore.configured:work"}


@pytest.mark.parametrize(
    "source",
    [
        "from lmcore.toy.process import *\ndef run(): return main()\n",
        "import lmcore.toy.process\ndef run(): return lmcore.toy.process.main()\n",
        "import lmcore.toy.process as p\ndef run(): return p.main\n",
        "from lmcore.toy import process\ndef run(): return getattr(process, 'main')()\n",
        "from lmcore.toy import process\nTABLE = {1: process.main}\ndef run(): return TABLE[1]()\n",
        "try:\n    from lmcore.toy.process import main\nexcept ImportError: main = None\ndef run(): main()\n",
        "class A:\n    from lmcore.toy.process import main\n    go = main\nclass B(A): ...\ndef run(): B()\n",
        "def wrap(f):\n    from lmcore.toy.process import main\n    return main\n@wrap\ndef run(): pass\n",
    ],
)
def test_every_way_to_name_a_function_leads_to_it(tree, source):
    (tree / "tasks" / "toy.py").write_text(source)
    assert "lmcore.toy.process:inner" in fingerprint(tree)


def test_the_trainer_counts_for_the_step_that_starts_it_as_a_process():
    found = CodeReader(ROOT).fingerprint("tasks.pretrain:pretrain_model")
    assert {"lmcore.train.loop:train", "lmcore.models.transformer:Transformer"} <= found.keys()
    assert not any(name.startswith(("tasks.engine", "tasks.tracking", "lmcore.config:")) for name in found)


SOURCE = '''
def first(a, /, b: int = 1, *c, d=None, **e) -> str:
    """Doc."""
    return f"{a!r:>{b}} {d=} \U0001fae8 {'é'}" + "ÿ\\N{DOGRA VOWEL SIGN AA}" + rb"\\x00".decode()
async def second():
    async with a as b, c: yield [x async for x in y if (z := x)]
    match a:
        case {"k": [1, *_], **rest} | Point(x=0): pass
    try: ...
    except* ValueError: raise
    return 1_000, 0x10, 1e3, 1j, ..., None, True, lambda *, k: k, a[1:, ::2], not -a
class Third(Base, metaclass=Meta):
    x: int = 3
    y = "s"
'''
HASHES = {"first": "3c8df37b59bc9f98", "second": "96cabed1e922f6b6", "Third": "654f4ca3eae27d59"}


def test_hashes_are_these_on_every_python():
    facts = read_module(SOURCE, "lmcore")
    assert {name: definition.hash for name, definition in facts.definitions.items()} == HASHES


@pytest.mark.parametrize("python", ["python3.11", "python3.12", "python3.13", "python3.14"])
def test_other_pythons_see_the_same_fingerprint(tree, python):
    if not shutil.which(python) or subprocess.run([python, "--version"], capture_output=True).returncode:
        pytest.skip(f"no {python} here")
    script = (
        "import sys, json, pathlib; from tasks.engine.code import CodeReader;"
        "print(json.dumps(CodeReader(pathlib.Path(sys.argv[1])).fingerprint('tasks.toy:run')))"
    )
    done = subprocess.run(
        [python, "-c", script, str(tree)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == fingerprint(tree)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"x": 1}'])
def test_a_damaged_memory_of_facts_is_of_no_consequence(tree, content):
    memory = tree / "facts.json"
    memory.write_text(content)
    found = CodeReader(tree, memory).fingerprint("tasks.toy:run")
    assert found == fingerprint(tree)
    assert CodeReader(tree, memory).fingerprint("tasks.toy:run") == found


def test_facts_are_remembered_by_content(tree, monkeypatch):
    memory = tree / "facts.json"
    found = CodeReader(tree, memory).fingerprint("tasks.toy:run")
    monkeypatch.setattr("tasks.engine.code.read_module", None)  # nothing is parsed again
    assert CodeReader(tree, memory).fingerprint("tasks.toy:run") == found


def test_several_threads_may_ask_one_reader(tree):
    reader, found = CodeReader(tree, tree / "facts.json"), []
    threads = [
        threading.Thread(target=lambda: found.append(reader.fingerprint("tasks.toy:run"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [fingerprint(tree)] * 8


def test_nothing_heavy_is_imported_to_take_a_fingerprint():
    heavy = {"torch", "prefect", "mlflow", "dvc", "datasets", "transformers", "pyarrow", "duckdb"}
    script = f"import sys, tasks.engine.plan; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
