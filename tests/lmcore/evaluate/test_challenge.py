import json
import math

import pyarrow.parquet as pq
import pytest
import torch

from lmcore.batching.settings import ShardsConfig
from lmcore.batching.token_shards import write_shards
from lmcore.chat.template import encode_conversation
from lmcore.conversations.records import (
    ExerciseFacts,
    make_record,
    read_side,
    write_exercises,
    write_side,
)
from lmcore.corpus.document import Document, write
from lmcore.evaluate.challenge import challenge
from lmcore.evaluate.challenge_marks import MarkedQuestions
from lmcore.evaluate.exam import examine
from lmcore.evaluate.gate import decide
from lmcore.evaluate.harness import evaluate_model
from lmcore.evaluate.settings import EvaluateConfig, ExamConfig, GateConfig
from lmcore.evaluate.smoke import is_stutter
from lmcore.interop.hugging_face import load_folder, save_folder
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.settings import TokenizerConfig
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.tokenizers.training import train_tokenizer

SETTINGS = GateConfig(
    num_resamples=20_000, sample_tokens=6, speed_rounds=6, prompts=("the", "in"), device="cpu", stride=16
)
UNTIMED = SETTINGS.model_copy(update={"max_slowdown": None})
"""To decide without the clock of a machine that has other work."""
FILES = ("challenge.json", "documents.parquet", "samples.jsonl")


