"""`lm card`, `lm cost` and `lm du` over a workspace in which a whole experiment was run."""

import json
import re
import sqlite3

from huggingface_hub import ModelCard

from tasks.costs import LEDGER


def test_a_card_tells_of_every_source_and_is_beside_the_registered_model(built):
    text = built("card", "tiny")
    assert re.search(r"\| jane_austen \| Public domain;.* \| 1 \|", text)
    assert re.search(r"\| king_james_bible \| Public domain;.* \| 3 \|", text)
    assert ModelCard(text).data.datasets == ["jane_austen", "king_james_bible"]
    homes = [card.parent for card in built.workspace.glob("mlartifacts/*/models/*/artifacts/README.md")]
    assert len(homes) == 2
    assert text in {(home / "README.md").read_text() for home in homes}
    assert "that answers questions" in built("card", "tiny-assistant@v1")


def test_the_description_in_mlflow_leads_to_the_card_and_to_the_origin(built):
    with sqlite3.connect(built.workspace / "mlflow.db") as database:
        rows = database.execute("SELECT description FROM model_versions WHERE name = 'tiny'").fetchall()
    ((description,),) = rows
    link = re.search(r"\[The model card\]\(#/experiments/\d+/runs/\w+/artifacts/(\S+)\)", description)
    assert link
    assert list(built.workspace.glob(f"mlartifacts/**/artifacts/{link[1]}"))
    assert "[Where this model comes from]" in description


def test_a_card_is_written_into_a_file_or_says_in_one_line_why_not(built, tmp_path):
    assert "the card of tiny v1" in built("card", "tiny@champion", "--out", str(tmp_path / "card.md"))
    assert (tmp_path / "card.md").read_text().startswith("---\nmodel_name: tiny v1\n")
    nowhere = built("card", "tiny", "--out", str(tmp_path / "no" / "card.md"), code=2)
    assert nowhere == f"lm: there is no folder {tmp_path / 'no'}; make it first, or name another place\n"
    assert "Did you mean 'tiny'?" in built("card", "tyny", code=2)
    assert "has no version 'v9'" in built("card", "tiny@v9", code=2)


def test_costs_are_those_of_what_was_made(built):
    whole, model = built("cost"), built("cost", "tiny@champion")
    assert re.search(r"in all +\d+ ", whole)
    steps = {line.split()[0] for line in model.splitlines() if "_" in line.split()[0]}
    assert {"ingest_source", "split_corpus", "train_tokenizer", "pretrain_model"} <= steps
    assert "examine_models" not in steps  # it was not made from that
    assert "tiny v1 and all that it was made from" in model
    assert "Did you mean 'tiny'?" in built("cost", "tyny", code=2)


def test_a_run_that_reuses_everything_is_noted_with_what_that_saved(moved):
    ledger = moved.workspace / ".lm" / LEDGER
    before = ledger.read_text().splitlines()
    moved("build_assistant", "tiny")
    *same, line = ledger.read_text().splitlines()
    assert same == before
    told = json.loads(line)
    assert (told["flow"], told["experiment"], told["made"]) == ("build_assistant", "tiny", {})
    assert sum(told["reused"].values()) > 1
    assert re.search(rf"reused {len(told['reused'])} times in 1 run", moved("cost", "tiny"))


def test_du_counts_every_byte_of_the_workspace_once(built):
    told = built("du")
    for kind in ("data products", "models", "MLflow's registered models", "DVC's cache of data versions"):
        assert kind in told
    assert re.search(r"^tiny +\d", told, re.MULTILINE)
    assert "lm prune" in told or "nothing to prune" in told
