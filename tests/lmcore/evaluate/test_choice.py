"""The best by validation, and whether its lead is noise; both by hand."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from lmcore.evaluate.choice import choose


def comparison(folder: Path, nats: Mapping[str, Sequence[float]], side: str = "validation") -> Path:
    """A report of documents of one byte each: bits per byte are the mean of nats / ln 2."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def entry(values: Sequence[float]) -> dict[str, object]:
        return {"all": {"bits_per_byte": {"value": sum(values) / len(values) / math.log(2)}}}

    models = {name: entry(values) for name, values in nats.items()}
    (folder / "comparison.json").write_text(json.dumps({"side": side, "models": models}))
    rows = [(name, value, 1) for name, values in nats.items() for value in values]
    columns = dict(zip(("model", "nats", "bytes"), zip(*rows, strict=True), strict=True))
    pq.write_table(
        pa.table({name: list(column) for name, column in columns.items()}), folder / "documents.parquet"
    )
    return folder


def exam(folder: Path, scores: Mapping[str, float], differences: Mapping[str, Sequence[float]]) -> Path:
    entries = {
        pair: dict(zip(("value", "low", "high"), each, strict=True)) for pair, each in differences.items()
    }
    choice = {
        "metric": "accuracy",
        "scores": {name: {"value": value} for name, value in scores.items()},
        "differences": entries,
    }
    (folder / "exam.json").write_text(json.dumps({"side": "validation", "choice": choice}))
    return folder


def test_the_model_with_the_fewest_bits_is_chosen_and_its_lead_is_paired(tmp_path: Path):
    report = comparison(tmp_path, {"base": [2.0, 4.0, 8.0], "mean": [1.0, 3.0, 7.0], "far": [9.0, 9.0, 9.0]})
    choice = choose(report, ("base", "mean", "far"))
    assert choice["chosen"] == "mean"
    assert choice["index"] == 1
    assert choice["runner_up"] == "base"
    # Every document is one nat better, so no resample can say anything else.
    assert choice["difference"] == pytest.approx(dict.fromkeys(("value", "low", "high"), -1 / math.log(2)))
    assert choice["verdict"] == "better"


def test_a_lead_that_one_document_makes_is_called_noise(tmp_path: Path):
    report = comparison(tmp_path, {"base": [1.0, 1.0, 9.0], "mean": [2.0, 2.0, 1.0]})
    choice = choose(report, ("base", "mean"))
    assert choice["chosen"] == "mean"
    assert choice["verdict"] == "cannot tell"
    assert "may be noise" in choice["sentence"]


def test_who_is_no_candidate_is_not_chosen(tmp_path: Path):
    report = comparison(tmp_path, {"base": [2.0, 2.0], "joint_control": [1.0, 1.0]})
    choice = choose(report, ("base",))
    assert choice["chosen"] == "base"
    assert (choice["runner_up"], choice["verdict"]) == (None, "only one")


def test_an_exam_is_won_by_the_highest_score_whichever_way_round_the_pair_is_told(tmp_path: Path):
    report = exam(tmp_path, {"full": 0.7, "lora": 0.8}, {"full - lora": (-0.1, -0.2, -0.05)})
    choice = choose(report, ("full", "lora"))
    assert choice["chosen"] == "lora"
    assert choice["difference"] == {"value": 0.1, "low": 0.05, "high": 0.2}
    assert choice["verdict"] == "better"


def test_of_equal_models_the_first_is_taken(tmp_path: Path):
    report = exam(tmp_path, {"full": 0.5, "lora": 0.5}, {"lora - full": (0.0, -0.1, 0.1)})
    choice = choose(report, ("full", "lora"))
    assert choice["chosen"] == "full"
    assert "so has lora" in choice["sentence"]


def test_the_test_side_is_not_chosen_by(tmp_path: Path):
    report = comparison(tmp_path, {"base": [1.0]}, side="test")
    with pytest.raises(ValueError, match="chosen on the validation side"):
        choose(report, ("base",))


def test_a_model_without_a_score_is_named(tmp_path: Path):
    report = comparison(tmp_path, {"base": [1.0, 2.0]})
    with pytest.raises(ValueError, match="no score of 'mean'"):
        choose(report, ("base", "mean"))
