from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from lmcore.config import canonical
from lmcore.corpus.settings import (
    DEFAULT_FILTERS,
    DeduplicateConfig,
    FilterPart,
    NormalizeConfig,
    Source,
    SourceChoice,
    SplitConfig,
)


def test_a_source_is_chosen_by_its_name_alone_or_with_files():
    assert SourceChoice.model_validate("jane_austen") == SourceChoice(name="jane_austen")
    assert SourceChoice.model_validate({"name": "x", "files": ["emma*"]}).files == ("emma*",)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "with space"])
def test_a_source_name_is_the_name_of_one_folder(name: str):
    with pytest.raises(ValidationError):
        SourceChoice(name=name)


@pytest.mark.parametrize("pattern", ["/etc/*", "~/x", "../x", "a/../../x", ""])
def test_patterns_stay_inside_the_folder(pattern: str):
    with pytest.raises(ValidationError, match="leaves the folder"):
        SourceChoice(name="x", files=(pattern,))


def test_no_pattern_at_all_is_a_mistake():
    with pytest.raises(ValidationError, match="leave `files` out to take all files"):
        SourceChoice(name="x", files=())


def test_every_setting_has_a_canonical_form_with_all_dials():
    source = Source(title="T", origin="O", licence="L")
    assert canonical(source)["reader"] == {
        "type": "text", "heading": None, "is_wrapped": False, "encoding": "utf-8"
    }  # fmt: skip
    length, repetition = (canonical(part) for part in DEFAULT_FILTERS)
    assert length == {"type": "length", "min_words": 20, "max_words": 100_000}
    assert [repetition[f"max_top_{n}gram_characters_share"] for n in (2, 3, 4)] == [0.2, 0.18, 0.16]
    for settings in (NormalizeConfig(), DeduplicateConfig(), SplitConfig()):
        assert canonical(settings)


def test_a_wrong_dial_of_a_filter_names_the_filter():
    with pytest.raises(
        ValidationError, match=r"filter 'length': unknown setting 'min_word'\. Did you mean 'min_words'"
    ):
        FilterPart.model_validate({"type": "length", "min_word": 3})


def test_a_family_is_never_narrower_than_what_is_removed():
    with pytest.raises(ValidationError, match=r"family_jaccard 0\.9 is above jaccard 0\.8; lower it"):
        DeduplicateConfig(family_jaccard=0.9)
    with pytest.raises(ValidationError, match=r"family_containment 0\.95 is above containment 0\.9"):
        DeduplicateConfig(family_containment=0.95)


def test_something_is_left_to_train_on():
    with pytest.raises(ValidationError, match="leave nothing to train on"):
        SplitConfig(validation_share=0.5, test_share=0.5)


def test_settings_import_nothing_heavy():
    program = (
        "import sys, lmcore.corpus.settings\n"
        "heavy = 'torch numpy pandas pyarrow duckdb datasets transformers prefect mlflow dvc'.split()\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_source_that_is_described_on_the_spot_says_where_it_is():
    with pytest.raises(
        ValidationError, match=r"source 'x' is described here and says not where it is.*sources/x"
    ):
        SourceChoice.model_validate({"name": "x", "licence": "my own"})
    assert SourceChoice.model_validate({"name": "x", "licence": "my own", "path": "~/x"}).source
