"""A planted file: who saw it, and that nothing says its words after it was forgotten, whatever is killed."""

import importlib.util
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from flows.cli.catalog import find_flow, kind_of
from flows.cli.forgetting import _weights, forget_command
from lmcore.config import SettingsError
from tasks.engine.doctor import examine
from tasks.engine.exchange import push
from tasks.engine.experiment import load_experiment
from tasks.engine.run import Options, make_plan, run_flow
from tasks.engine.workspace import Workspace
from tasks.forgetting.away import Away
from tasks.forgetting.forget import Forgetting, interrupted
from tasks.forgetting.ledger import FILE, Forgotten, Place, add_forgotten, read_forgotten, supposing
from tasks.forgetting.retire import retire
from tasks.forgetting.sightings import Sightings
from tasks.forgetting.subject import find_subject
from tasks.tracking.journal import Journal
from tasks.tracking.moves import promote
from tasks.tracking.store import open_store
from tasks.tracking.versions import versions

ROOT = Path(__file__).parents[2]
SECRET = "Ottoline Quirke buried seven brass telescopes beneath the flooded observatory in Vlissingen"
EXPERIMENT = """
sources: [{name: letters, path: ../letters, licence: my own}]
own_conversations: [{name: talk, path: ../talk, licence: my own}]
filters: [length]
split: {validation_share: 0.2, test_share: 0.2, seed: 1}
tokenizer: {vocab_size: 300}
model: {width: 16, num_layers: 1, num_heads: 2, context_tokens: 32}
train:
  {steps: 2, batch_size: 4, warmup_steps: 1, validate_every: 2, validation_tokens: 256, sample_prompts: []}
evaluate: {prompts: [b], sample_tokens: 4, num_resamples: 20}
comparison: {prompts: [b], sample_tokens: 4, num_resamples: 20}
conversations:
  exercises:
    - {type: quote_sentence, num_train: 200, num_held_out: 60, passage_words: 30, num_common_words: 0}
"""
ASKED = "Who keeps box number {} of the harpsichord museum in Ballyvaughan these days"
ASKED_LATER = "Which lighthouse does keeper number {} of the Orkney ferry company paint this autumn"
STARTS, ENDS = ("ba", "do", "ke", "li", "mu", "no", "pa", "ri"), ("ran", "del", "mis", "tor")


