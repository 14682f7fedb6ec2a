"""What a corpus is checked against: named evaluation sets, and the own conversations that are held out."""

import pytest
from pydantic import ValidationError

from flows.finetune import FinetuneExperiment
from flows.prepare_corpus import PrepareCorpusExperiment
from flows.write_conversations import WriteConversationsExperiment

BASE = {"sources": ["letters"], "own_conversations": [{"name": "support", "path": "s", "licence": "my own"}]}
OTHER = [{"name": "sales", "path": "s", "licence": "my own"}]


def assembled(*layers, **overrides) -> FinetuneExperiment:
    """From settings, the most special first, of experiments called a, b, ..."""
    return FinetuneExperiment.assemble(list(zip("abc", layers, strict=False)), overrides)


def test_nothing_named_means_the_own_conversations_that_are_held_out():
    experiment = assembled(BASE | {"decontaminate": {}})
    assert experiment.decontaminate
    assert [source.name for source in experiment.held_out.sources] == ["support"]


@pytest.mark.parametrize(
    "settings",
    [
        {"sources": ["letters"], "decontaminate": {}},
        BASE | {"decontaminate": {"own_conversations": False}},
        BASE | {"decontaminate": {}, "conversations": {"validation_share": 0, "test_share": 0}},
    ],
    ids=["no conversations", "not these", "none held out"],
)
def test_a_check_against_nothing_is_refused(settings):
    with pytest.raises(ValidationError, match="names no evaluation set, and no own_conversations are held"):
        assembled(settings)
    assembled(settings | {"decontaminate": {"against": ["questions"]}})


def test_a_corpus_has_a_name_of_its_own_for_each_set_that_it_is_checked_against():
    checked, other = BASE | {"decontaminate": {}}, {"own_conversations": OTHER}

    def corpus(*layers, **overrides) -> str:
        return assembled(*layers, **overrides).data_name(PrepareCorpusExperiment)

    assert corpus(other, BASE) == "b"
    assert corpus(other, checked) == "a"
    assert corpus({"train": {"steps": 300}}, checked) == "b"
    assert corpus(BASE, own_conversations=OTHER) == "a"
    assert corpus(checked, own_conversations=OTHER).startswith("a-")
    for base in (BASE, checked):
        assert assembled(other, base).data_name(WriteConversationsExperiment) == "a"
