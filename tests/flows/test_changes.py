"""Something changes: the plan says what in words, and the run does just that."""

import gzip
import json
import shutil

import pytest

ALL_REUSED = {"reuse"}


@pytest.fixture
def moved(moved, with_server):
    with_server(moved)
    return moved


@pytest.fixture
def fresh(fresh, with_server):
    with_server(fresh)
    return fresh


def set_setting(lm, before: str, after: str) -> None:
    file = lm.workspace / "experiments" / "build_assistant" / "tiny.yaml"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))


def test_a_deleted_data_product_is_restored_from_its_copy(moved):
    before = moved.digests()
    shutil.rmtree(moved.address("split_corpus"))
    plan = moved("plan", "build_assistant", "tiny")
    assert "restore  split_corpus tiny" in plan
    assert "is missing" in plan
    output = moved("build_assistant", "tiny")
    assert output.count("proved intact") == moved.num_calls
    assert "restored" in output
    assert moved.digests() == before


def test_a_flipped_byte_in_data_is_noticed_and_mended(moved):
    before = moved.digests()
    file = moved.address("write_shards") / "index.json"
    file.write_bytes(file.read_bytes()[:-2] + b" \n")
    assert "write_shards tiny" in (plan := moved("plan", "build_assistant", "tiny"))
    assert "index.json was changed" in plan
    assert moved.actions()["write_shards"] == "restore"
    moved("build_assistant", "tiny")
    assert moved.digests() == before


def test_a_deleted_model_is_restored_from_the_registry(moved):
    before = moved.digests()
    entry = json.loads((moved.address("register_model") / "registration.json").read_text())
    shutil.rmtree(moved.workspace / entry["model"]["address"])
    assert "restore" in moved.actions().values()
    assert "run" not in moved.actions().values()
    moved("build_assistant", "tiny")
    assert moved.digests() == before


def test_without_any_copy_a_damaged_product_is_built_again_to_the_same_bytes(moved):
    before = moved.digests()
    shutil.rmtree(moved.workspace / ".dvc" / "cache")
    tokenizer = moved.address("train_tokenizer") / "tokenizer.json"
    tokenizer.write_text("{}")
    actions = moved.actions()
    assert actions["train_tokenizer"] == "run"
    assert actions["pretrain_model"] == "depends"
    output = moved("build_assistant", "tiny")
    assert output.count("built ") == 1
    assert moved.digests() == before


def test_a_changed_source_file_runs_only_what_depends_on_it(moved):
    source = moved.workspace / "data" / "sources" / "king_james_bible" / "08_ruth.txt.gz"
    text = gzip.decompress(source.read_bytes()).decode()
    source.write_bytes(gzip.compress(text.replace("Bethlehem", "Bethlehem town").encode()))
    plan = moved("plan", "build_assistant", "tiny")
    assert "08_ruth.txt.gz changed" in plan
    actions = moved.actions()
    assert actions["ingest_source"] == "run"
    assert actions["pretrain_model"] == "depends"


def test_a_touched_source_file_changes_nothing(moved):
    (moved.workspace / "data" / "sources" / "king_james_bible" / "08_ruth.txt.gz").touch()
    assert set(moved.actions().values()) == ALL_REUSED


def test_a_changed_setting_is_named_with_its_old_and_new_value(moved):
    set_setting(moved, "steps: 120", "steps: 124")
    plan = moved("plan", "build_assistant", "tiny")
    assert "train.steps 120 -> 124" in plan
    actions = moved.actions()
    assert actions["write_shards"] == "reuse"
    assert actions["pretrain_model"] == "run"
    assert actions["evaluate_model"] == "depends"


def test_a_changed_setting_of_the_evaluation_trains_nothing(moved):
    set_setting(moved, "num_resamples: 200", "num_resamples: 300")
    actions = moved.actions()
    assert actions["pretrain_model"] == "reuse"
    assert actions["evaluate_model"] == "run"


def test_an_override_gets_a_name_of_its_own_and_leaves_the_data_alone(moved):
    plan = moved("plan", "build_assistant", "tiny", "tokenizer.vocab_size=400")
    assert "train_tokenizer tiny-" in plan
    assert set(moved.actions().values()) == ALL_REUSED


@pytest.mark.parametrize("option", ["--force", "--from"])
def test_forced_steps_make_the_same_bytes_again(moved, option):
    before = moved.digests()
    output = moved("write_shards", "tiny", option, "train_tokenizer")
    assert "same bytes as before" in output
    assert output.count("rebuilt") == (1 if option == "--force" else 2)
    assert moved.digests() == before


def test_until_ends_after_the_step(fresh):
    output = fresh("build_assistant", "tiny", "--until", "split_corpus")
    assert "split_corpus tiny" in output
    assert "train_tokenizer" not in output


def test_a_registry_copy_that_was_damaged_is_registered_again(moved):
    before = moved.digests()
    entry = json.loads((moved.address("register_model") / "registration.json").read_text())
    registered = entry["model"]["address"].partition("/")[2]
    (weights,) = moved.workspace.glob(f"mlartifacts/**/{registered}/model.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-40] + bytes(40))
    assert "the registry does not hold it as it was left" in moved("plan", "build_assistant", "tiny")
    moved("build_assistant", "tiny")
    (weights,) = moved.workspace.glob(f"mlartifacts/**/{registered}/model.safetensors")
    assert weights.read_bytes() == content
    assert moved.digests() == before
    assert set(moved.actions().values()) == ALL_REUSED
