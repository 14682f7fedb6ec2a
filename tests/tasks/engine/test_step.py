"""Steps, artifacts, and the memory of calls within one run."""

import pytest

from lmcore.config import Config
from tasks.engine.artifact import Artifact
from tasks.engine.key import address_of, flat_inputs, key_document
from tasks.engine.session import Session
from tasks.engine.step import Done, call_identity, current, step, unwrap
from tasks.engine.work import locate


class Base(Config):
    rate: float = 1.0
    device: str = "auto"

    def resolved(self):
        return self.model_copy(update={"device": "cpu"})


class Special(Base):
    beta: float = 0.5


class Holder(Config):
    inner: Base = Base()


def test_arguments_are_bound_by_name_with_defaults_and_resolved(toy):
    @step(makes=toy.ToyReport)
    def make(build, settings: Base, size: int = 3, *, name: str):
        return {}

    assert make.bind(Base(), name="x") == {"settings": Base(device="cpu"), "size": 3, "name": "x"}
    with pytest.raises(TypeError, match="missing a required argument: 'name'"):
        make.bind(Base())


def test_a_step_outside_a_run_says_how_to_run_it(toy):
    with pytest.raises(RuntimeError, match=r"use tasks\.engine\.run\.run_flow or `lm`"):
        current()


def test_an_artifact_goes_through_json_and_back(toy):
    text = toy.ToyText("data/toy_texts/x", "x", "d", "k", 3)
    assert Artifact.from_json(text.to_json()) == text
    assert unwrap([Done(text), text.to_json(), "word"]) == [text, text, "word"]


def test_a_key_holds_settings_and_digests_but_no_name_path_or_size(toy, workspace):
    session = Session(workspace)
    keys = set()
    for address, name, size in (("data/toy_corpora/a", "a", 1), ("data/toy_corpora/b", "b", 2)):
        corpus = toy.ToyCorpus(address, name, "d" * 64, "k" * 64, size)
        keys.add(locate(session, toy.train_toy, toy.train_toy.bind(corpus, toy.TrainConfig(), name=name)).key)
    assert len(keys) == 1
    other = toy.ToyCorpus("data/toy_corpora/a", "a", "e" * 64)
    keys.add(locate(session, toy.train_toy, toy.train_toy.bind(other, toy.TrainConfig(), name="a")).key)
    assert len(keys) == 2


def test_the_order_of_a_list_of_inputs_counts(toy, workspace):
    models = [toy.ToyModel(f"models/{name}", name, name * 64) for name in "ab"]
    session = Session(workspace)
    documents = [
        key_document(toy.count_words, {"models": each, "name": "x"}, session.code)
        for each in (models, models[::-1])
    ]
    assert documents[0] != documents[1]
    assert [artifact for _, artifact in flat_inputs({"models": tuple(models)})] == models


def test_data_lies_under_its_name_and_a_model_under_its_key(toy, workspace):
    document = {"step": "x"}
    assert address_of(toy.write_text, "demo", document).path == "data/toy_texts/demo"
    assert address_of(toy.train_toy, "demo", document).path.startswith("models/train_toy-")


def test_two_calls_that_differ_in_a_subclass_field_are_two_calls(toy):
    one, two = ({"settings": Holder(inner=Special(beta=beta)), "name": "x"} for beta in (0.5, 0.6))
    assert call_identity(toy.write_text, one) != call_identity(toy.write_text, two)
    assert call_identity(toy.write_text, one) == call_identity(toy.write_text, dict(one))


def test_a_future_that_is_done_is_the_artifact_itself(toy):
    text = toy.ToyText("data/toy_texts/x", "x", "d")
    assert call_identity(toy.split_text, {"text": Done(text)}) == call_identity(
        toy.split_text, {"text": text}
    )
