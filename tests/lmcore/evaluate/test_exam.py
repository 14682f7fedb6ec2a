import json

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from lmcore.chat.template import encode_conversation
from lmcore.conversations.records import ExerciseFacts, make_record, write_exercises, write_side
from lmcore.evaluate.bootstrap import bootstrap_sums
from lmcore.evaluate.exam import examine
from lmcore.evaluate.marks import Measure, Sheet, mean_measure, measures_of, summarize
from lmcore.evaluate.metrics.rouge import Rouge
from lmcore.evaluate.settings import ExamConfig
from lmcore.interop.hugging_face import save_folder
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer

SETTINGS = ExamConfig(num_resamples=100, max_new_tokens=12, device="cpu")
ROUGE = Rouge()
QUOTES = ["the zu. a ba mi. in lo.", "and ra. the shi. to ve nu."]


def record(exercise, number, question, answer, document):
    return make_record(
        question, answer, id=f"{exercise}/{number}", exercise=exercise, document=document, source="s"
    )


def make_side(side):
    """Four labels, two quotes, two items to know by heart; two chapters of each side."""
    chapters = [f"{side}/a", f"{side}/b"]
    names = [("ba ba ba", "lo"), ("mi mi mi", "zu"), ("ba ba", "lo"), ("mi mi", "zu")]
    records = [
        record("name", number, f"{words}\n\nwho", label, chapters[number % 2])
        for number, (words, label) in enumerate(names)
    ]
    records += [
        record("quote", number, f"{passage}\n\nwhat", passage.split(". ")[1] + ".", chapters[number])
        for number, passage in enumerate(QUOTES)
    ]
    return records + [
        record("recite", number, f"say {number}", answer, f"train/{number}")
        for number, answer in enumerate(["ra nu", "ve to"])
    ]


@pytest.fixture(scope="module")
def conversations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conversations")
    for side in ("train", "validation", "test"):
        write_side(make_side(side) if side != "test" else [], folder, side)
    kinds = [
        ("name", "generalisation", "label"),
        ("quote", "generalisation", "extract"),
        ("recite", "recall", "free"),
    ]
    write_exercises(
        {name: ExerciseFacts(claim=claim, answers=kind, sides={}) for name, claim, kind in kinds}, folder
    )
    return folder