def save_model(folder, tokenizer, seed=0, context_tokens=32):
    config = TransformerConfig(width=16, num_layers=1, num_heads=2, context_tokens=context_tokens)
    vocab_size = Tokenizer.load(tokenizer).vocab_size
    save_folder(Transformer(config, vocab_size, seed=seed), tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def documents(small_corpus, tmp_path_factory):
    """The test side of the small corpus as a split writes it; the last two are alike."""
    rows = pq.read_table(small_corpus / "test.parquet").to_pylist()
    family = rows[-1]["digest"]
    found = [Document(**row, family=family if number >= 6 else "") for number, row in enumerate(rows)]
    path = tmp_path_factory.mktemp("split") / "test.parquet"
    write(path, Document, found)
    return path


@pytest.fixture(scope="module")
def unseen(documents):
    return pq.read_table(documents, columns=["digest"]).to_pydict()["digest"]


@pytest.fixture(scope="module")
def other_tokenizer(small_corpus, tmp_path_factory):
    """One with fewer tokens than the small tokenizer."""
    folder = tmp_path_factory.mktemp("other")
    train_tokenizer(small_corpus, folder, TokenizerConfig(vocab_size=300))
    return folder


@pytest.fixture(scope="module")
def models(small_tokenizer, other_tokenizer, tmp_path_factory):
    """A champion, and a challenger with another tokenizer and a longer context."""
    folder = tmp_path_factory.mktemp("models")
    champion = save_model(folder / "champion", small_tokenizer)
    return champion, save_model(folder / "challenger", other_tokenizer, seed=1, context_tokens=48)


@pytest.fixture(scope="module")
def challenged(models, documents, unseen, tmp_path_factory):
    folder = tmp_path_factory.mktemp("challenge")
    facts = challenge(*models, documents, unseen, unseen[:3], folder, SETTINGS)
    return folder, facts, json.loads((folder / "challenge.json").read_text())


def test_the_same_bytes_again_but_for_what_the_clock_wrote(challenged, models, documents, unseen, tmp_path):
    challenge(*models, documents, set(reversed(unseen)), unseen[:3], tmp_path, SETTINGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((*FILES, "log"))
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (challenged[0] / name).read_bytes()
    speed = json.loads((tmp_path / "log" / "speed.json").read_text())
    assert len(speed["rounds"]) == 6
    assert all(seconds > 0 for each in speed["rounds"] for seconds in each)


def test_each_model_scores_what_an_evaluation_on_shards_of_its_own_tokenizer_gives_it(
    challenged, models, small_corpus, small_tokenizer, other_tokenizer, tmp_path
):
    rows = pq.read_table(challenged[0] / "documents.parquet").to_pylist()
    for name, model, tokenizer in zip(
        ("champion", "challenger"), models, (small_tokenizer, other_tokenizer), strict=True
    ):
        shards, report = tmp_path / f"{name}-shards", tmp_path / name
        write_shards(small_corpus, tokenizer, shards, ShardsConfig())
        settings = EvaluateConfig(num_resamples=1, sample_tokens=1, device="cpu", stride=16, prompts=())
        evaluate_model(model, shards, report, settings)
        alone = pq.read_table(report / "documents.parquet").to_pydict()
        expected = dict(zip(alone["digest"], alone["nats"], strict=True))
        sizes = dict(zip(alone["digest"], alone["bytes"], strict=True))
        assert {row["digest"]: row[f"{name}_nats"] for row in rows} == pytest.approx(expected)
        assert {row["digest"]: row["bytes"] for row in rows} == sizes
        bits = sum(expected.values()) / math.log(2) / sum(sizes.values())
        assert challenged[1][name] == pytest.approx(bits)


def test_the_table_is_sorted_and_says_which_documents_are_older_and_which_alike(challenged, unseen):
    folder, facts, told = challenged
    table = pq.read_table(folder / "documents.parquet").to_pydict()
    assert table["digest"] == sorted(unseen)
    assert {name for name, older in zip(table["digest"], table["is_older"], strict=True) if older} == {
        *unseen[:3]
    }
    assert len(set(table["family"])) == 7
    assert (facts["documents"], facts["older_documents"]) == (8, 3)
    assert (told["all"]["unlike"], told["older"]["documents"]) == (7, 3)
    assert set(told["sources"]) == {"songs", "tales"}


def test_it_says_what_was_measured_and_how_large_both_are(challenged, models):
    told = challenged[2]
    windows = told["definition"]["windows"]
    assert windows["champion"] == {"context_tokens": 32, "stride": 16}
    assert windows["challenger"] == {"context_tokens": 48, "stride": 16}
    for name, folder in zip(("champion", "challenger"), models, strict=True):
        size = told["models"][name]
        weights = load_folder(folder).parameters()
        assert size["parameters"] == sum(weight.numel() for weight in weights)
        assert size["weight_bytes"] == (folder / "model.safetensors").stat().st_size
    assert told["models"]["champion"]["bytes_per_token"] > told["models"]["challenger"]["bytes_per_token"]


def test_samples_of_both_stand_side_by_side(challenged):
    samples = [json.loads(line) for line in (challenged[0] / "samples.jsonl").read_text().splitlines()]
    assert [(each["prompt"], each["temperature"]) for each in samples] == [
        ("the", 0.0),
        ("the", 0.8),
        ("in", 0.0),
        ("in", 0.8),
    ]
    for sample in samples:
        assert [each["model"] for each in sample["continuations"]] == ["champion", "challenger"]


def test_eight_documents_decide_nothing(challenged):
    decision = decide(challenged[0], UNTIMED, 1)
    assert decision.word == "cannot tell"
    assert "at least 30 are wanted" in decision.sentence


def test_a_model_differs_from_itself_by_exactly_nothing(models, documents, unseen, tmp_path):
    settings = UNTIMED.model_copy(update={"min_documents": 2})
    facts = challenge(models[0], models[0], documents, unseen, unseen, tmp_path, settings)
    assert facts["champion"] == facts["challenger"]
    assert "the same on each of them" in decide(tmp_path, settings, 1).sentence


def test_where_nobody_serves_the_challenger_is_measured_alone(models, documents, unseen, tmp_path):
    facts = challenge(None, models[1], documents, unseen, (), tmp_path, SETTINGS)
    assert set(facts) == {"documents", "older_documents", "challenger"}
    assert not (tmp_path / "log").exists()
    assert decide(tmp_path, UNTIMED, 1).word == "promote"


def test_without_a_document_there_is_no_score(models, documents, tmp_path):
    facts = challenge(*models, documents, (), (), tmp_path, SETTINGS)
    assert facts == {"documents": 0, "older_documents": 0}
    assert "no document that neither model has seen" in decide(tmp_path, UNTIMED, 1).sentence


def test_progress_ends_at_its_total(models, documents, unseen, tmp_path):
    told = []
    challenge(*models, documents, unseen, (), tmp_path, SETTINGS, lambda *each: told.append(each))
    assert told[-1][0] == told[-1][1]
    assert all(done <= total for done, total in told)


def test_documents_that_are_not_there_or_older_without_being_unseen_are_refused(
    models, documents, unseen, tmp_path
):
    with pytest.raises(ValueError, match=r"lacks 1 of 9 documents to score, such as ffff.*: take the side"):
        challenge(*models, documents, [*unseen, "f" * 64], (), tmp_path, SETTINGS)
    with pytest.raises(ValueError, match="is older but not unseen"):
        challenge(*models, documents, unseen[1:], unseen[:1], tmp_path, SETTINGS)
    assert not list(tmp_path.iterdir())


def test_a_model_with_another_models_tokenizer_is_refused(models, small_tokenizer, documents, tmp_path):
    mixed = tmp_path / "mixed"
    save_model(mixed, small_tokenizer)
    for name in ("config.json", "model.safetensors"):
        (mixed / name).write_bytes((models[1] / name).read_bytes())
    with pytest.raises(ValueError, match="the two do not belong together"):
        challenge(None, mixed, documents, (), (), tmp_path / "out", SETTINGS)


@pytest.fixture
def broken(small_tokenizer, tmp_path):
    """broken(change) saves a model whose output layer was changed."""

    def make(change):
        tokenizer = Tokenizer.load(small_tokenizer)
        config = TransformerConfig(width=16, num_layers=1, num_heads=2, context_tokens=32, is_tied=False)
        model = Transformer(config, tokenizer.vocab_size)
        with torch.no_grad():
            change(model, tokenizer)
        save_folder(model, small_tokenizer, tmp_path / "broken")
        return tmp_path / "broken"

    return make


def test_a_model_that_gives_no_numbers_is_kept_out_and_everything_is_still_written(
    broken, models, documents, unseen, tmp_path
):
    folder = broken(lambda model, _: model.to_logits.weight.fill_(math.nan))
    out = tmp_path / "out"
    facts = challenge(models[0], folder, documents, unseen, (), out, SETTINGS)
    assert "challenger" not in facts
    told = json.loads((out / "challenge.json").read_text())
    assert told["models"]["challenger"]["smoke"]["is_finite"] is False
    assert told["models"]["champion"]["smoke"]["is_finite"] is True
    decision = decide(out, UNTIMED, 1)
    assert decision.word == "keep"
    assert "the challenger's score is not finite on 8 of 8 documents" in decision.sentence


@pytest.mark.parametrize("said", ["the end of the text", "one token over and over"])
def test_a_model_without_words_fails_the_smoke_generation(broken, documents, tmp_path, said):
    def say_one_thing(model, tokenizer):
        model.blocks[0].attention.to_out.weight.zero_()
        model.embedding.weight.fill_(1.0)
        model.to_logits.weight.zero_()
        token = tokenizer.eos_id if said == "the end of the text" else tokenizer.encode("the")[0]
        model.to_logits.weight[token] = 50.0

    out = tmp_path / "out"
    challenge(None, broken(say_one_thing), documents, (), (), out, SETTINGS)
    assert json.loads((out / "challenge.json").read_text())["models"]["challenger"]["smoke"]["silent"] == [
        "the",
        "in",
    ]
    decision = decide(out, UNTIMED, 1)
    assert decision.word == "keep"
    assert "nothing, or one token over and over, behind 'the', 'in'" in decision.sentence


def test_a_token_said_a_few_times_is_an_answer():
    assert not is_stutter([7, 7, 7, 7])
    assert is_stutter([7] * 5)
    assert not is_stutter([7, 7, 7, 7, 8])
    assert not is_stutter([])


@pytest.fixture(scope="module")
def conversations(documents, tmp_path_factory):
    """Three labels on two documents, one own conversation, and one thing to know by heart."""
    folder = tmp_path_factory.mktemp("conversations")
    ids = pq.read_table(documents, columns=["id"]).to_pydict()["id"]
    asked = [("name", "a", "lo", ids[0]), ("name", "b", "zu", ids[0]), ("name", "c", "lo", ids[1])]
    asked += [("own", "d", "ba ba mi", "own/1"), ("recite", "e", "ra", "train/1")]
    records = [
        make_record(question, answer, id=f"{exercise}/{n}", exercise=exercise, document=document, source="s")
        for n, (exercise, question, answer, document) in enumerate(asked)
    ]
    for side in ("train", "validation", "test"):
        write_side(records if side != "validation" else [], folder, side)
    kinds = (
        ("name", "generalisation", "label"),
        ("own", "generalisation", "free"),
        ("recite", "recall", "free"),
    )
    write_exercises(
        {name: ExerciseFacts(claim=claim, answers=kind, sides={}) for name, claim, kind in kinds}, folder
    )
    return folder


@pytest.fixture(scope="module")
def taught(conversations, small_tokenizer, tmp_path_factory):
    """A model that was trained until it says the right answers."""
    tokenizer = Tokenizer.load(small_tokenizer)
    config = TransformerConfig(width=32, num_layers=2, num_heads=2, context_tokens=96)
    model = Transformer(config, tokenizer.vocab_size, seed=1)
    encoded = [encode_conversation(record, tokenizer) for record in read_side(conversations, "test")]
    longest = max(len(each.ids) for each in encoded)
    ids = torch.tensor([each.ids + [0] * (longest - len(each.ids)) for each in encoded])
    learned = torch.tensor([each.is_learned + [False] * (longest - len(each.ids)) for each in encoded])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        model.loss(ids, learned[:, 1:]).backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("taught")
    save_folder(model, small_tokenizer, folder)
    return folder


def test_models_that_chat_are_marked_as_in_an_exam_document_by_document(
    models, taught, documents, unseen, conversations, tmp_path
):
    exam = ExamConfig(max_new_tokens=6, num_resamples=1, device="cpu")
    out, named = tmp_path / "out", {"champion": models[0], "challenger": taught}
    facts = challenge(
        *named.values(), documents, [*unseen, "own/1"], unseen, out, SETTINGS,
        conversations=conversations, exam=exam,
    )  # fmt: skip
    rows = pq.read_table(out / "documents.parquet").to_pylist()
    # Two exercises weigh the same: three labels a sixth each, the own conversation a half.
    weights = {unseen[0]: 2 / 6, unseen[1]: 1 / 6, "own/1": 1 / 2}
    assert {row["digest"]: row["weight"] for row in rows} == pytest.approx(weights)
    assert {row["digest"]: row["challenger_marks"] for row in rows} == pytest.approx(weights)
    assert {row["digest"] for row in rows if row["is_older"]} == {unseen[0], unseen[1]}
    examine(named, conversations, tmp_path / "exam", exam, "test")
    choice = json.loads((tmp_path / "exam" / "exam.json").read_text())["choice"]
    told = json.loads((out / "challenge.json").read_text())
    assert (told["kind"], told["metric"]) == ("marks", choice["metric"])
    for name in named:
        assert facts[name] == pytest.approx(choice["scores"][name]["value"])
    sentence = decide(out, UNTIMED.model_copy(update={"max_growth": None}), 1).sentence
    assert "1.0000 against 0.0000 mean of name accuracy and own rougeL (1.0000 better) on 3" in sentence


def test_questions_are_those_of_the_documents_asked_for_that_claim_generalisation(
    documents, unseen, conversations
):
    names = {row["id"]: row["digest"] for row in pq.read_table(documents).to_pylist()}
    questions = MarkedQuestions(conversations, "test", {unseen[0], "own/1"}, names)
    assert questions.metric == "mean of name accuracy and own rougeL"
    assert questions.weights() == pytest.approx([0.5, 0.5])
    assert dict(questions.asked) == {"name": 2, "own": 1}
    assert questions.right["name"][:2] == ["lo", "zu"]
    assert MarkedQuestions(conversations, "validation", unseen, names).metric == "mean mark"
