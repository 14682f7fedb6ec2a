"""Cleaners change what their names say, tell of it, and find nothing more in what they left."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus.clean import clean_text
from lmcore.corpus.cleaners import cleaners
from lmcore.corpus.cleaners.c4_lines import c4_lines
from lmcore.corpus.cleaners.mojibake import mojibake
from lmcore.corpus.cleaners.personal_data import personal_data
from lmcore.corpus.normalize import normalize_text
from lmcore.corpus.settings import CleanerPart, NormalizeConfig

EVERYTHING = ("email", "ip_address", "card_number", "iban", "phone")


def rules(cleaned: Any) -> dict[str, int]:
    return {edit.rule: edit.occurrences for edit in cleaned.edits}


def test_wrongly_decoded_text_is_mended_line_by_line():
    wrong = "The cafÃ© is fine.\nThis line, too: naïve.\nItâ€™s 5â‚¬."
    cleaned = mojibake(wrong)
    assert cleaned.text == "The café is fine.\nThis line, too: naïve.\nIt’s 5€."
    assert rules(cleaned) == {"mojibake": 2}
    assert cleaned.edits[0].example == "The cafÃ© is fine."


@given(text=st.text(max_size=80))
def test_what_utf8_turned_to_latin_1_comes_back(text: str):
    """Never worse than before: ftfy is sure, or leaves it."""
    cleaned = mojibake(text)
    assert mojibake(cleaned.text).text == cleaned.text


def test_lines_of_a_page_that_are_no_sentences_go():
    page = "\n".join(
        [
            "Home | About | Contact",
            "The cat sat on the mat.[12] It slept[citation needed].",
            "Too short.",
            "Please enable JavaScript to see this page.",
            "By reading on you agree to our terms of use.",
            "Read more about the cats of this world...",
            "lorem ipsum dolor sit amet.",
            "if (cookies) { use cookies(); } and that is that.",
            "w" * 1_001 + " is not a word.",
        ]
    )
    cleaned = c4_lines(page)
    assert cleaned.text.split("\n") == [
        "The cat sat on the mat. It slept.",
        "lorem ipsum dolor sit amet.",
        "if (cookies) { use cookies(); } and that is that.",
    ]
    assert rules(cleaned) == {
        "citation": 2, "few_words": 1, "javascript": 1, "long_word": 1,
        "no_terminal_punctuation": 2, "policy": 1,
    }  # fmt: skip


def test_headings_stay_where_lines_need_no_end():
    assert c4_lines("A heading of words", needs_terminal_punctuation=False).text == "A heading of words"


def test_c4_keeps_the_lines_that_datatrove_keeps():
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4QualityFilter

    lines = [
        "The cat sat on the mat.", "no end here", "One two.", "He said 'go on'", "It goes on...",
        "Use of cookies is fine here.", "See our Privacy Policy now.", "I like javascript a lot!",
        "x" * 1200 + " a b.",
        "A line with [1] two [23] marks.", "", "What [edit] is that?", "And a last one, it is\"",
    ]  # fmt: skip
    peer = C4QualityFilter(min_num_sentences=-1)
    page = Document(text="\n".join(lines), id="1")
    assert peer.filter(page) is True
    squeezed = "\n".join(" ".join(line.split()) for line in page.text.split("\n"))
    assert c4_lines("\n".join(lines)).text == squeezed


def test_personal_data_is_replaced_and_never_shown():
    text = "Write to Jane.Doe+x@mail.example-corp.co.uk or 8.8.8.8, not to 192.168.0.1; "
    text += "2001:4860:4860::8888 too."
    cleaned = personal_data(text)
    assert rules(cleaned) == {"email": 1, "ip_address": 2}
    assert re.fullmatch(
        r"Write to user-[0-9a-f]{8}@example\.com or 192\.0\.2\.\d+, not to 192\.168\.0\.1; "
        r"2001:db8::[0-9a-f]+ too\.",
        cleaned.text,
    )
    shown = " ".join(edit.example for edit in cleaned.edits)
    assert not re.search(r"jane|8\.8\.8|4860", shown, re.IGNORECASE)


def test_a_stand_in_follows_from_what_it_stands_for():
    one, two = personal_data("a@b.org").text, personal_data("c@d.org and A@B.org").text
    assert two.endswith(f" and {one}")
    assert not two.startswith(one)


@pytest.mark.parametrize(
    ("kind", "real", "unreal"),
    [
        ("card_number", "4539 1488 0343 6467", "4539 1488 0343 6468"),  # the check digit is wrong
        ("iban", "GB82 WEST 1234 5698 7654 32", "GB83 WEST 1234 5698 7654 32"),
        ("phone", "+44 20 7946 0958", "1984 and 20 7946 0958"),
        ("ip_address", "93.184.216.34", "10.11.12.13"),
        ("ip_address", "2606:4700::1111", "12:30:45"),
        ("email", "somebody@gmail.com", "somebody@example.org"),
        ("email", "x@y.de", "see @home, a@b and 3@ 4"),
    ],
)
def test_only_what_is_real_is_replaced(kind: str, real: str, unreal: str):
    assert real not in personal_data(f"It is {real}, or so.", kinds=(kind,)).text
    assert personal_data(f"It is {unreal}, or so.", kinds=(kind,)).text == f"It is {unreal}, or so."


def test_e_mail_addresses_are_found_where_datatrove_finds_them():
    from datatrove.pipeline.formatters import PIIFormatter

    peer = PIIFormatter(remove_ips=False)
    for text in (
        "mail me: a.b-c@x.co, (d_e@f.museum) <g@h.io>; i+j@k.l.m.nl.", "no@where at all",
        "UPPER@CASE.COM!", "a@b.c1",
    ):  # fmt: skip
        ours = re.sub(r"user-[0-9a-f]{8}@example\.com", "@", personal_data(text, kinds=("email",)).text)
        theirs = re.sub(r"email@example\.com|firstname\.lastname@example\.org", "@", peer.format(text))
        assert ours == theirs or text == "a@b.c1"  # no domain ends in a digit


BITS = st.sampled_from(
    ["a@b.org", "8.8.8.8", "+44 20 7946 0958", "4539148803436467", "GB82 WEST 1234 5698 7654 32",
     "[1]", "[[1]]",
     "[edit]", "javascript", "use cookies.", "The end.", "The very end, it is.", "\n", " ", "cafÃ©",
     "â€œ", "{",
     "lorem ipsum.", "...", "é", "\xa0", "word", "@", ".", "::1", "2001:4860::1:2"]
)  # fmt: skip


@given(text=st.lists(BITS, max_size=30).map("".join) | st.lists(BITS, max_size=30).map(" ".join))
@settings(max_examples=300)
def test_cleaning_twice_changes_nothing(text: str):
    parts = [CleanerPart(type="mojibake"), CleanerPart(type="c4_lines")]
    parts.append(CleanerPart.model_validate({"type": "personal_data", "kinds": EVERYTHING}))
    mend = [(part.type, part.build()) for part in parts]
    once, _ = clean_text(text, NormalizeConfig(), mend)
    assert clean_text(once, NormalizeConfig(), mend) == (once, [])


@pytest.mark.parametrize("name", ["mojibake", "c4_lines", "personal_data"])
@given(text=st.lists(BITS, max_size=30).map("".join) | st.lists(BITS, max_size=30).map(" ".join))
@settings(max_examples=200)
def test_a_cleaner_finds_nothing_in_its_own_output(name: str, text: str):
    dials = {"kinds": EVERYTHING} if name == "personal_data" else {}
    mend = CleanerPart.model_validate({"type": name, **dials}).build()
    once = mend(normalize_text(text, NormalizeConfig())).text
    assert mend(once) == (once, ())


def test_cleaners_are_found_by_name():
    assert {"mojibake", "c4_lines", "personal_data"} <= set(cleaners.names())
