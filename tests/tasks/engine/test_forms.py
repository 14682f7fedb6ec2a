"""Forms: a flat schema for Prefect's pages, and the command line that a filled-in form stands for."""

from typing import Literal

import pytest
from pydantic import Field

from lmcore.config import Config, SettingsError
from tasks.engine.experiment import Experiment
from tasks.engine.forms import Form, Request


class Train(Config):
    steps: int = Field(10, ge=1, le=1000)
    """Optimizer steps;
    each sees a batch."""
    rate: float = Field(0.1, gt=0)
    """How far a step goes."""
    rule: Literal["sgd", "adam"] = "sgd"
    """How it goes."""
    patience: int | None = Field(None, ge=1)
    """Looks without a new best."""
    is_fast: bool = False
    label: str = "a"


class Small(Experiment):
    train: Train = Train()
    seed: int = 0


DIALS = ("train.steps", "train.rate", "train.rule", "train.patience", "seed", "train.label")


@pytest.fixture
def form() -> Form:
    return Form(Small, DIALS, ("demo", "tiny"))


def test_a_form_is_flat_and_each_dial_has_the_type_bounds_and_words_of_its_setting(form):
    schema = form.schema()
    fields = schema["properties"]
    assert list(fields) == ["experiment", *(dial.replace(".", "_") for dial in DIALS), "overrides", "force"]
    assert [field["position"] for field in fields.values()] == list(range(len(fields)))
    assert fields["experiment"]["enum"] == ["demo", "tiny"]
    assert schema["required"] == ["experiment"]
    assert fields["train_steps"] == {
        "title": "train.steps", "type": "integer", "minimum": 1, "maximum": 1000, "position": 1,
        "description": "Optimizer steps; each sees a batch.",
    }  # fmt: skip
    assert fields["train_rate"]["exclusiveMinimum"] == 0
    assert fields["train_rule"]["enum"] == ["sgd", "adam"]
    assert fields["train_patience"]["type"] == "integer"
    assert not any({"anyOf", "allOf", "$ref"} & field.keys() for field in fields.values())


def test_prefect_enforces_the_schema(form):
    from prefect.utilities.schema_tools.validation import ValidationError, validate

    schema = form.schema()
    validate({"experiment": "tiny", "train_steps": 5, "overrides": ["a=1"]}, schema, raise_on_error=True)
    for wrong in ({}, {"experiment": "big"}, {"experiment": "tiny", "train_steps": 0}):
        with pytest.raises(ValidationError):
            validate(wrong, schema, raise_on_error=True)


def test_a_choice_of_one_is_still_a_choice():
    assert Form(Small, (), ("tiny",)).schema()["properties"]["experiment"]["enum"] == ["tiny"]


def test_a_filled_in_form_is_a_command_line(form):
    request = form.request(
        {"experiment": "tiny", "train_steps": 5, "train_rule": "adam", "train_label": "no",
         "overrides": ["seed=2"], "force": ["split"]}
    )  # fmt: skip
    overrides = ("train.steps=5", "train.rule=adam", 'train.label="no"', "seed=2")
    assert request == Request("tiny", overrides, ("split",))
    expected = 'lm train tiny train.steps=5 train.rule=adam train.label="no" seed=2 --force split'
    assert request.command("train") == expected
    assert form.request({"experiment": "demo"}) == Request("demo")


@pytest.mark.parametrize("filled_in", [{"experiment": "big"}, {"experiment": "tiny", "train_rate": 0}, {}])
def test_a_wrong_form_is_one_line(form, filled_in):
    with pytest.raises(SettingsError) as refused:
        form.request(filled_in)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("dial", ["train.stepz", "train", "train.is_fast", "nothing.at_all"])
def test_what_is_no_number_text_or_choice_is_no_dial(dial):
    with pytest.raises(SettingsError, match=dial):
        Form(Small, (dial,), ("tiny",)).schema()


def test_every_flow_has_a_form_with_the_dials_that_its_experiments_have():
    from flows.cli.catalog import flow_names
    from flows.deployments import DIALS, dials_of, form_of

    assert set(DIALS) <= set(flow_names())
    for flow in flow_names():
        fields = form_of(flow, ["tiny"]).schema()["properties"]
        titles = [field["title"] for field in fields.values()]
        assert titles == ["experiment", *dials_of(flow), "overrides", "force"]
        assert all(field["description"] for field in fields.values())
    assert set(dials_of("prepare_corpus")) < set(dials_of("pretrain")) < set(dials_of("build_assistant"))
