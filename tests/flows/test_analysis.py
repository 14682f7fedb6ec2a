"""What words tell, from the command line: vectors as a cached product, and questions to them."""

import json

import pytest


@pytest.fixture(scope="module")
def embedded(workspace_at, tmp_path_factory):
    """A workspace with the vectors of the tiny experiment's words, made in one process."""
    lm = workspace_at(tmp_path_factory.mktemp("embedded"))
    lm("embed_words", "tiny", "embeddings.epochs=2", DVC_STAGE="test")
    return lm


def ask(lm, *question):
    return json.loads(lm("data", *question, "--json"))


def test_vectors_are_a_product_that_is_reused_until_a_setting_of_theirs_changes(embedded):
    plan = embedded("plan", "embed_words", "tiny", "embeddings.epochs=2").splitlines()
    assert {line.split()[0] for line in plan[1:-1]} == {"reuse"}
    plan = embedded("plan", "embed_words", "tiny", "embeddings.epochs=3").splitlines()
    rows = {line.split()[1]: line.split()[0] for line in plan[1:-1] if line.startswith(("run", "reuse"))}
    assert rows.pop("embed_words") == "run"
    assert set(rows.values()) == {"reuse"}
    assert "Word vectors" in embedded("explain", str(next(embedded.workspace.glob("data/embeddings/*"))))


def test_the_words_and_documents_nearest_to_one_are_told(embedded):
    words = ask(embedded, "like", "Mother", "-n", "5")
    assert len(words) == 5
    assert "mother" not in {row["word"] for row in words}
    cosines = [row["cosine"] for row in words]
    assert cosines == sorted(cosines, reverse=True)
    documents = ask(embedded, "like", "--document", "ruth.txt.gz#1", "-n", "3")
    assert {row["id"].split("/")[0] for row in documents} == {"king_james_bible"}
    assert "Esther" in embedded("data", "like", "--document", "esther.txt.gz#3")


def test_a_slip_is_answered(embedded, fresh):
    assert "'mothr' has no vector" in embedded("data", "like", "mothr", code=2)
    assert "Did you mean mother" in embedded("data", "like", "mothr", code=2)
    assert "a word, or --document DOCUMENT" in embedded("data", "like", code=2)
    assert "no corpus here yet" in fresh("data", "like", "mother", code=2)


def test_sources_are_told_from_their_words_beside_the_majority(embedded):
    result = ask(embedded, "classify")
    assert result["classes"] == ["jane_austen", "king_james_bible"]
    assert result["accuracy"] >= result["majority_accuracy"]
    assert sum(map(sum, result["confusion"])) == result["num_test"]
    said = embedded("data", "classify", "--features", "bigrams", "--by", "file", "--min-documents", "1")
    assert "bag of words" in said
    assert "always northanger_abbey.txt.gz" in said


def test_without_vectors_of_this_corpus_the_flow_that_makes_them_is_named(embedded):
    embedded("prepare_corpus", "tiny", "split.test_share=0.2", DVC_STAGE="test")
    assert "make some: lm embed_words EXPERIMENT" in embedded("data", "like", "mother", code=2)
