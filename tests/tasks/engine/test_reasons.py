"""Why a product has to be made again, in words."""

import pytest

from tasks.engine.reasons import differences, in_words

WAS = {
    "format": 1,
    "settings": {"train": {"steps": 3, "betas": [0.9, 0.95]}, "filters": [{"type": "length", "least": 3}]},
    "inputs": {"corpus": "a" * 64, "models": ["b" * 64, "c" * 64]},
    "code": {"lmcore.x:f": "1", "lmcore.x:": "1"},
    "carried": None,
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"settings": {"train": {"steps": 4, "betas": [0.9, 0.95]}, "filters": WAS["settings"]["filters"]}},
         ["train.steps 3 -> 4"]),
        ({"settings": {"train": {"betas": [0.9]}, "filters": [{"type": "length", "least": 3}]}},
         ["train.betas [0.9, 0.95] -> [0.9]", "train.steps is gone (was 3)"]),
        ({"settings": {**WAS["settings"], "filters": [{"type": "length", "least": 3.0}]}},
         ["filters[0].least 3 -> 3.0"]),
        ({"settings": {**WAS["settings"], "seed": 1}}, ["seed is new: 1"]),
        ({"inputs": {"corpus": "d" * 64, "models": WAS["inputs"]["models"]}},
         ["corpus changed: aaaaaaaa -> dddddddd"]),
        ({"inputs": {"corpus": None, "models": ["b" * 64, None]}}, []),
        ({"inputs": {"corpus": "a" * 64, "tokenizer": "e" * 64}},
         ["tokenizer is a new input", "models is no input any more"]),
        ({"code": {"lmcore.x:f": "2", "lmcore.y:g": "1"}},
         ["code: top level of lmcore.x is no longer used", "code: lmcore.x.f changed",
          "code: lmcore.y.g is new"]),
        ({"carried": "f" * 64}, ["what is carried over changed: None -> ffffffff"]),
        ({"format": 2}, ["format of products 1 -> 2"]),
    ],
)  # fmt: skip
def test_each_difference_is_named_old_and_new(change, told):
    assert differences(WAS, {**WAS, **change}) == told


def test_first_settings_are_new_not_a_change_of_nothing():
    assert differences({"settings": {}}, {"settings": {"steps": 3}}) == ["steps is new: 3"]


def test_a_line_holds_three_reasons_and_counts_the_rest():
    assert in_words(["a", "b", "c", "d", "e"]) == "a; b; c (+2 more)"
    assert in_words(["a"]) == "a"


def test_a_long_value_is_cut():
    (told,) = differences({"settings": {"x": "a" * 100}}, {"settings": {"x": "b" * 100}})
    assert len(told) < 90
