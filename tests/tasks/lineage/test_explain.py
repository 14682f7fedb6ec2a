"""One product in words, whatever has become of it."""

from __future__ import annotations

import shutil

from tasks.artifacts import Checkpoint, Report
from tasks.lineage.explain import as_text, explain
from tasks.lineage.find import find_product


def said_of(shop, called: str) -> dict[str, str]:
    parts = explain(shop.workspace, find_product(shop.workspace, called))
    return {part.question: "\n".join(part.sentences) for part in parts}


def test_a_product_is_explained_question_by_question(shop, letters):
    model = shop.model(letters)
    shop.make(Checkpoint, "finetune_model", "mine-full", {"base": model})
    said = said_of(shop, "data/shards/mine")
    assert said["What"].startswith("Token shards mine, 64 B in 1 file: data/shards/mine")
    assert "write_shards: The documents of each side were written as tokens" in said["How"]
    assert "by 2 functions of this project, fingerprint" in said["How"]
    assert "tokenizer: data/tokenizers/mine" in said["From"]
    assert "at the far end: 4 files of letters, licence “my own”" in said["From"]
    assert "lm pretrain mine, run run1, finished 2026-11-21 12:00:00 UTC on here" in said["Run"]
    assert "at commit 0123456789abcdef" in said["Run"]
    assert said["Cost"].startswith("2.0 s, 3.0 s of processor time, 200 MB of memory at the peak")
    assert "and 12 s, 18 s of processor time, for the 6 products behind it" in said["Cost"]
    assert said["Used by"] == (f"pretrain_model mine: {model.address}\nno registered model comes from it")
    assert said["State"] == "intact: every byte of 1 file was hashed just now\nthere is no other copy of it"


def test_settings_stand_with_their_values(shop, letters):
    said = said_of(shop, shop.model(letters).address)
    assert "with model.type transformer; model.width 16; train.steps 30" in said["How"]
    assert "14,160 parameters, 30 steps over 7,680 tokens" in said["What"]
    assert "nothing else was made from it" in said["Used by"]


def test_a_changed_byte_is_found_also_where_its_times_were_kept(shop, letters):
    import os

    model = shop.model(letters)
    assert said_of(shop, model.address)["State"].startswith("intact")
    file = shop.workspace.path(model.address) / "content.txt"
    before = file.stat()
    file.write_bytes(b"x" + file.read_bytes()[1:])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert said_of(shop, model.address)["State"].startswith(
        f"damaged: {model.address}/content.txt was changed"
    )


def test_what_is_gone_or_was_replaced_is_told_from_memory(shop, letters):
    model = shop.model(letters)
    corpus = find_product(shop.workspace, "data/corpora/mine").artifact
    shop.model({**letters, "d.txt": "dear d"})
    said = said_of(shop, corpus.digest)
    assert said["State"].startswith("replaced: a later version lies at data/corpora/mine now")
    shutil.rmtree(shop.workspace.path(model.address))
    said = said_of(shop, model.digest)
    assert said["State"].startswith("gone: nothing lies at")
    assert "14,160 parameters" in said["What"]


def test_of_many_readers_the_first_are_named(shop, letters):
    model = shop.model(letters)
    for number in range(12):
        settings = {"settings": {"seed": number}}
        shop.make(Report, "evaluate_model", f"mine-{number}", {"model": model}, settings=settings)
    said = said_of(shop, model.address)
    assert said["Used by"].count("evaluate_model mine-") == 8
    assert "and 4 more" in said["Used by"]


def test_the_answers_stand_in_a_column(shop, letters):
    model = shop.model(letters)
    text = as_text("mine", explain(shop.workspace, find_product(shop.workspace, model.address)))
    lines = text.splitlines()
    assert lines[0] == "mine"
    assert all(line[9] == " " and line[10] != " " for line in lines[1:])
