import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from lmcore.batching.settings import ShardsConfig
from lmcore.batching.shard_index import DocumentSpan
from lmcore.batching.token_shards import TokenShards, write_shards
from lmcore.evaluate.comparison import compare_models
from lmcore.evaluate.comparison_table import ComparisonTable
from lmcore.evaluate.harness import evaluate_model
from lmcore.evaluate.settings import ComparisonConfig, EvaluateConfig
from lmcore.interop.hugging_face import save_folder
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer

SETTINGS = ComparisonConfig(
    num_resamples=50, sample_tokens=5, prompts=("the", ""), device="cpu", precision="fp32"
)
DIALS = {"num_resamples": 400, "seed": 0}


def save_model(folder, tokenizer, seed=0, context_tokens=32):
    torch.manual_seed(seed)
    config = TransformerConfig(width=16, num_layers=1, num_heads=2, context_tokens=context_tokens)
    save_folder(Transformer(config, 400, seed=seed), tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def models(small_tokenizer, tmp_path_factory):
    """Two untrained models, and the first again under another name."""
    first, second = (save_model(tmp_path_factory.mktemp("model"), small_tokenizer, seed) for seed in range(2))
    return {"first": first, "second": second, "again": first}


@pytest.fixture(scope="module")
def comparison(models, small_shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    facts = compare_models(models, small_shards, folder, SETTINGS, "validation", "first")
    return folder, facts, json.loads((folder / "comparison.json").read_text())


def table_of(nats, sources=None, num_bytes=100):
    count = len(next(iter(nats.values())))
    spans = [
        DocumentSpan(f"d{n}", (sources or ["tales"] * count)[n], "a.txt", 1, "", "", 0, 10, num_bytes)
        for n in range(count)
    ]
    return ComparisonTable(spans, {name: np.array(row) for name, row in nats.items()}, "base", DIALS)


def test_the_same_bytes_again(comparison, models, small_shards, tmp_path):
    compare_models(models, small_shards, tmp_path, SETTINGS, "validation", "first")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["comparison.json", "documents.parquet", "samples.jsonl"]
    for name in names:
        assert (tmp_path / name).read_bytes() == (comparison[0] / name).read_bytes()


def test_each_model_scores_what_an_evaluation_gives_it_at_the_same_stride(models, small_shards, tmp_path):
    settings = SETTINGS.model_copy(update={"stride": 16})
    compare_models(models, small_shards, tmp_path / "comparison", settings, "test", "first")
    report = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    alone = EvaluateConfig(num_resamples=50, sample_tokens=5, device="cpu", prompts=())
    for name in ("first", "second"):
        evaluate_model(models[name], small_shards, tmp_path / name, alone)
        scores = json.loads((tmp_path / name / "scores.json").read_text())
        assert report["models"][name]["all"]["bits_per_byte"] == scores["model"]["bits_per_byte"]
        for source in ("songs", "tales"):
            theirs = scores["sources"][source]["model"]["bits_per_byte"]
            assert report["models"][name][source]["bits_per_byte"] == theirs


def test_a_difference_is_that_of_the_scores_and_its_interval_is_paired(comparison):
    _, facts, report = comparison
    for group in ("all", "songs", "tales"):
        ours, theirs = (report["models"][name][group]["bits_per_byte"] for name in ("second", "first"))
        difference = report["differences"]["second"][group]
        assert difference["value"] == pytest.approx(ours["value"] - theirs["value"])
        assert difference["high"] - difference["low"] < ours["high"] - ours["low"]
    assert facts["second_minus_reference"] == report["differences"]["second"]["all"]["value"]


def test_a_model_does_not_differ_from_itself_and_the_reference_is_not_compared(comparison):
    report = comparison[2]
    assert report["differences"]["again"]["all"] == {"value": 0, "low": 0, "high": 0}
    assert report["verdicts"]["again"]["all"]["word"] == "cannot tell"
    assert set(report["differences"]) == set(report["verdicts"]) == {"second", "again"}
    assert report["order"] == ["first", "second", "again"]


def test_counts_are_those_of_the_side(comparison, small_shards):
    _, facts, report = comparison
    side = TokenShards(small_shards).side("validation")
    assert report["documents"] == {"all": 6, "songs": 3, "tales": 3}
    assert (facts["documents"], facts["tokens"], facts["bytes"]) == (6, side.tokens, side.bytes)


def test_the_report_says_what_was_measured(comparison):
    report = comparison[2]
    assert (report["side"], report["reference"]) == ("validation", "first")
    assert (report["definition"]["context_tokens"], report["definition"]["stride"]) == (32, 24)
    assert "over documents, not seeds of training" in report["interval"]
    assert "the best of 3 models looks better here than on other documents" in report["interval"]


def test_the_table_has_a_row_for_each_document_and_model(comparison):
    folder, facts, _ = comparison
    table = pq.read_table(folder / "documents.parquet").to_pydict()
    assert table["model"] == ["first", "second", "again"] * 6
    assert table["id"] == [f"validation/a.txt#{number}" for number in range(6) for _ in range(3)]
    nats, num_bytes = np.array(table["nats"]), np.array(table["bytes"])
    ours = np.array(table["model"]) == "second"
    bits = nats[ours].sum() / math.log(2) / num_bytes[ours].sum()
    assert facts["second_bits_per_byte"] == pytest.approx(bits)
    assert np.allclose(
        np.array(table["minus_reference"])[ours], (nats[ours] - nats[::3]) / math.log(2) / num_bytes[ours]
    )


def test_samples_stand_side_by_side_in_the_order_of_the_models(comparison):
    samples = [json.loads(line) for line in (comparison[0] / "samples.jsonl").read_text().splitlines()]
    assert [sample["prompt"] for sample in samples] == ["the", ""]
    for sample in samples:
        first, second, again = sample["continuations"]
        assert [first["model"], second["model"], again["model"]] == ["first", "second", "again"]
        assert first["text"] == again["text"] != second["text"]


def test_a_better_model_is_called_better_and_how_many_documents_would_tell_is_said():
    random = np.random.RandomState(0)
    base = random.gamma(9, 10, size=40)
    table = table_of({"base": base, "better": base * 0.9, "noisy": base + random.normal(-0.5, 9, size=40)})
    verdicts = table.report()["verdicts"]
    assert verdicts["better"]["all"]["word"] == "better"
    assert verdicts["noisy"]["all"]["word"] == "cannot tell"
    needed = verdicts["noisy"]["all"]["documents_needed"]
    assert needed > 40
    assert f"needs about {needed} documents" in verdicts["noisy"]["all"]["sentence"]
    assert table.facts()["best"] == "better"


def test_sources_are_scored_apart():
    sources = ["songs", "tales", "tales"]
    table = table_of({"base": [100.0, 200.0, 300.0], "other": [50.0, 300.0, 400.0]}, sources)
    bits = {group: score.value * math.log(2) for group, score in table.scores["base"].items()}
    assert bits == pytest.approx({"all": 2.0, "songs": 1.0, "tales": 2.5})
    differences = {group: each.value * math.log(2) for group, each in table.differences["other"].items()}
    assert differences == pytest.approx({"all": 0.5, "songs": -0.5, "tales": 1.0})


def test_bfloat16_is_nearer_to_float32_than_models_are_to_each_other(
    comparison, models, small_shards, tmp_path
):
    settings = SETTINGS.model_copy(update={"precision": "bf16"})
    facts = compare_models(models, small_shards, tmp_path, settings, "validation", "first")
    for name in ("first", "second"):
        key = f"{name}_bits_per_byte"
        assert facts[key] == pytest.approx(comparison[1][key], rel=2e-4)
    assert facts["second_minus_reference"] == pytest.approx(comparison[1]["second_minus_reference"], rel=0.05)


def test_models_of_other_contexts_read_what_all_of_them_can(models, small_shards, small_tokenizer, tmp_path):
    long = save_model(tmp_path / "long", small_tokenizer, context_tokens=64)
    both = {"long": long, "first": models["first"]}
    compare_models(both, small_shards, tmp_path / "out", SETTINGS, "test", "first")
    definition = json.loads((tmp_path / "out" / "comparison.json").read_text())["definition"]
    assert definition["context_tokens"] == 32


def test_progress_counts_the_windows_of_all_models(models, small_shards, tmp_path):
    told = []
    compare_models(models, small_shards, tmp_path, SETTINGS, "test", "first", lambda *n: told.append(n))
    done, totals = zip(*told, strict=True)
    assert set(totals) == {done[-1]}
    assert list(done) == sorted(done)


def test_an_unknown_reference_is_refused(models, small_shards, tmp_path):
    with pytest.raises(ValueError, match=r"no model named 'frist' to compare with. Did you mean 'first'\?"):
        compare_models(models, small_shards, tmp_path, SETTINGS, "test", "frist")


def test_a_model_with_another_tokenizer_is_refused_by_name(models, small_tokenizer, small_corpus, tmp_path):
    other = tmp_path / "tokenizer"
    other.mkdir()
    for path in small_tokenizer.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    document = json.loads((other / "tokenizer.json").read_text())
    document["model"]["merges"] = document["model"]["merges"][:-1]
    (other / "tokenizer.json").write_text(json.dumps(document))
    write_shards(small_corpus, other, tmp_path / "shards", ShardsConfig())
    with pytest.raises(
        ValueError, match=r"model 'first' has tokenizer \w{12}, the shards in .* were made with"
    ):
        compare_models(models, tmp_path / "shards", tmp_path / "out", SETTINGS, "test", "first")
    assert not (tmp_path / "out").exists()


def test_a_side_without_documents_and_an_unknown_one_are_refused(
    models, small_tokenizer, write_corpus, tmp_path
):
    corpus = write_corpus(tmp_path / "corpus", train=["some text", "and more"])
    write_shards(corpus, small_tokenizer, tmp_path / "shards", ShardsConfig())
    with pytest.raises(ValueError, match="has no validation documents"):
        compare_models(models, tmp_path / "shards", tmp_path / "out", SETTINGS, "validation", "first")
    with pytest.raises(ValueError, match="no side named 'proof'"):
        compare_models(models, tmp_path / "shards", tmp_path / "out", SETTINGS, "proof", "first")


def test_a_source_with_the_name_of_all_is_refused(models, small_tokenizer, write_corpus, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", train=["some text", "and more"], test=["in the end"])
    table = pq.read_table(corpus / "test.parquet")
    place = table.column_names.index("source")
    pq.write_table(table.set_column(place, "source", [["all"]]), corpus / "test.parquet")
    write_shards(corpus, small_tokenizer, tmp_path / "shards", ShardsConfig())
    with pytest.raises(ValueError, match="a source is named 'all', which stands for all sources here"):
        compare_models(models, tmp_path / "shards", tmp_path / "out", SETTINGS, "test", "first")
