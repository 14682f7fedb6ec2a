"""Settings: frozen, strict, explained in one line, and with one canonical form."""

import json
import math
from pathlib import Path
from typing import Annotated, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from lmcore.config import PLAIN_NAME, Config, canonical, did_you_mean, explain
from lmcore.lineage import canonical_json, digest_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


class Optimizer(Config):
    rate: float = 1e-3
    device: str = "auto"

    def resolved(self):
        return self.model_copy(update={"device": "cpu"}) if self.device == "auto" else self


class Adam(Optimizer):
    beta: float = 0.9


class Train(Config):
    steps: int
    """How often."""
    optimizer: Optimizer = Optimizer()
    more: tuple[Optimizer, ...] = ()
    other: Optimizer | None = None
    shares: dict[Annotated[str, Field(pattern=PLAIN_NAME)], float] = Field({"a": 1.0}, min_length=1)

    @model_validator(mode="after")
    def _is_no_baker(self) -> Self:
        if self.steps == 13:
            raise ValueError("thirteen steps are one too many")
        return self


@given(VALUES)
def test_canonical_json_reads_back_as_the_value(value):
    assert json.loads(canonical_json(value)) == canonical(value)
    assert canonical(canonical(value)) == canonical(value)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES), st.randoms())
def test_the_order_of_names_does_not_count(value, generator):
    names = list(value)
    generator.shuffle(names)
    assert digest_of({name: value[name] for name in names}) == digest_of(value)


@given(VALUES, VALUES)
def test_two_values_share_a_digest_only_if_they_are_one(left, right):
    assert (digest_of(left) == digest_of(right)) == (canonical_json(left) == canonical_json(right))


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, {1}, b"x", Path("x"), object(), print, {1: 2}, [{2.0}], ...]
)
def test_a_value_without_a_canonical_form_raises(value):
    with pytest.raises(TypeError, match="no canonical form"):
        canonical(value)


def test_one_and_true_and_one_point_zero_are_three_values():
    assert len({digest_of(1), digest_of(True), digest_of(1.0)}) == 3


def test_a_subclass_keeps_its_own_fields_in_the_canonical_form():
    train = Train(steps=1, optimizer=Adam(beta=0.5))
    assert canonical(train)["optimizer"] == {"rate": 1e-3, "device": "auto", "beta": 0.5}


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Train(steps=1).steps = 2  # type: ignore[misc]


def test_every_auto_is_resolved_however_deep():
    train = Train(steps=1, more=(Optimizer(), Adam()), other=Optimizer(device="auto")).resolved()
    assert [each.device for each in (train.optimizer, *train.more, train.other)] == ["cpu"] * 4
    assert isinstance(train.more[1], Adam)
    assert train.resolved() == train


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"stepz": 1, "steps": 1},
            "unknown setting 'stepz'. Did you mean 'steps'? Known: more, optimizer, other, shares, steps",
        ),
        (
            {"steps": 1, "optimizer": {"rat": 1}},
            "unknown setting 'optimizer.rat'. Did you mean 'rate'? Known: device, rate",
        ),
        (
            {"steps": 1, "more": [{}, {"rat": 1}]},
            "unknown setting 'more.1.rat'. Did you mean 'rate'? Known: device, rate",
        ),
        (
            {"steps": 1, "other": {"rat": 1}},
            "unknown setting 'other.rat'. Did you mean 'rate'? Known: device, rate",
        ),
        ({}, "'steps' is missing: How often."),
        ({"steps": 1, "more": "x"}, "'more' is 'x'; expected a list, such as [a, b]"),
        (
            {"steps": 1, "optimizer": 3},
            "'optimizer' is 3; expected settings by name, such as {name: value}",
        ),
        ({"steps": 1, "shares": {}}, "'shares' is {}; expected at least 1 of them"),
        (
            {"steps": 1, "shares": {"a/b": 1}},
            "'shares.a/b' is 'a/b'; expected a name of letters, digits, '.', '-' and '_' that begins with a "
            "letter or digit",
        ),
        ({"steps": 13}, "thirteen steps are one too many"),
        (
            {"steps": "many"},
            "'steps' is 'many'; input should be a valid integer, unable to parse string as an integer",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line_with_the_cure(given, told):
    with pytest.raises(ValidationError) as caught:
        Train.model_validate(given)
    assert explain(caught.value, Train) == told


def test_a_long_value_is_cut_in_an_explanation():
    with pytest.raises(ValidationError) as caught:
        Train.model_validate({"steps": ["x" * 1000]})
    assert len(explain(caught.value, Train)) < 160


def test_a_hint_names_what_is_near_and_all_that_is_known():
    assert did_you_mean("widht", ["width", "depth"]) == " Did you mean 'width'? Known: depth, width"
    assert did_you_mean("zzz", ["width"]) == " Known: width"
