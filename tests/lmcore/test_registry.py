"""A part is a file: found by name, imported when asked for, its keyword-only parameters are its settings."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from lmcore import registry
from lmcore.config import Config, SettingsError, canonical, explain
from lmcore.corpus.filters import filters
from lmcore.registry import Part, Registry

KNOWN = "c4_quality, fineweb_quality, gopher_quality, gopher_repetition, language, length"


class FilterPart(Part):
    registry: ClassVar[Registry[Any]] = filters


class Cleaning(Config):
    filters: tuple[FilterPart, ...] = (FilterPart(type="length"),)


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Path]:
    """The `parts/filters/` of a workspace."""
    folder = tmp_path / "parts"
    (folder / "filters").mkdir(parents=True)
    registry.workspace_parts.append(folder)
    before = dict(filters._parts)
    yield folder / "filters"
    registry.workspace_parts.remove(folder)
    filters._parts = before


OWN = """
from lmcore.corpus.filters import filters
@filters.register
def own(document, *, most: int = {most}):
    pass
"""


def test_names_are_known_without_importing_a_part():
    script = (
        "import sys; from lmcore.corpus.filters import filters; print(filters.names());"
        "print([name for name in sys.modules if name.startswith('lmcore.corpus.filters.')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(KNOWN.split(", ")), "[]"]


def test_a_part_carries_every_dial_into_the_key_also_those_left_out():
    assert canonical(FilterPart.model_validate("length")) == canonical(FilterPart(type="length"))
    assert set(canonical(FilterPart(type="length"))) > {"type"}
    part = FilterPart.model_validate({"type": "length"})
    assert FilterPart.model_validate(part.model_dump()) == part


def test_a_workspace_adds_a_part_by_adding_a_file(parts):
    (parts / "own.py").write_text(OWN.format(most=3))
    assert "own" in filters.names()
    assert FilterPart(type="own").dials == {"most": 3}
    assert filters.file_of("own") == parts / "own.py"
    assert filters.file_of("length") is None
    assert FilterPart.model_validate({"type": "own", "most": 4}).build().keywords == {"most": 4}


def test_a_part_that_fails_to_import_can_be_mended_and_asked_for_again(parts):
    (parts / "own.py").write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        filters["own"]
    assert "lmcore.corpus.filters.own" not in sys.modules
    (parts / "own.py").write_text(OWN.format(most=30))
    assert FilterPart(type="own").dials == {"most": 30}


def test_a_file_that_registers_nothing_says_so(parts):
    (parts / "empty.py").write_text("")
    with pytest.raises(ValueError, match=r"registers no filter: decorate it with \.register"):
        filters["empty"]


def test_a_helper_file_is_no_part(parts):
    (parts / "_helper.py").write_text("")
    assert "_helper" not in filters.names()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("lenght", f"no filter named 'lenght'. Did you mean 'length'? Known: {KNOWN}"),
        ("../../../etc/passwd", f"no filter named '../../../etc/passwd'. Known: {KNOWN}"),
        ({"type": 5}, f"no filter named '5'. Known: {KNOWN}"),
        ({}, f"a filter needs a type. Known: {KNOWN}"),
        (5, "5 is no filter; write its name, or a type with its dials"),
        (None, "None is no filter; write its name, or a type with its dials"),
        (
            {"type": "length", "min_wrods": 3},
            "filter 'length': unknown setting 'min_wrods'. Did you mean 'min_words'?",
        ),
        ({"type": "length", 3: 3}, "filter 'length': "),
        ({"type": "length", "min_words": "few"}, "filter 'length': 'min_words' is 'few'; "),
    ],
)
def test_a_wrong_part_is_told_in_one_line(given, told):
    with pytest.raises(ValidationError) as caught:
        Cleaning.model_validate({"filters": [given]})
    message = explain(caught.value, Cleaning)
    assert message.startswith(f"'filters.0': {told}")
    assert "\n" not in message


def test_a_mistake_in_settings_is_a_value_error():
    assert issubclass(SettingsError, ValueError)