def learn(model, tokenizer, records):
    """Train a model until it says the answers of these records and nothing else."""
    encoded = [encode_conversation(each, tokenizer) for each in records]
    longest = max(len(each.ids) for each in encoded)
    ids = torch.tensor([each.ids + [0] * (longest - len(each.ids)) for each in encoded])
    learned = torch.tensor([each.is_learned + [False] * (longest - len(each.ids)) for each in encoded])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        logits = model(ids[:, :-1])[learned[:, 1:]]
        loss = torch.nn.functional.cross_entropy(logits, ids[:, 1:][learned[:, 1:]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


@pytest.fixture(scope="module")
def models(small_tokenizer, tmp_path_factory):
    """A model that knows all answers of the side, and one that was never taught."""
    tokenizer = Tokenizer.load(small_tokenizer)
    config = TransformerConfig(width=32, num_layers=2, num_heads=2, context_tokens=96)
    folders = {}
    for name in ("base", "taught"):
        model = Transformer(config, tokenizer.vocab_size, seed=1)
        if name == "taught":
            learn(model, tokenizer, make_side("validation"))
        folders[name] = tmp_path_factory.mktemp(name)
        save_folder(model, small_tokenizer, folders[name])
    return folders


@pytest.fixture(scope="module")
def report(models, conversations, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    facts = examine(models, conversations, folder, SETTINGS, "validation")
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    return folder, facts, json.loads((folder / "exam.json").read_text()), rows


def test_a_model_that_knows_the_answers_scores_one(report):
    _, facts, exam, _ = report
    assert exam["choice"]["scores"]["taught"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    for exercise, metric in (("name", "accuracy"), ("quote", "rougeL"), ("recite", "exact_match")):
        assert exam["exercises"][exercise]["metrics"][metric]["taught"]["value"] == 1.0
    assert (facts["best"], facts["choice"], facts["taught_name_accuracy"]) == ("taught", 1.0, 1.0)


def test_a_model_that_was_never_taught_is_cut_and_scores_little(report):
    _, _, exam, rows = report
    assert exam["exercises"]["name"]["metrics"]["ended"]["base"]["value"] == 0.0
    assert exam["exercises"]["name"]["metrics"]["ended"]["taught"]["value"] == 1.0
    assert exam["choice"]["scores"]["base"]["value"] < 0.5
    assert all(row["answers"]["base"] for row in rows)


def test_questions_that_outgrow_a_context_are_told(report, conversations, small_tokenizer, tmp_path):
    _, _, exam, _ = report
    assert exam["exercises"]["quote"]["questions_beyond_context"] == {"base": 0, "taught": 0}
    config = TransformerConfig(width=16, num_layers=1, num_heads=2, context_tokens=16)
    save_folder(Transformer(config, 400), small_tokenizer, tmp_path / "short")
    examine({"short": tmp_path / "short"}, conversations, tmp_path / "out", SETTINGS, "validation")
    cut = json.loads((tmp_path / "out" / "exam.json").read_text())
    assert cut["exercises"]["quote"]["questions_beyond_context"] == {"short": 2}


def test_what_counts_by_heart_counts_in_no_choice(report):
    _, _, exam, _ = report
    assert exam["choice"]["metric"] == "mean of name accuracy and quote rougeL"
    assert exam["exercises"]["recite"]["claim"] == "recall"


def test_models_are_set_beside_each_other_and_beside_baselines(report):
    _, facts, exam, _ = report
    differences = exam["exercises"]["name"]["differences"]["accuracy"]
    assert set(differences) == {
        "taught - base",
        *(
            f"{model} - {baseline}"
            for model in ("base", "taught")
            for baseline in ("majority", "bag_of_words")
        ),
    }
    metrics = exam["exercises"]["name"]["metrics"]["accuracy"]
    expected = metrics["taught"]["value"] - metrics["majority"]["value"]
    assert differences["taught - majority"]["value"] == pytest.approx(expected)
    assert set(exam["exercises"]["quote"]["metrics"]["rougeL"]) == {
        "base", "taught", "first_sentence", "random_sentence", "lead"
    }  # fmt: skip
    assert facts["majority_name_accuracy"] == 0.5
    assert facts["bag_of_words_name_accuracy"] == 1.0
    assert exam["choice"]["differences"]["taught - base"]["value"] > 0.5


def test_every_answer_is_kept_beside_the_wanted_one(report):
    _, _, _, rows = report
    assert [row["id"] for row in rows] == [each.id for each in make_side("validation")]
    first = rows[0]
    assert (first["question"], first["wanted"], first["answers"]["taught"]) == ("ba ba ba\n\nwho", "lo", "lo")
    assert (first["metric"], first["marks"]["taught"]) == ("accuracy", 1.0)
    assert set(first["baselines"]) == {"majority", "bag_of_words"}


def test_the_same_bytes_again_and_every_answer_is_told(report, models, conversations, tmp_path):
    told = []
    examine(models, conversations, tmp_path, SETTINGS, "validation", lambda *done: told.append(done))
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (report[0] / path.name).read_bytes()
    assert told[-1] == (16, 16)


def test_a_limit_of_items_asks_the_first_ones(models, conversations, tmp_path):
    settings = SETTINGS.model_copy(update={"items_per_exercise": 1})
    facts = examine({"base": models["base"]}, conversations, tmp_path, settings, "validation")
    assert facts["questions"] == 3


def test_what_cannot_be_examined_is_refused(models, conversations, tmp_path):
    with pytest.raises(ValueError, match="no question on the side test"):
        examine(models, conversations, tmp_path / "out", SETTINGS, "test")
    with pytest.raises(ValueError, match="a model is called 'majority', as a baseline is"):
        examine({"majority": models["base"]}, conversations, tmp_path / "out", SETTINGS, "validation")
    with pytest.raises(ValueError, match="no model to examine"):
        examine({}, conversations, tmp_path / "out", SETTINGS, "validation")
    assert not (tmp_path / "out").exists()


def sheet(kind, wanted, documents, **answers):
    records = [
        record("x", n, "?", each, document)
        for n, (each, document) in enumerate(zip(wanted, documents, strict=True))
    ]
    return Sheet("x", "generalisation", kind, records, answers, {})


def test_copying_the_reference_scores_one_and_other_words_nothing():
    measures = measures_of(sheet("free", ["a b", "c"], "de", copy=["A  b", "c"], other=["x y", "z"]), ROUGE)
    assert list(measures) == ["exact_match", "rouge1", "rouge2", "rougeL"]
    scores, _ = summarize(measures, ["copy"], num_resamples=20)
    assert scores["rouge1"]["copy"]["value"] == scores["exact_match"]["copy"]["value"] == 1.0
    assert scores["rougeL"]["other"]["value"] == 0.0
    assert scores["rouge2"]["copy"]["value"] == 0.5  # one word has no pair, in rouge-score as here


def test_an_interval_over_two_chapters_is_as_wide_as_the_two():
    """Chapter d is all right (3 items), chapter e all wrong (1): draws are dd, de, ee, ed."""
    measures = measures_of(sheet("label", "aaaa", "ddde", model=["a", "A ", "a", "b"]), ROUGE)
    told = measures["accuracy"].interval("model", num_resamples=500)
    assert told == {"value": 0.75, "low": 0.0, "high": 1.0}


def test_one_chapter_has_no_interval():
    measures = measures_of(sheet("label", "aa", "dd", model=["a", "b"]), ROUGE)
    assert measures["accuracy"].interval("model") == {"value": 0.5, "low": None, "high": None}


def test_the_interval_of_a_mean_over_many_chapters_is_that_of_the_formula():
    draw = np.random.RandomState(0)
    right = draw.rand(400) < 0.3
    rows = np.stack([right, np.ones(400)], axis=1)
    value, low, high = bootstrap_sums(rows, lambda sums: sums[:, 0] / sums[:, 1], num_resamples=4000)
    half = 1.96 * np.sqrt(value * (1 - value) / 400)
    assert (low, high) == pytest.approx((value - half, value + half), abs=0.006)


def test_paired_differences_of_equal_answers_are_exactly_nothing():
    answers = ["a", "b", "a", "b"]
    measures = measures_of(sheet("label", "aabb", "ddee", first=answers, second=answers), ROUGE)
    for measure in measures.values():
        assert measure.difference("first", "second") == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_macro_f1_is_that_of_scikit_learn():
    wanted, given = list("aabbbccccc"), list("abbbcccxca")
    measures = measures_of(sheet("label", wanted, "defghdefgh", model=given), ROUGE)
    expected = f1_score(wanted, given, labels=["a", "b", "c"], average="macro")
    assert measures["macro_f1"].interval("model")["value"] == pytest.approx(expected)


def test_a_choice_is_the_mean_over_exercises_and_its_interval_is_over_all_their_chapters():
    def measure(values):
        return Measure(
            {"model": np.array([[value, 1.0] for value in values])}, lambda sums: sums[:, 0] / sums[:, 1]
        )

    records = [sheet("label", "ab", documents).records for documents in ("de", "ef")]
    parts = list(zip(records, [measure([1.0, 0.0]), measure([1.0, 1.0])], strict=True))
    together = mean_measure(parts, ["model"])
    assert together.rows["model"].tolist() == [[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    assert together.interval("model", num_resamples=300) == {"value": 0.75, "low": 0.5, "high": 1.0}
