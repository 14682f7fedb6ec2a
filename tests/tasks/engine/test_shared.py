"""What one workspace pushes, another finds by key, proves and takes; whatever is broken is never believed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from lmcore.config import SettingsError
from lmcore.lineage import read_manifest
from tasks.engine import exchange, shared
from tasks.engine.exchange import pull, push
from tasks.engine.run import Options, make_plan
from tasks.engine.session import Session
from tasks.engine.shared import ELSEWHERE, Shared
from tasks.versioning import init, remote
from tasks.versioning.remote import RemoteError

ROOT = Path(__file__).parents[3]
STEPS = ("write_text", "split_text", "train_toy", "count_words")
ALL_BUILT = dict.fromkeys(STEPS, "built")
ALL_REUSED = dict.fromkeys(STEPS, "reused")
ALL_RESTORED = dict.fromkeys(STEPS, "restored")


def set_remote(workspace, url: str, **more: str) -> None:
    init(workspace.root)
    lines = ["[core]", "    remote = store", "['remote \"store\"']", f"    url = {url}"]
    lines += [f"    {name} = {value}" for name, value in more.items()]
    (workspace.root / ".dvc" / "config.local").write_text("\n".join(lines) + "\n")


@pytest.fixture
def store(tmp_path) -> Path:
    return tmp_path / "remote"


@pytest.fixture
def workspace(workspace, store):
    set_remote(workspace, str(store))
    return workspace


@pytest.fixture
def other(workspace, toy, tmp_path):
    """A second clone, in which nothing has been made."""
    shutil.copytree(workspace.root, tmp_path / "other" / "workspace")
    return toy.Workspace(tmp_path / "other" / "workspace")


def run(workspace, toy, settings=None, **options):
    return toy.run_toy(workspace, settings, keep_copies=True, **options)


def outcomes(pushed) -> dict[str, str]:
    return {product.address: product.outcome for product in pushed}


def objects(store: Path) -> list[Path]:
    return [file for file in (store / "files" / "md5").rglob("*") if file.is_file()]


def test_what_one_workspace_has_pushed_another_restores_and_makes_nothing(workspace, other, toy, products):
    run(workspace, toy)
    assert set(outcomes(push(workspace)).values()) == {"pushed"}
    lines = make_plan(other, toy.toy, toy.experiment())[1]
    assert [line.action for line in lines] == ["restore"] * 4
    assert lines[0].why == "data/toy_texts/demo is missing; a copy is in the remote"
    assert not other.path("models").exists()
    heard, _ = run(other, toy)
    assert heard.actions == ALL_RESTORED
    assert heard.outcomes["train_toy"].why == "from the remote"
    assert products(other) == products(workspace)
    assert run(other, toy)[0].actions == ALL_REUSED
    assert not heard.lines


def test_a_bucket_serves_as_well_as_a_folder(workspace, other, toy, products, s3, tmp_path):
    for each in (workspace, other):
        url = f"s3://shelf/{tmp_path.name}"
        set_remote(each, url, endpointurl=s3, access_key_id="a", secret_access_key="b")
    run(workspace, toy)
    assert {product.outcome for product in push(workspace)} == {"pushed"}
    assert {product.outcome for product in push(workspace)} == {"there"}
    heard, _ = run(other, toy)
    assert heard.actions == ALL_RESTORED
    assert products(other) == products(workspace)
    shutil.rmtree(other.root / ".dvc" / "cache")
    shutil.rmtree(other.path("data/toy_texts"))
    assert run(other, toy)[0].actions == {**ALL_REUSED, "write_text": "restored"}


def test_what_came_from_elsewhere_says_so_and_predicts_nothing_here(workspace, other, toy):
    run(workspace, toy)
    push(workspace)
    run(other, toy)
    here, there = (read_manifest(each.path("data/toy_texts/demo")) for each in (workspace, other))
    assert there.provenance == {**here.provenance, ELSEWHERE: True}
    (model,) = other.root.glob("models/train_toy-*")
    assert read_manifest(model).provenance[ELSEWHERE]
    assert there.without_provenance() == here.without_provenance()
    lines = make_plan(other, toy.toy, toy.experiment(), Options(force=("write_text",)))[1]
    assert not lines[0].is_measured
    push(other)
    assert ELSEWHERE not in (other.root.parents[1] / "remote/lmworks" / f"{here.key}.json").read_text()
    shutil.rmtree(workspace.path("data/toy_texts/demo"))
    shutil.rmtree(workspace.root / ".dvc" / "cache")
    run(workspace, toy)
    assert read_manifest(workspace.path("data/toy_texts/demo")) == here  # and not as from elsewhere


def test_a_second_push_finds_all_there_and_a_new_version_is_pushed_beside_it(workspace, toy):
    run(workspace, toy)
    first = push(workspace)
    assert {product.outcome for product in push(workspace)} == {"there"}
    run(workspace, toy, {"train": {"steps": 5}})
    again = outcomes(push(workspace))
    assert len(again) == len(first) + 2
    assert sum(outcome == "pushed" for outcome in again.values()) == 2


def test_what_two_workspaces_have_made_alike_is_pushed_by_the_first_one_and_left_alone_by_the_other(
    workspace, other, toy, store
):
    for each in (workspace, other):
        run(each, toy)
    push(workspace)
    entries = {entry: entry.read_bytes() for entry in store.glob("lmworks/*.json")}
    assert {product.outcome for product in push(other)} == {"there"}
    assert {entry: entry.read_bytes() for entry in store.glob("lmworks/*.json")} == entries
    for listing in store.glob("files/md5/*/*.dir"):  # somebody has cleared the remote up
        listing.unlink()
    assert {product.outcome for product in push(other)} == {"pushed"}
    assert {product.outcome for product in push(other)} == {"there"}


def test_an_experiment_is_pushed_with_all_that_it_was_made_from_and_nothing_else(workspace, toy):
    run(workspace, toy, name="left")
    run(workspace, toy, {"text": {"is_upper": True}}, name="right")
    pushed = outcomes(push(workspace, ["left"]))
    homes = sorted(address.partition("-")[0] for address in pushed)
    assert homes == [
        "data/toy_corpora/left",
        "data/toy_texts/left",
        "models/train_toy",
        "reports/count_words",
    ]
    (workspace.experiments / "toy").mkdir()
    (workspace.experiments / "toy" / "middle.yaml").touch()
    with pytest.raises(SettingsError, match="experiment 'middle' has made nothing here"):
        push(workspace, ["middle"])
    with pytest.raises(SettingsError, match=r"no experiment named 'midle', .* Did you mean 'middle'\?"):
        push(workspace, ["midle"])


def test_a_damaged_product_is_passed_over_and_a_damaged_cache_is_mended_before_a_push(workspace, other, toy):
    run(workspace, toy)
    (workspace.path("data/toy_texts/demo") / "text.txt").write_text("damaged")
    ledger = (workspace.path("data/toy_corpora/demo") / "ledger.csv").read_bytes()
    for file in (workspace.root / ".dvc" / "cache").rglob("*"):
        if file.is_file() and file.read_bytes() == ledger:
            file.chmod(0o644)
            file.write_bytes(b"!" * len(ledger))
    pushed = {product.address: product for product in push(workspace)}
    assert pushed["data/toy_texts/demo"].outcome == "skipped"
    assert pushed["data/toy_texts/demo"].why.endswith("text.txt was changed")
    assert run(other, toy)[0].actions == {**ALL_RESTORED, "write_text": "built"}


@pytest.mark.parametrize("pushed_by", ["lm", "dvc"])
def test_a_damaged_product_whose_cache_is_empty_comes_back_from_the_remote(
    workspace, toy, store, products, pushed_by
):
    run(workspace, toy)
    push(workspace)
    if pushed_by == "dvc":  # which brings the same objects, and no notes
        shutil.rmtree(store / "lmworks")
    before = products(workspace)
    for _ in range(2):
        shutil.rmtree(workspace.root / ".dvc" / "cache")
        (workspace.path("data/toy_texts/demo") / "text.txt").write_text("damaged")
        shutil.rmtree(workspace.path("data/toy_corpora/demo"))
        heard, result = run(workspace, toy)
        assert [line.action for line in result.lines] == ["restore", "restore", "reuse", "reuse"]
        assert heard.actions == {**ALL_REUSED, "write_text": "restored", "split_text": "restored"}
        assert products(workspace) == before


def change(file: Path, text: bytes) -> None:
    file.chmod(0o644)
    file.write_bytes(text)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    change(file, bytes(content))


@pytest.mark.parametrize(
    "harm",
    [
        lambda store: [flip(file) for file in objects(store)],
        lambda store: [file.unlink() for file in objects(store) if file.suffix != ".dir"],
        lambda store: [flip(file) for file in objects(store) if file.suffix == ".dir"],
        lambda store: [file.unlink() for file in objects(store) if file.suffix == ".dir"],
        lambda store: [change(file, file.read_bytes()[:5]) for file in objects(store)],
        lambda store: [flip(file) for file in store.glob("lmworks/*.json")],
        lambda store: [change(file, b"") for file in store.glob("lmworks/*.json")],
        lambda store: [file.unlink() for file in store.glob("lmworks/*.json")],
    ],
    ids=["bytes", "files", "listings", "no-listings", "half", "notes", "empty-notes", "no-notes"],
)
def test_nothing_broken_in_a_remote_is_ever_believed(workspace, other, toy, store, products, harm):
    run(workspace, toy)
    push(workspace)
    harm(store)
    heard, _ = run(other, toy)
    assert set(heard.actions.values()) == {"built"}
    assert products(other) == products(workspace)
    # Whoever has found it broken mends it by pushing.
    push(other)
    shutil.rmtree(workspace.private)
    shutil.rmtree(workspace.root / ".dvc" / "cache")
    for home in ("data/toy_texts", "data/toy_corpora", "models", "reports"):
        shutil.rmtree(workspace.path(home))
    assert run(workspace, toy)[0].actions == ALL_RESTORED


def test_an_entry_that_names_another_product_is_not_believed(workspace, other, toy, store):
    run(workspace, toy)
    push(workspace)
    entries = sorted(store.glob("lmworks/*.json"))
    texts = [entry.read_bytes() for entry in entries]
    for entry, text in zip(entries, texts[1:] + texts[:1], strict=True):
        document = {**json.loads(text), "key": entry.stem}
        del document["seal"]
        change(entry, shared.seal_document(document))
    heard, _ = run(other, toy)
    assert heard.actions == ALL_BUILT


class Death(BaseException):
    pass


@pytest.mark.parametrize("place", ["_transfer", "_write"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_push_that_is_killed_has_given_nothing_or_whole_products(
    workspace, other, toy, monkeypatch, products, place, nth
):
    run(workspace, toy)
    real, calls = getattr(remote.Remote, place), []

    def dying(self, *arguments):
        calls.append(place)
        if len(calls) == nth:
            raise Death
        return real(self, *arguments)

    monkeypatch.setattr(remote.Remote, place, dying)
    with pytest.raises(Death):
        push(workspace)
    monkeypatch.undo()
    heard, _ = run(other, toy)
    assert products(other) == products(workspace)
    assert "restored" in heard.actions.values() or nth == 1 or place == "_write"
    push(workspace)
    assert {product.outcome for product in push(workspace)} == {"there"}


def test_two_pushes_at_once_bring_everything(workspace, other, toy):
    run(workspace, toy)
    script = "import sys; from tasks.engine.exchange import *; push(Workspace(Path(sys.argv[1])))"
    command = [sys.executable, "-c", script, str(workspace.root)]
    pushes = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in pushes]
    assert [process.returncode for process in pushes] == [0, 0], errors
    assert run(other, toy)[0].actions == ALL_RESTORED


def test_a_ledger_goes_on_where_another_workspace_has_left_it(workspace, other, toy, products):
    def both(text: str) -> None:
        for each in (workspace, other):
            (each.sources / "toy.txt").write_text(text)

    def ledger(of) -> str:
        return (of.path("data/toy_corpora/demo") / "ledger.csv").read_text()

    run(workspace, toy)
    for text in ("the second version", "and then a third one"):
        both(text)
        run(workspace, toy)
    push(workspace)
    # The other has none of it, and comes to the same key: the ledger that the version started from is known.
    assert run(other, toy)[0].actions == ALL_RESTORED
    assert products(other) == {
        key: digest for key, digest in products(workspace).items() if key in products(other)
    }
    both("a fourth version")
    run(other, toy)
    assert ledger(other).startswith(ledger(workspace))
    push(other)
    assert run(workspace, toy)[0].actions == ALL_RESTORED
    # Made again from nothing but what was pushed, also by whoever never had the ledgers.
    shutil.rmtree(other.private)
    shutil.rmtree(other.path("data/toy_corpora"))
    shutil.rmtree(other.root / ".dvc" / "cache")
    heard, _ = toy.run_toy(other, options=Options(force=("split_text",)), keep_copies=True)
    assert heard.actions["split_text"] == "built"
    assert ledger(other) == ledger(workspace)


def test_a_ledger_that_went_another_way_here_is_not_given_up_for_a_pushed_one(workspace, other, toy):
    run(workspace, toy)
    (other.sources / "toy.txt").write_text("quite other words here")
    run(other, toy)
    for each in (workspace, other):
        (each.sources / "toy.txt").write_text("a version of both")
    run(workspace, toy)
    push(workspace)
    assert run(other, toy)[0].actions["split_text"] == "built"
    assert "quite," in (other.path("data/toy_corpora/demo") / "ledger.csv").read_text()


def test_pull_restores_what_is_there_says_what_is_lacking_and_runs_nothing(
    workspace, other, toy, monkeypatch
):
    run(workspace, toy)
    push(workspace)
    monkeypatch.setattr("tasks.engine.work.build", lambda *_: pytest.fail("something was made"))
    lines = pull(other, toy.toy, toy.experiment(train={"steps": 9}))
    assert [line.action for line in lines] == ["restore", "restore", "run", "run"]
    lines = pull(other, toy.toy, toy.experiment())
    assert [line.action for line in lines] == ["reuse", "reuse", "restore", "restore"]
    assert run(other, toy)[0].actions == ALL_REUSED


def test_without_a_remote_push_and_pull_say_how_to_name_one(workspace, toy):
    (workspace.root / ".dvc" / "config.local").unlink()
    for action in (lambda: push(workspace), lambda: pull(workspace, toy.toy, toy.experiment())):
        with pytest.raises(RemoteError, match="dvc remote add --default NAME URL"):
            action()
    assert run(workspace, toy)[0].actions == ALL_BUILT


@pytest.mark.parametrize("url", ["/nowhere/at/all", "s3://"])
def test_a_remote_that_is_not_there_is_one_line_and_no_failure_of_a_run(workspace, toy, url):
    run(workspace, toy)
    set_remote(workspace, url)
    for action in (lambda: push(workspace), lambda: pull(workspace, toy.toy, toy.experiment())):
        with pytest.raises(RemoteError) as told:
            action()
        assert str(told.value).startswith(f"remote 'store' ({url}) ")
        assert "\n" not in str(told.value)
    Shared(workspace).forget()
    shutil.rmtree(workspace.root / ".dvc" / "cache")
    shutil.rmtree(workspace.path("data/toy_texts/demo"))
    heard, _ = run(workspace, toy)
    assert heard.actions == {**ALL_REUSED, "write_text": "built"}
    assert Shared(workspace).trouble
    assert len(heard.lines) <= 1


def test_a_remote_folder_that_cannot_be_written_to_is_one_line(workspace, toy, store):
    run(workspace, toy)
    store.write_text("a file, where a folder should be")
    with pytest.raises(RemoteError, match="remote 'store'"):
        push(workspace)


def test_planning_from_a_remote_folder_imports_no_dvc(workspace, other, toy):
    run(workspace, toy)
    push(workspace)
    script = (
        f"import sys; sys.path[:0] = ['{ROOT}', '{Path(__file__).parent}']; import toy_flow as toy\n"
        "workspace = toy.Workspace(toy.Path(sys.argv[1]))\n"
        "lines = toy.make_plan(workspace, toy.toy, toy.experiment())[1]\n"
        "assert [line.action for line in lines] == ['restore'] * 4, lines\n"
        "assert not {'dvc', 'dvc_data', 'dvc_objects', 'fsspec'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(other.root)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Counting(remote.Remote):
    """A remote behind a network, as far as its memory goes."""

    asked: ClassVar[list[str]] = []
    folder = None

    def read(self, note: str) -> bytes | None:
        self.asked.append(note)
        if "down" in self.url:
            raise RemoteError("remote 'store' does not answer")
        return b"yes" if "hit" in note else None


def test_answers_of_a_remote_are_remembered_for_a_while_and_silence_too(workspace, monkeypatch):
    opened = Counting(workspace.root, "store", "far://away")
    opened.asked.clear()
    monkeypatch.setattr(shared, "open_remote", lambda _: opened)
    asked, known = opened.asked, Shared(workspace)
    assert [known.note(name) for name in ("hit", "hit", "miss", "miss")] == [b"yes", b"yes", None, None]
    assert asked == ["hit", "miss"]
    monkeypatch.setattr(shared, "MISS_SECONDS", 0)
    assert [known.note("hit"), known.note("miss")] == [b"yes", None]
    assert asked == ["hit", "miss", "miss"]
    monkeypatch.setattr(shared, "HIT_SECONDS", 0)
    known.note("hit")
    known.forget()
    known.note("hit")
    assert asked[3:] == ["hit", "hit"]
    opened.url = "far://down"
    heard = []
    for _ in range(3):
        assert Shared(workspace, heard.append).note("hit") is None
    assert heard == ["remote 'store' does not answer; going on without it"]
    assert len(asked) == 6
    opened.trouble = None  # as in the next process, a moment later
    assert Shared(workspace).note("hit") is None
    assert Shared(workspace).trouble == "remote 'store' does not answer"
    assert len(asked) == 6


def test_a_step_that_is_forced_is_made_and_not_fetched(workspace, other, toy):
    run(workspace, toy)
    push(workspace)
    heard, _ = toy.run_toy(other, options=Options(force=("train_toy",)), keep_copies=True)
    assert heard.actions == {**ALL_RESTORED, "train_toy": "built"}
    assert Session(other).store.copies(read_manifest(next(other.root.glob("models/train_toy-*"))).key) is None


def test_the_note_for_people_names_no_machine(workspace, toy, store):
    run(workspace, toy)
    push(workspace)
    assert (store / "lmworks" / "README.txt").read_bytes() == shared.README
    assert exchange.NO_REMOTE.count("\n") == 0