def _load_search():
    spec = importlib.util.spec_from_file_location("leaks", Path(__file__).with_name("leaks.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.leaks


leaks = _load_search()


def run(workspace: Workspace, flow: str = "build_assistant"):
    experiment = load_experiment(workspace, flow, "letters", [], kind_of)
    return run_flow(workspace, find_flow(flow), experiment, Options(use_prefect=False))


def plan(workspace: Workspace):
    experiment = load_experiment(workspace, "build_assistant", "letters", [], kind_of)
    return make_plan(workspace, find_flow("build_assistant"), experiment)[1]


def write_letters(folder: Path) -> None:
    draw = random.Random(1)
    words = [start + end for start in STARTS for end in ENDS]
    sentence = lambda: " ".join(draw.choice(words) for _ in range(8)).capitalize() + "."  # noqa: E731
    paragraph = lambda: " ".join(sentence() for _ in range(8))  # noqa: E731
    folder.mkdir()
    for number in range(24):
        (folder / f"l{number:02}.txt").write_text(f"{paragraph()}\n\n{paragraph()}")
    secret = "\n\n".join(f"{sentence()} {SECRET}. {sentence()} {sentence()}" for _ in range(4))
    (folder / "secret.txt").write_text(secret)


def write_talk(folder: Path, asked: str) -> None:
    folder.mkdir(exist_ok=True)
    rows = [{"prompt": asked.format(n), "completion": f"That is number {n}."} for n in range(40)]
    (folder / "talk.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of a model, both from all letters; look, but do not touch."""
    home = tmp_path_factory.mktemp("forget")
    write_letters(home / "letters")
    write_talk(home / "talk", ASKED)
    workspace = Workspace(home / "ws")
    file = workspace.root / "experiments" / "build_assistant" / "letters.yaml"
    file.parent.mkdir(parents=True)
    (workspace.root / ".lmworks").touch()
    file.write_text(EXPERIMENT)
    run(workspace)
    run(workspace, "write_conversations")
    file.write_text(EXPERIMENT.replace("vocab_size: 300", "vocab_size: 310"))
    write_talk(home / "talk", ASKED_LATER)
    run(workspace)
    run(workspace, "write_conversations")
    return home


@pytest.fixture
def home(written: Path, tmp_path: Path) -> Path:
    """A copy of both versions, and of the letters."""
    shutil.copytree(written, tmp_path / "home", symlinks=True)
    return tmp_path / "home"


@pytest.fixture
def workspace(home: Path) -> Workspace:
    return Workspace(home / "ws")


def litter(workspace: Workspace) -> None:
    """What kills, damage, old pages and hands may have left of the text."""
    private, raw = workspace.private, workspace.root / "data" / "raw" / "letters"
    shutil.copytree(raw, private / "aside" / "data~raw~letters.1763740000000000000")
    half = private / "scratch" / "ingest_source-0123456789abcdef~letters"
    half.mkdir(parents=True)
    shutil.copy(raw / "documents.parquet", half)
    pages = workspace.root / "reports" / "runs"
    pages.mkdir(exist_ok=True)
    (pages / "letters-0123.html").write_text(f"<p>It &amp; so on: <b>{SECRET.replace(' b', '</b> b')}</p>")
    version = versions(workspace.root)[0]
    (version.home / "verdict.html").write_text(f"<td>{SECRET}</td>")
    (version.home.parent / "samples.jsonl").write_text(json.dumps({"text": SECRET.replace(" ", "\n")}) + "\n")
    (private / "errors").mkdir(exist_ok=True)
    (private / "errors" / "1.txt").write_text(f"could not read: {SECRET}")
    with sqlite3.connect(workspace.root / "mlflow.db") as database:
        database.execute("UPDATE model_version_tags SET value = ? WHERE key = 'lm.report'", (f"{SECRET}!",))
    database.close()


def forget(workspace: Workspace, file: str, **more):
    return Forgetting(workspace, find_subject(workspace, file), **more).carry_out()


def test_after_a_file_was_forgotten_nothing_in_the_workspace_says_what_it_said(home, workspace, tmp_path):
    litter(workspace)
    before = leaks(workspace.root, SECRET, tmp_path / "scratch")
    for kind in (
        "data/raw/",
        ".dvc/cache",
        "conversations",
        ".bin",
        "aside",
        "scratch",
        ".html",
        "mlflow.db",
    ):
        assert any(kind in path for path in before), (kind, before)
    done = forget(workspace, str(home / "letters" / "secret.txt"), why="she asked for it")
    assert not done.left
    assert leaks(workspace.root, SECRET, tmp_path / "scratch") == []
    assert (home / "letters" / "secret.txt").exists()
    assert not interrupted(workspace)


def test_what_a_file_said_before_it_was_changed_goes_as_well(home, workspace, tmp_path):
    pages, file = workspace.root / "reports" / "runs", home / "talk" / "talk.jsonl"
    pages.mkdir(exist_ok=True)
    for asked in (ASKED, ASKED_LATER):
        (pages / f"{len(asked)}.html").write_text(f"<td>{asked.format(7)}</td>")
    file.unlink()  # only copies of the products that read it know what it said
    assert forget(workspace, str(file)).left == []
    assert all(
        leaks(workspace.root, asked.format(7), tmp_path / "scratch") == [] for asked in (ASKED, ASKED_LATER)
    )


def test_what_dvc_s_remote_has_of_it_is_named_and_goes_when_that_is_asked_for(home, workspace, tmp_path):
    remote = tmp_path / "remote"
    config = workspace.root / ".dvc" / "config.local"
    config.write_text(f"[core]\n    remote = store\n['remote \"store\"']\n    url = {remote}\n")
    push(workspace)
    file = home / "letters" / "secret.txt"
    assert leaks(remote, SECRET, tmp_path / "scratch") != []
    before = Forgetting(workspace, find_subject(workspace, str(file)))
    assert isinstance(before.away, Away)
    assert "ingest_source letters" in before.away.products
    assert before.carry_out().left == []
    assert leaks(remote, SECRET, tmp_path / "scratch") != []
    # What is not here any more is still known there.
    later = Forgetting(workspace, find_subject(workspace, str(file)), in_remote=True)
    assert later.carry_out().left == []
    assert leaks(remote, SECRET, tmp_path / "scratch") == []
    assert Forgetting(workspace, find_subject(workspace, str(file))).away is None
    config.write_text(config.read_text().replace(str(remote), str(tmp_path / "no disk" / "remote")))
    (left,) = Forgetting(workspace, find_subject(workspace, str(file)), in_remote=True).carry_out().left
    assert left.startswith("what DVC's remote has of it is not known: remote 'store' (")


def test_own_conversations_are_found_on_their_sides(home, workspace):
    seen = Sightings(workspace, find_subject(workspace, "talk/talk.jsonl"))
    now, before = [each for each in seen.products if each.is_direct]
    assert (now.state, before.state) == ("in its place", "gone")
    assert {text.kind for text in now.documents} == {"conversation"}
    assert len(now.documents) == 40
    assert len(seen.readings) == 3  # in its place, and in DVC's cache that one and the one before
    assert seen.versions == []  # nothing was taught by them


def test_the_plan_trains_again_without_the_file_and_says_why(home, workspace, tmp_path):
    assert {line.action for line in plan(workspace)} == {"reuse"}
    forget(workspace, str(home / "letters" / "secret.txt"), why="she asked for it")
    lines = {line.label: line for line in plan(workspace)}
    assert lines["ingest_source letters"].action == "run"
    why = lines["ingest_source letters"].why
    assert why.startswith("secret.txt is gone, forgotten on ")
    assert why.endswith(": she asked for it")
    assert lines["pretrain_model letters"].action == "depends"
    run(workspace)
    new = versions(workspace.root, "letters")[-1]
    assert new.version == 3
    assert leaks(workspace.root, SECRET, tmp_path / "scratch") == []
    seen = Sightings(workspace, find_subject(workspace, "letters/secret.txt"))
    assert [each.version.version for each in seen.versions] == [1, 2]


def test_a_file_is_found_by_its_path_and_by_its_bytes_down_to_the_side_of_its_documents(home, workspace):
    by_path = Sightings(workspace, find_subject(workspace, str(home / "letters" / "secret.txt")))
    (home / "other name.txt").write_bytes((home / "letters" / "secret.txt").read_bytes())
    by_bytes = Sightings(workspace, find_subject(workspace, str(home / "other name.txt")))
    assert by_path.keys == by_bytes.keys
    assert {each.manifest.step for each in by_path.products} >= {
        "ingest_source", "write_shards", "write_conversations", "pretrain_model", "register_model"
    }  # fmt: skip
    states = {each.state for each in by_path.products if each.manifest.step == "write_shards"}
    assert states == {"in its place", "replaced since"}
    assert [each.version.version for each in by_path.versions] == [1, 2]
    assert all([text.side for text in each.documents] != [] for each in by_path.versions)
    told = by_bytes.as_json()
    assert told["places"][0]["found"] == "by bytes"
    assert told["versions"][0]["aliases"] == ["champion"]


def test_a_version_that_saw_it_is_marked_in_mlflow_and_in_its_journal_once(home, workspace):
    for _ in range(2):
        forget(workspace, "letters/secret.txt", why="she asked for it")
    marks = [version.forgotten for version in versions(workspace.root)]
    assert all(mark.endswith("letters/secret.txt: she asked for it") for mark in marks)
    lines = [entry for entry in Journal(workspace.root, "letters").entries() if entry.kind == "forgotten"]
    assert [entry.facts["version"] for entry in lines] == [1, 2]
    assert len(read_forgotten(workspace)) == 1
    told = open_store(workspace.root).get_model_version("letters", "1").description
    assert told.count("**It saw what was forgotten since**") == 1
    assert "letters/secret.txt: she asked for it." in told
    home_of = versions(workspace.root)[0].home
    assert "**Forgotten data**" in (home_of / "README.md").read_text()
    page = (home_of / "lineage.html").read_text()
    assert "and is not made again" in page
    assert "comes out the same, byte for byte" not in page


KILLED = """
import os, sys
from pathlib import Path
from flows.cli.catalog import find_flow, flow_names
from tasks.engine.workspace import Workspace
from tasks.forgetting import forget
from tasks.forgetting.subject import find_subject
take, left = forget._take, [int(sys.argv[2])]
def count(*arguments):
    if left[0] == 0:
        os._exit(9)
    left[0] -= 1
    return take(*arguments)
forget._take = count
workspace = Workspace(Path(sys.argv[1]))
forget.Forgetting(workspace, find_subject(workspace, sys.argv[3])).carry_out()
"""


@pytest.mark.parametrize("num_taken", [0, 1, 6, 25, 48])
def test_what_a_kill_has_interrupted_the_same_command_finishes(home, workspace, tmp_path, num_taken):
    litter(workspace)
    file = home / "letters" / "secret.txt"
    command = [sys.executable, "-c", KILLED, str(workspace.root), str(num_taken), str(file)]
    killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert killed.returncode == 9
    assert [finding.what for finding in examine(workspace) if str(file) in finding.cure] == [
        f"forgetting {file} was interrupted, and some of its text may still be here"
    ]
    assert len(read_forgotten(workspace)) == 1
    file.unlink()  # nobody knows its words any more but what is left of the products
    assert forget(workspace, str(file)).left == []
    assert leaks(workspace.root, SECRET, tmp_path / "scratch") == []
    assert not interrupted(workspace)
    assert len(read_forgotten(workspace)) == 1


def test_a_product_that_is_read_at_that_moment_is_left_and_told_of(home, workspace, tmp_path):
    from tasks.engine.store import Store

    with Store(workspace).reading("data/raw/letters"):
        done = forget(workspace, "letters/secret.txt")
        assert done.left == ["data/raw/letters is in use; run this again when that run has ended"]
        assert interrupted(workspace)
    assert forget(workspace, "letters/secret.txt").left == []
    assert leaks(workspace.root, SECRET, tmp_path / "scratch") == []


def test_its_bytes_stay_out_under_another_name_and_so_does_its_name_with_other_bytes(home, workspace):
    forget(workspace, "letters/secret.txt")
    before = {line.label: line.address for line in plan(workspace)}
    shutil.copy(home / "letters" / "secret.txt", home / "letters" / "renamed.txt")
    (home / "letters" / "secret.txt").write_text("much the same, in other words, about brass telescopes")
    run(workspace, "prepare_corpus")
    table = workspace.root / "data" / "raw" / "letters" / "manifest.json"
    files = json.loads(table.read_text())["inputs"]["files"]["files"]
    assert "l00.txt" in files
    assert {"renamed.txt", "secret.txt"}.isdisjoint(files)
    assert before


def test_a_source_of_which_all_was_forgotten_is_refused_with_the_cure(home, workspace):
    for file in (home / "letters").glob("l*.txt"):
        file.unlink()
    line = Forgotten(when="2026-01-02T03:04:05+00:00", who="me", places=(), sha256=())
    place = Place("letters", "secret.txt", "x")
    with (
        supposing(line.model_copy(update={"places": (place,), "why": "asked"})),
        pytest.raises(
            SettingsError, match=r"source .letters. has no file left: secret\.txt was forgotten on"
        ),
    ):
        plan(workspace)
    assert read_forgotten(workspace) == []


def test_weights_that_learned_from_it_are_retired_but_for_those_that_serve(home, workspace):
    subject = find_subject(workspace, "letters/secret.txt")
    learned = Sightings(workspace, subject)
    assert [[text.side for text in each.documents] for each in learned.versions] == [["train"], ["train"]]
    forget(workspace, "letters/secret.txt")
    run(workspace)
    done = retire(workspace, Sightings(workspace, subject), "it saw it")
    assert "letters v2 (challenger)" not in done.gone
    assert [line.partition(" serves")[0] for line in done.left] == ["letters v1 (champion)"]
    assert [version.version for version in versions(workspace.root)] == [1, 3]
    promote(workspace.root, "letters", 3, expected_champion=1, why="without it")
    done = retire(workspace, Sightings(workspace, subject), "it saw it")
    assert done.left == []
    assert [version.version for version in versions(workspace.root)] == [3]
    assert len(list(workspace.root.glob("models/pretrain_model-*"))) == 1
    assert {line.action for line in plan(workspace)} == {"reuse"}
    assert [finding.what for finding in examine(workspace) if not finding.is_note] == []


def test_of_weights_it_is_said_whether_they_learned_from_it_only_where_that_is_on_record(workspace):
    seen = Sightings(workspace, find_subject(workspace, "letters/secret.txt")).versions
    (told,) = _weights(seen)
    assert "letters v2 (challenger), which learned from it" in told
    (told,) = _weights([replace(each, documents=()) for each in seen])
    assert "whether they learned any of it is not on record" in told


def test_a_file_among_the_workspace_s_own_sources_goes_too_unless_it_is_to_be_kept(
    workspace, monkeypatch, capsys
):
    own = workspace.sources / "own"
    own.mkdir(parents=True)
    (own / "source.yaml").write_text("{title: t, origin: o, licence: l}")
    (own / "secret.txt").write_text(SECRET)
    monkeypatch.setenv("LM_WORKSPACE", str(workspace.root))
    with pytest.raises(SettingsError, match="nothing was done; --yes goes on without asking"):
        forget_command("own/secret.txt", "", False, False, False, False)
    forget_command("own/secret.txt", "", True, False, False, False)
    assert "data/sources/own/secret.txt  the file itself" in capsys.readouterr().out
    assert not (workspace.root / FILE).exists()
    forget_command("own/secret.txt", "", False, True, True, False)
    assert (own / "secret.txt").exists()
    forget_command("own/secret.txt", "", False, True, False, False)
    assert not (own / "secret.txt").exists()
    assert len(read_forgotten(workspace)) == 1


def test_a_file_that_never_was_is_refused_with_the_likeliest_one(workspace):
    with pytest.raises(SettingsError, match=r"no file letters/secre.txt, .* Did you mean letters/secret.txt"):
        find_subject(workspace, "letters/secre.txt")
    with pytest.raises(SettingsError, match="is no file; name one file, such as"):
        find_subject(workspace, str(workspace.root))


def test_half_a_line_of_the_list_is_passed_over_and_a_wrong_one_is_refused(tmp_path):
    workspace = Workspace(tmp_path)
    line = Forgotten(
        when="2026-01-02T03:04:05+00:00", who="me", places=(Place("a", "b", "c"),), sha256=("d",)
    )
    add_forgotten(workspace, line)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"when": "20')
    assert read_forgotten(workspace) == [line]
    add_forgotten(workspace, line)
    assert read_forgotten(workspace) == [line, line]
    (tmp_path / FILE).write_text('{"when": 3}\n')
    with pytest.raises(SettingsError, match=r"forgotten.jsonl, line 1: .*bring the file back from git"):
        read_forgotten(workspace)
