"""A registered model where lmworks is not: loaded, and served over HTTP, with its own requirements alone."""

from __future__ import annotations

import json
import os
import signal
import site
import socket
import subprocess
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tasks.tracking import Registered, register, tracking_uri

PATIENCE_SECONDS = 120
PROMPT = "the cat sat"


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Registered]:
    """A workspace with one registered model, of a few thousand random weights."""
    import torch

    from lmcore.interop.hugging_face import save_folder
    from lmcore.models.settings import TransformerConfig
    from lmcore.models.transformer import Transformer
    from lmcore.tokenizers.bpe import train
    from lmcore.tokenizers.control import END_OF_TEXT
    from lmcore.tokenizers.settings import TokenizerConfig

    folder, workspace = tmp_path_factory.mktemp("tokenizer"), tmp_path_factory.mktemp("workspace")
    settings = TokenizerConfig.model_validate({"vocab_size": 275})
    document = train(iter(["the cat sat on the mat and the dog on the log " * 9]), settings)
    (folder / "tokenizer.json").write_text(json.dumps(document))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": END_OF_TEXT}))
    torch.manual_seed(0)
    dials = {"width": 16, "num_layers": 1, "num_heads": 2, "context_tokens": 32}
    model = tmp_path_factory.mktemp("models") / "tiny"
    save_folder(Transformer(TransformerConfig.model_validate(dials), 275), folder, model)
    return workspace, register(workspace, model, name="tiny", alias="champion", key="k", digest="d")


@pytest.fixture(scope="module")
def elsewhere(version: tuple[Path, Registered], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another Python: it has what the model's requirements ask for, and nothing of lmworks."""
    folder = tmp_path_factory.mktemp("elsewhere") / "python"
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    requirements = (version[1].home / "requirements.txt").read_text().split()
    for name in all_behind(requirements):
        for entry in top_level(name):
            if not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
        write_commands(name, folder / "bin")
    return folder / "bin" / "python"


def write_commands(distribution: str, folder: Path) -> None:
    """What pip would write into `bin`."""
    for command in metadata.entry_points(group="console_scripts"):
        if command.dist and command.dist.name.lower() == distribution:
            module, _, function = command.value.partition(":")
            script = f"#!{folder / 'python'}\nfrom {module} import {function} as run\nrun()\n"
            (folder / command.name).write_text(script)
            (folder / command.name).chmod(0o755)


def all_behind(requirements: list[str]) -> set[str]:
    """Names of the distributions that requirements lead to, as pip would install them here."""
    found: set[str] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        asked = waiting.pop()
        extras = ("", *asked.extras)
        identity = f"{asked.name.lower()}[{','.join(sorted(asked.extras))}]"
        if identity in found:
            continue
        found.add(identity)
        for line in metadata.requires(asked.name) or []:
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": each}) for each in extras):
                waiting.append(needed)
    return {identity.partition("[")[0] for identity in found}


def top_level(distribution: str) -> set[Path]:
    """What a distribution has put into site-packages."""
    places = [Path(place) for place in site.getsitepackages()]
    files = metadata.files(distribution) or []
    return {
        place / file.parts[0]
        for file in files
        for place in places
        if file.parts[0] != ".." and (place / file.parts[0]).exists()
    }


def run_there(python: Path, script: str, folder: Path, workspace: Path) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LM_"))
    }
    done = subprocess.run(
        [python, "-c", script],
        cwd=folder,
        env=environment | {"MLFLOW_TRACKING_URI": tracking_uri(workspace), "DO_NOT_TRACK": "true"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def here(version: tuple[Path, Registered]) -> str:
    """What the model says in this process."""
    from lmcore.generate.decode import generate
    from lmcore.interop.hugging_face import load_folder
    from lmcore.tokenizers.tokenizer import Tokenizer

    folder = version[1].folder
    tokenizer, model = Tokenizer.load(folder), load_folder(folder)
    start = [tokenizer.eos_id, *tokenizer.encode(PROMPT)]
    return tokenizer.decode(generate(model, start, 8, stop_ids=(tokenizer.eos_id,)))


def test_a_champion_answers_in_another_python_that_has_its_requirements_alone(
    version: tuple[Path, Registered], elsewhere: Path, tmp_path: Path
):
    missing = "import importlib.util as u; print([n for n in ('lmcore','tasks','flows') if u.find_spec(n)])"
    assert run_there(elsewhere, missing, tmp_path, version[0]) == "[]\n"
    script = (
        "import json, mlflow, sys\n"
        "model = mlflow.pyfunc.load_model('models:/tiny@champion')\n"
        f"said = model.predict([{PROMPT!r}], params={{'max_new_tokens': 8}})\n"
        "import lmcore\n"
        "others = {'tasks', 'flows', 'prefect', 'dvc'} & {name.partition('.')[0] for name in sys.modules}\n"
        "print(json.dumps({'said': said, 'code': list(lmcore.__path__)[0], 'others': sorted(others)}))"
    )
    told = json.loads(run_there(elsewhere, script, tmp_path, version[0]).splitlines()[-1])
    assert told["said"] == [here(version)]
    assert Path(told["code"]).is_relative_to(version[1].home)
    assert told["others"] == []


@pytest.fixture
def served(version: tuple[Path, Registered], elsewhere: Path, tmp_path: Path) -> Iterator[str]:
    """Where `mlflow models serve` answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LM_"))
    }
    environment["MLFLOW_TRACKING_URI"] = tracking_uri(version[0])
    environment["PATH"] = f"{elsewhere.parent}:{environment['PATH']}"
    command = [elsewhere, "-m", "mlflow", "models", "serve", "-m", "models:/tiny@champion"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--env-manager", "local", "--host", "127.0.0.1", "--port", port, "--workers", "1"],
            cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield wait_for(f"http://127.0.0.1:{port}", server, tmp_path / "log")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/ping", timeout=5):
                return address
        except OSError:
            is_late = time.monotonic() > until
            assert server.poll() is None, log.read_text()
            assert not is_late, log.read_text()
            time.sleep(0.2)


def ask(address: str, **question: Any) -> Any:
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_mlflow_models_serve_answers_prompts_over_http(version: tuple[Path, Registered], served: str):
    told = ask(served, inputs=[PROMPT, PROMPT], params={"max_new_tokens": 8})
    assert told == {"predictions": [here(version)] * 2}
    drawn = [
        ask(served, inputs=[PROMPT], params={"max_new_tokens": 8, "temperature": 1.0, "seed": seed})
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
