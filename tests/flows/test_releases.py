"""Rollback, history and a registry that is lost, as a user meets them."""

import json
import re
import shutil
import sqlite3

import pytest

from flows.build_assistant import BuildAssistantExperiment
from tasks.tracking import Journal

ANOTHER = ("finetune.full.epochs=2", "assistant.model=tiny-assistant")


def aliases(lm):
    with sqlite3.connect(lm.workspace / "mlflow.db") as database:
        query = "SELECT name, alias, version FROM registered_model_aliases ORDER BY name, alias"
        return {f"{name}@{alias}": version for name, alias, version in database.execute(query)}


def test_a_second_version_challenges_and_a_rollback_a_history_and_a_lost_registry_keep_the_story(moved):
    assert aliases(moved) == {"tiny@champion": 1, "tiny-assistant@champion": 1}
    out = moved("build_assistant", "tiny", *ANOTHER)
    assert aliases(moved)["tiny-assistant@challenger"] == 2
    assert aliases(moved)["tiny-assistant@champion"] == 1
    assert "lm generate tiny-assistant@challenger --chat" in out
    assert "lm generate tiny@champion" in out

    out = moved("rollback", "tiny-assistant", "--to", "v2", "--why", "I like it")
    assert "tiny-assistant: champion v1 -> v2, challenger v2 -> nobody" in out
    assert "tiny-assistant@champion is v2 now; before it: nobody" in out
    assert "is v2 already; nothing was moved" in moved("rollback", "tiny-assistant", "--to", "v2")
    assert "had no champion before v2" in moved("rollback", "tiny-assistant", code=2)
    assert "Did you mean 'tiny-assistant'?" in moved("rollback", "tiny-asistant", code=2)
    assert "--to is 'best'; expected a version such as v3" in moved(
        "rollback", "tiny", "--to", "best", code=2
    )

    told = moved("history", "tiny-assistant")
    assert re.search(
        r"1 +\d{4}-\d\d-\d\d \d\d:\d\d +\S+@\S+, build_assistant tiny \w+ +first +champion", told
    )
    assert re.search(r"rollback +champion v1 -> v2 +I like it", told)
    assert told.strip().splitlines()[-1] == "now: champion v2"

    # Nothing of a version that is registered goes, and of it alone a lost registry is made again.
    moved("prune", "--older-than", "0")
    before, story = aliases(moved), (moved.workspace / "releases" / "tiny-assistant.jsonl").read_text()
    question = ("generate", "tiny-assistant@champion", "--chat", "--prompt", "Who?", "--max-new-tokens", "5")
    answer = moved(*question)
    (moved.workspace / "mlflow.db").write_bytes(b"not a database")
    for file in moved.workspace.glob("mlflow.db-*"):
        file.unlink()
    shutil.rmtree(moved.workspace / "mlartifacts")
    out = moved("doctor", code=1)
    assert "MLflow's database is damaged" in out
    out = moved("doctor", "--fix")
    assert out.count("mended: the registry has lost") == 3
    assert "all is well" in out
    assert aliases(moved) == before
    assert (moved.workspace / "releases" / "tiny-assistant.jsonl").read_text() == story
    assert moved(*question) == answer
    assert set(moved.actions().values()) == {"reuse"}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, None),  # by the experiment
        ({"registration": {"model": "mail"}}, "mail-assistant"),
        ({"registration": {"model": "mail"}, "assistant": {"model": "butler"}}, "butler"),
    ],
)
def test_an_assistant_is_named_after_its_language_model(settings, named):
    layers = [("letters", {"sources": ["letters"], **settings})]
    assert BuildAssistantExperiment.assemble(layers, {}).assistant_registration.model == named


def test_without_a_journal_a_lost_registry_begins_with_the_numbers_that_products_remember(moved):
    shutil.rmtree(moved.workspace / "releases")
    for file in moved.workspace.glob("mlflow.db*"):
        file.unlink()
    out = moved("doctor", code=1)
    assert "found: the registry has lost tiny v1, of reports/register_model-" in out
    assert "lm doctor --fix mends all of them" in out
    assert "all is well" in moved("doctor", "--fix")
    assert aliases(moved) == {"tiny@champion": 1, "tiny-assistant@champion": 1}
    (line,) = (moved.workspace / "releases" / "tiny.jsonl").read_text().splitlines()[:1]
    assert json.loads(line)["cause"] == "first"


def test_looks_and_verdicts_stand_in_the_history_too(fresh):
    journal = Journal(fresh.workspace, "tiny", who="ann@desk")
    sides = {"challenger": "b" * 64, "champion": "a" * 64}
    rows = [{"alias": "champion", "from": None, "to": 1}]
    facts = {"cause": "first", "why": "the first version", "moves": rows, "digests": {"1": "a" * 64}}
    journal.append("done", of=journal.append("move", **facts).id)
    journal.append("look", **sides, documents=72, test_set="c" * 64, error_rate=0.00096)
    journal.append("verdict", **sides, word="keep", sentence="not better", report="reports/judge-1")
    rows = [{"alias": "challenger", "from": None, "to": 2}]
    facts = {"cause": "registered", "why": "", "moves": rows, "digests": {"2": "c" * 64}}
    journal.append("done", of=journal.append("move", **facts).id)
    overtaken = {"challenger": "c" * 64, "champion": "a" * 64, "word": "promote", "sentence": "better"}
    journal.append("verdict", **overtaken)
    look, verdict, _, promoted, now = fresh("history", "tiny").splitlines()[-5:]
    assert "verdict: promote, not done  v2 against v1" in promoted
    assert " look  " in look
    assert "bbbbbbbbbbbb against v1" in look
    assert "72 documents of test set cccccccccccc, spends 0.00096 of the error rate" in look
    assert "verdict: keep" in verdict
    assert "not better (reports/judge-1)" in verdict
    assert now == "now: no aliases; lost, see lm doctor: challenger v2, champion v1"
