"""Runs that start from a model that is there, on text of chosen sources."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lmcore.batching.mixture import source_streams
from lmcore.batching.token_shards import TokenShards
from lmcore.lineage import file_digest
from lmcore.train.loop import Interrupted
from lmcore.train.pretrain import pretrain
from lmcore.train.settings import PretrainRequest

MODEL = {"width": 16, "num_layers": 2, "num_heads": 2, "context_tokens": 16, "hidden_width": 32}
TRAIN = {
    "steps": 8,
    "batch_size": 8,
    "micro_batch_size": 2,
    "warmup_steps": 2,
    "peak_learning_rate": 3e-3,
    "validate_every": 4,
    "validation_tokens": 320,
    "sample_tokens": 3,
    "device": "cpu",
    "precision": "fp32",
}
MIXTURE = {"weights": {"tales": 3, "songs": 1}}


def run(shards: Path, tokenizer: Path, out: Path, **changes: Any) -> dict[str, Any]:
    own = {key: value for key, value in changes.items() if key in PretrainRequest.model_fields}
    train = TRAIN | {key: value for key, value in changes.items() if key not in own}
    request = {"train": train, "shards": shards, "tokenizer": tokenizer, "out": out, **own}
    return dict(pretrain(PretrainRequest.model_validate(request)))


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def product(out: Path) -> dict[str, bytes]:
    files = [path for path in out.rglob("*") if path.is_file() and path.parent.name != "log"]
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, small_shards: Path, small_tokenizer: Path) -> Path:
    out = tmp_path_factory.mktemp("base") / "out"
    run(small_shards, small_tokenizer, out, model=MODEL)
    return out


@pytest.fixture(scope="module")
def branch(tmp_path_factory: pytest.TempPathFactory, small_shards: Path, base: Path) -> Path:
    out = tmp_path_factory.mktemp("branch") / "out"
    run(small_shards, base, out, base=base, mixture=MIXTURE)
    return out


def test_it_starts_where_the_base_ended_and_scores_that_first(tmp_path: Path, small_shards: Path, base: Path):
    before = product(base)
    run(small_shards, base, tmp_path / "out", base=base)
    found = rows(tmp_path / "out")
    assert (found[0]["step"], found[0]["tokens"]) == (0, 0)
    base_facts = json.loads(before["facts.json"])
    assert found[0]["validation_loss"] == pytest.approx(base_facts["validation_loss"], abs=1e-6)
    assert found[-1]["validation_loss"] < found[0]["validation_loss"]
    assert [row["step"] for row in found if "validation_loss" in row] == [0, 4, 8]
    assert product(base) == before


def test_a_run_that_only_makes_it_worse_ends_with_the_base_s_weights(
    tmp_path: Path, small_shards: Path, base: Path
):
    facts = run(small_shards, base, tmp_path / "out", base=base, peak_learning_rate=30, warmup_steps=0)
    assert facts["best_step"] == 0
    assert file_digest(tmp_path / "out" / "model.safetensors") == file_digest(base / "model.safetensors")


def test_a_mixture_of_one_source_is_training_on_that_source_alone(
    tmp_path: Path, small_corpus: Path, small_shards: Path, small_tokenizer: Path, base: Path
):
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from lmcore.batching.settings import ShardsConfig
    from lmcore.batching.token_shards import write_shards

    (tmp_path / "corpus").mkdir()
    for side in small_corpus.glob("*.parquet"):
        table = pq.read_table(side)
        pq.write_table(table.filter(pc.equal(table["source"], "tales")), tmp_path / "corpus" / side.name)
    write_shards(tmp_path / "corpus", small_tokenizer, tmp_path / "shards", ShardsConfig())
    alone = run(tmp_path / "shards", base, tmp_path / "alone", base=base)
    mixed = run(small_shards, base, tmp_path / "mixed", base=base, mixture={"weights": {"tales": 0.7}})
    weights = [file_digest(tmp_path / name / "model.safetensors") for name in ("alone", "mixed")]
    assert weights[0] == weights[1]
    assert mixed["validation_loss"] == alone["validation_loss"]
    assert mixed["tales_tokens"] == alone["tokens"] == 8 * 8 * 16


def test_the_sources_of_a_mixture_weigh_in_validation_as_in_training(branch: Path, small_shards: Path):
    from lmcore.batching.windows import ValidationWindows
    from lmcore.interop.hugging_face import load_folder
    from lmcore.train.batch import HeldOutWindows
    from lmcore.train.gradient import Lanes
    from lmcore.train.validation import Part, validate

    shards, model = TokenShards(small_shards), load_folder(branch)
    losses = {}
    for (name, stream), most in zip(source_streams(shards, "validation").items(), (80, 240), strict=True):
        windows = ValidationWindows(stream, 16, shards.eos_id, shards.token_bytes, most)
        losses[name] = validate(model, [Part(HeldOutWindows(windows, 2))], Lanes(1)).loss
    facts = json.loads((branch / "facts.json").read_text())
    assert facts["validation_loss"] == pytest.approx(losses["songs"] / 4 + losses["tales"] * 3 / 4, abs=1e-6)


def test_by_temperature_small_sources_are_lifted_in_training_and_validation(
    tmp_path: Path, small_shards: Path, base: Path
):
    def drawn(mixture: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        facts = run(small_shards, base, tmp_path / "out", base=base, mixture=mixture)
        planned = json.loads((tmp_path / "out" / "log" / "mixture.jsonl").read_text())
        assert planned == {name: facts[name] for name in planned}
        weights = (tmp_path / "out" / "model.safetensors").read_bytes()
        shutil.rmtree(tmp_path / "out")
        return facts, weights

    streams = source_streams(TokenShards(small_shards), "train")
    sizes = {name: stream.num_tokens for name, stream in streams.items()}
    for temperature in (1, 2, 100):
        facts, weights = drawn({"temperature": temperature})
        shares = {name: size ** (1 / temperature) for name, size in sizes.items()}
        expected = 8 * 8 * shares["tales"] / sum(shares.values())
        assert facts["tales_tokens"] / 16 == pytest.approx(expected, abs=1)
        assert facts["tales_epochs"] == pytest.approx(facts["tales_tokens"] / sizes["tales"], rel=0.01)
        assert weights == drawn({"weights": shares})[1]


def test_each_source_s_tokens_and_epochs_are_told(branch: Path):
    facts = json.loads((branch / "facts.json").read_text())
    assert facts["songs_tokens"] + facts["tales_tokens"] == facts["tokens"] == 8 * 8 * 16
    assert facts["tales_tokens"] == 3 * facts["songs_tokens"]
    assert 0 < facts["songs_epochs"] < facts["tales_epochs"]


@pytest.mark.parametrize("step", [1, 6])
def test_interrupted_and_on_other_threads_it_ends_in_the_same_bytes(
    tmp_path: Path, small_shards: Path, base: Path, branch: Path, step: int
):
    out, turned = tmp_path / "out", {"weights": {"songs": 1, "tales": 3}}
    with pytest.raises(Interrupted):
        run(small_shards, base, out, base=base, mixture=turned, threads=3, stop_after=step)
    run(small_shards, base, out, base=base, mixture=MIXTURE, threads=2)
    assert product(out) == product(branch)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model": MODEL | {"num_layers": 3}}, "has num_layers 2, the model's settings say 3; leave"),
        (
            {"mixture": {"weights": {"tale": 1}}},
            r"no source named 'tale'. Did you mean 'tales'\? Known: songs, tales",
        ),
        ({"mixture": {"weights": {"tales": 0}}}, "greater than 0"),
        ({"mixture": {"weights": {}}}, "at least 1 item"),
        ({"mixture": {}}, "neither of weights and temperature given; set one, such as"),
        ({"mixture": {"weights": {"tales": 1}, "temperature": 2}}, "both of weights and temperature given"),
        ({"mixture": {"temperature": 0.5}}, "greater than or equal to 1"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, small_shards: Path, base: Path, changes: dict[str, Any], complaint: str
):
    with pytest.raises(ValueError, match=complaint):
        run(small_shards, base, tmp_path / "out", base=base, **changes)
    assert not (tmp_path / "out").exists()


def test_a_base_that_reads_with_another_tokenizer_is_refused(
    tmp_path: Path, small_corpus: Path, small_shards: Path, small_tokenizer: Path, base: Path
):
    from lmcore.interop.hugging_face import load_folder, save_folder
    from lmcore.tokenizers.settings import TokenizerConfig
    from lmcore.tokenizers.training import train_tokenizer

    train_tokenizer(small_corpus, tmp_path / "tokenizer", TokenizerConfig(vocab_size=390))
    save_folder(load_folder(base), tmp_path / "tokenizer", tmp_path / "other")
    with pytest.raises(ValueError, match="write the shards with the base's own tokenizer"):
        run(small_shards, small_tokenizer, tmp_path / "out", base=tmp_path / "other")


def test_a_request_without_model_and_base_is_refused(tmp_path: Path, small_shards: Path):
    with pytest.raises(ValueError, match="there is nothing to train; give a model, or a base"):
        run(small_shards, small_shards, tmp_path / "out")
