"""Where a model comes from, seen from the terminal and from its page in MLflow."""

import json
import re
import sqlite3


def test_the_page_is_attached_to_the_version_and_linked_from_its_description(built):
    with sqlite3.connect(built.workspace / "mlflow.db") as database:
        (text,) = database.execute("SELECT description FROM model_versions WHERE name = 'tiny'").fetchone()
    link = re.search(r"\[Where this model comes from\]\(#/experiments/1/runs/(\w+)/artifacts/(\S+)\)", text)
    assert link
    linked = list(built.workspace.glob(f"mlartifacts/*/{link[1]}/artifacts/{link[2]}"))
    attached = list(built.workspace.glob("mlartifacts/*/models/*/artifacts/lineage.html"))
    assert len(linked) == 1
    page = linked[0].read_text()
    assert page in [each.read_text() for each in attached]
    assert "Where tiny comes from" in page
    assert "northanger_abbey.txt.gz" in page
    assert "king\\_james\\_bible (Public domain" in text


def test_the_page_and_the_exports_are_written_where_one_says(built, tmp_path):
    files = {option: tmp_path / option for option in ("html", "openlineage", "cyclonedx")}
    options = [word for option, file in files.items() for word in (f"--{option}", str(file))]
    output = built("lineage", "tiny@champion", *options)
    assert output.count("wrote ") == 3
    assert "Where tiny v1 comes from" in files["html"].read_text()
    assert json.loads(files["openlineage"].read_text().splitlines()[-1])["eventType"] == "COMPLETE"
    assert json.loads(files["cyclonedx"].read_text())["metadata"]["component"]["name"] == "tiny"


def test_a_page_that_cannot_be_written_is_one_line(built, tmp_path):
    (tmp_path / "file").touch()
    output = built("lineage", "tiny@champion", "--html", str(tmp_path / "file" / "page.html"), code=2)
    assert output.startswith("lm: cannot write ")
    assert len(output.splitlines()) == 1


def test_explain_says_what_a_product_is_and_that_the_next_run_reuses_it(built):
    said = built("explain", "data/shards/tiny")
    assert "intact: every byte of 11 files was hashed just now" in said
    assert "copies in DVC's cache" in said
    assert "registered: tiny v1 (champion), tiny-assistant v1 (champion)" in said
    assert "lm build_assistant tiny would reuse it" in said
    assert "copies in MLflow's registry" in built("explain", "tiny@champion")


def test_explain_says_why_a_product_would_be_made_anew(moved):
    file = moved.workspace / "experiments" / "build_assistant" / "tiny.yaml"
    file.write_text(file.read_text().replace("vocab_size: 512", "vocab_size: 500"))
    said = moved("explain", "train_tokenizer tiny")
    assert "would make it anew: settings.vocab_size 512 -> 500" in said
    moved("train_tokenizer", "tiny", DVC_STAGE="test")
    assert "lm train_tokenizer tiny would reuse it" in moved("explain", "data/tokenizers/tiny")
    before = re.search(r"digest (\w{12})", said)[1]
    said = moved("explain", before)
    assert "replaced: a later version lies at data/tokenizers/tiny now" in said
    assert "would reuse data/tokenizers/tiny in its place: settings.vocab_size 512 -> 500" in said
    file.unlink()
    assert "nobody can say: lm build_assistant tiny cannot be planned now" in moved("explain", "tiny@v1")


def test_a_model_and_its_parent_are_compared_in_words(built):
    assert "are the same, byte for byte" in built("diff", "tiny@v1", "tiny@champion")
    said = built("diff", "tiny", "tiny-assistant@v1")
    assert "Finetuned model tiny-" in said
    assert "= Tokenizer   the same, byte for byte" in said
    document = json.loads(built("diff", "tiny", "tiny-assistant@v1", "--json"))
    assert {topic["name"]: topic["word"] for topic in document["topics"]}["Sources"] == "same"


def test_what_nobody_made_is_refused_in_one_line(built):
    for command in (("explain", "tinny"), ("lineage", "tiny@v9"), ("diff", "tiny", "1234567")):
        output = built(*command, code=2)
        assert len(output.splitlines()) == 1
        assert "lm list" in output
