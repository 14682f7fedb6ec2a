"""Which files repeat a text: runs of eight words, however they are written, but none that others have too."""

import gzip
import html
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.forgetting.quotes import RUN, Quotes

TEXT = "Ottoline Quirke buried seven brass telescopes beneath the “flooded” observatory & wept."
WORDS = TEXT.replace("“", "").replace("”", "").replace("& ", "").replace(".", "").split()


def write_table(path: Path, text: str) -> None:
    pq.write_table(pa.table({"line": [1], "text": [text], "nested": [[{"said": text}]]}), path)


WRITERS = {
    "a.txt": lambda path, text: path.write_text(text),
    "a.txt.gz": lambda path, text: path.write_bytes(gzip.compress(text.encode())),
    "a.jsonl": lambda path, text: path.write_text('{"a": 1}\n' + json.dumps({"b": [{"c": text}]}) + "\n"),
    "a.jsonl.gz": lambda path, text: path.write_bytes(gzip.compress(json.dumps([text]).encode())),
    "a.json": lambda path, text: path.write_text(json.dumps({"d": {text: 1}}, indent=1)),
    "a.html": lambda path, text: path.write_text(
        f"<p>{html.escape(text).replace(' seven', ' <i>seven</i>')}"
    ),
    "a.parquet": write_table,
    "3f": write_table,
    "torn.jsonl": lambda path, text: path.write_text('{"a": "' + text),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_quote_is_found_in_every_kind_of_file(tmp_path, name):
    quotes = Quotes([TEXT])
    WRITERS[name](tmp_path / name, f"He says:\n{TEXT.upper()}\nThat is all.")
    assert quotes.are_in(tmp_path / name)
    WRITERS[name](tmp_path / name, " ".join(reversed(WORDS)))
    assert not quotes.are_in(tmp_path / name)


@given(st.integers(0, len(WORDS) - RUN), st.sampled_from([" ", "\n", ", ", " — "]))
def test_any_eight_words_in_a_row_are_a_quote_and_seven_are_none(start, between):
    quotes = Quotes([TEXT])
    assert quotes.are_in_text(f"x {between.join(WORDS[start : start + RUN])} y")
    assert not quotes.are_in_text(f"x {between.join(WORDS[start : start + RUN - 1])} y")


def test_what_other_files_say_as_well_is_no_quote(tmp_path):
    greeting = "Dear Sir or Madam, thank you very much for your letter of last week."
    quotes = Quotes([f"{greeting} {TEXT}"])
    share = quotes.leave_out([f"{greeting} It arrived."])
    assert 0 < share < 0.5
    assert not quotes.are_in_text(greeting)
    assert quotes.are_in_text(TEXT)
    assert quotes.leave_out([TEXT]) == pytest.approx((len(WORDS) - RUN + 1) / quotes.whole)


def test_a_short_text_is_a_quote_as_a_whole_and_a_word_or_two_are_none():
    assert Quotes(["Call me Ishmael."]).are_in_text("He said: call me Ishmael!")
    assert not Quotes(["Call me Ishmael."]).are_in_text("call Ishmael to me")
    assert not Quotes(["Yes, indeed"])
