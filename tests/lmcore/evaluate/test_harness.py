import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from lmcore.batching.settings import ShardsConfig
from lmcore.batching.token_shards import TokenShards, write_shards
from lmcore.evaluate.harness import evaluate_model
from lmcore.evaluate.settings import EvaluateConfig
from lmcore.interop.hugging_face import save_folder
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer

SETTINGS = EvaluateConfig(num_resamples=50, sample_tokens=5, prompts=("the", ""), device="cpu")


@pytest.fixture(scope="module")
def model_folder(small_tokenizer, tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    config = TransformerConfig(width=16, num_layers=1, num_heads=2, context_tokens=32)
    save_folder(Transformer(config, 400), small_tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def report(model_folder, small_shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    facts = evaluate_model(model_folder, small_shards, folder, SETTINGS)
    return folder, facts, json.loads((folder / "scores.json").read_text())


def test_the_same_bytes_again(report, model_folder, small_shards, tmp_path):
    evaluate_model(model_folder, small_shards, tmp_path, SETTINGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "documents.parquet",
        "samples.jsonl",
        "scores.json",
    ]
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (report[0] / path.name).read_bytes()


def test_counts_are_those_of_the_test_side(report, small_shards):
    _, facts, scores = report
    side = TokenShards(small_shards).side("test")
    assert (facts["documents"], facts["tokens"], facts["bytes"]) == (8, side.tokens, side.bytes)
    sources = scores["sources"]
    assert sorted(sources) == ["songs", "tales"]
    assert sum(source["tokens"] for source in sources.values()) == side.tokens


def test_perplexity_and_bits_per_byte_are_two_views_of_the_same_nats(report):
    folder, facts, scores = report
    table = pq.read_table(folder / "documents.parquet")
    nats, tokens, num_bytes = (np.sum(table.column(name)) for name in ("nats", "tokens", "bytes"))
    assert facts["perplexity"] == pytest.approx(math.exp(nats / tokens))
    assert facts["bits_per_byte"] == pytest.approx(nats / math.log(2) / num_bytes)
    assert facts["bits_per_byte_low"] < facts["bits_per_byte"] < facts["bits_per_byte_high"]
    assert scores["model"]["perplexity"]["low"] < facts["perplexity"] < scores["model"]["perplexity"]["high"]


def test_an_untrained_model_knows_nothing_and_loses_against_the_unigram_model(report, small_shards):
    _, facts, scores = report
    assert facts["perplexity"] == pytest.approx(400, rel=0.15)
    assert scores["model_minus_unigram"]["bits_per_byte"]["low"] > 0
    shards = TokenShards(small_shards)
    counts = np.bincount(shards.stream("train").tokens(), minlength=400) + 1
    nats = -np.log(counts / counts.sum())[shards.stream("test").tokens()].mean()
    assert facts["unigram_perplexity"] == pytest.approx(math.exp(nats))


def test_the_table_shows_the_worst_documents_first_and_where_they_came_from(report):
    table = pq.read_table(report[0] / "documents.parquet").to_pydict()
    assert table["bits_per_byte"] == sorted(table["bits_per_byte"], reverse=True)
    assert set(table["id"]) == {f"test/a.txt#{number}" for number in range(8)}
    assert set(table["file"]) == {"a.txt"}


def test_each_prompt_is_continued_greedily_and_by_chance(report):
    samples = [json.loads(line) for line in (report[0] / "samples.jsonl").read_text().splitlines()]
    asked = [(sample["prompt"], sample["temperature"]) for sample in samples]
    assert asked == [("the", 0.0), ("the", 0.8), ("", 0.0), ("", 0.8)]
    assert all(sample["tokens"] <= 5 for sample in samples)


def test_the_scores_say_how_they_were_made(report):
    definition = report[2]["definition"]
    assert (definition["context_tokens"], definition["stride"], definition["side"]) == (32, 16, "test")


def test_bfloat16_is_near_to_float32(report, model_folder, small_shards, tmp_path):
    settings = SETTINGS.model_copy(update={"precision": "bf16"})
    assert evaluate_model(model_folder, small_shards, tmp_path, settings)["bits_per_byte"] == pytest.approx(
        report[1]["bits_per_byte"], rel=1e-2
    )


def test_shards_of_another_tokenizer_are_refused(model_folder, small_tokenizer, small_corpus, tmp_path):
    other = tmp_path / "tokenizer"
    other.mkdir()
    for path in small_tokenizer.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    document = json.loads((other / "tokenizer.json").read_text())
    document["model"]["merges"] = document["model"]["merges"][:-1]
    (other / "tokenizer.json").write_text(json.dumps(document))
    write_shards(small_corpus, other, tmp_path / "shards", ShardsConfig())
    with pytest.raises(ValueError, match="was made with tokenizer"):
        evaluate_model(model_folder, tmp_path / "shards", tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out").exists()


def test_an_empty_test_side_is_refused(model_folder, small_tokenizer, write_corpus, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", train=["some text", "and more"])
    write_shards(corpus, small_tokenizer, tmp_path / "shards", ShardsConfig())
    with pytest.raises(ValueError, match="has no test documents: give test_share a value above 0"):
        evaluate_model(model_folder, tmp_path / "shards", tmp_path / "out", SETTINGS)


def test_a_stride_longer_than_the_context_is_refused_in_the_settings():
    with pytest.raises(ValueError, match="stride 9 is more than context_tokens 8"):
        EvaluateConfig(context_tokens=8, stride=9)


def test_a_stride_longer_than_the_models_own_context_is_refused(model_folder, small_shards, tmp_path):
    with pytest.raises(ValueError, match="stride 33 with context 32"):
        evaluate_model(
            model_folder, small_shards, tmp_path / "out", SETTINGS.model_copy(update={"stride": 33})
        )
