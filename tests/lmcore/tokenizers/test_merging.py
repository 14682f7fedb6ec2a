"""Merges are those that `tokenizers` learns, whatever is kept on disk and however large counts are."""

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers

from lmcore.tokenizers.bpe import train
from lmcore.tokenizers.control import CONTROL_TOKENS
from lmcore.tokenizers.merging import learn
from lmcore.tokenizers.patterns import PATTERNS, pre_tokenizer
from lmcore.tokenizers.piece_counts import Counts, PieceCounts, Totals
from lmcore.tokenizers.settings import SMALLEST_VOCABULARY, TokenizerConfig
from lmcore.tokenizers.stream import Stream

SOURCES = Path(__file__).parents[3] / "data" / "sources"
PLENTY = 1 << 40
FEW_LETTERS = st.text("ab c'", max_size=40)


@cache
def shipped_text():
    files = ["jane_austen/northanger_abbey", "king_james_bible/08_ruth", "king_james_bible/18_job"]
    return [gzip.decompress((SOURCES / f"{file}.txt.gz").read_bytes()).decode() for file in files]


def learn_by_tokenizers(texts, vocab_size, rule="gpt2", min_frequency=2):
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizer(rule)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=[AddedToken(name, special=True, normalized=False) for name in CONTROL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer=trainer)
    return json.loads(backend.to_str())["model"]


def learn_all(texts, rule="gpt2", min_frequency=1):
    """Every merge that there is, with a vocabulary too large for the texts."""
    vocab = learn_by_tokenizers(texts, 1000, rule, min_frequency)["vocab"]
    chosen = {"vocab_size": len(vocab), "pre_tokenizer": rule, "min_frequency": min_frequency}
    return train(iter(texts), TokenizerConfig(**chosen))["model"]


@pytest.mark.parametrize(
    ("rule", "vocab_size", "min_frequency"),
    [("gpt2", 4096, 2), ("gpt2", 600, 1), ("gpt2", 1500, 60), ("gpt4", 1500, 2), ("qwen2", 1000, 3)],
)
def test_vocabularies_of_the_shipped_texts_are_those_of_tokenizers(rule, vocab_size, min_frequency):
    texts = shipped_text()
    expected = learn_by_tokenizers(texts, vocab_size, rule, min_frequency)
    config = TokenizerConfig(
        vocab_size=len(expected["vocab"]), pre_tokenizer=rule, min_frequency=min_frequency
    )
    assert train(iter(texts), config)["model"] == expected


@given(
    texts=st.lists(FEW_LETTERS, min_size=1, max_size=8),
    rule=st.sampled_from(sorted(PATTERNS)),
    min_frequency=st.integers(1, 3),
)
@settings(max_examples=150)
def test_all_merges_of_a_few_letters_are_those_of_tokenizers(texts, rule, min_frequency):
    expected = learn_by_tokenizers(texts, 1000, rule, min_frequency)
    assert learn_all(texts, rule, min_frequency) == expected


def stream_of(pieces, folder, memory_bytes=PLENTY):
    data = b"".join(pieces)
    lengths = np.array([len(piece) for piece in pieces])
    counts = Counts(data, lengths, np.array(list(pieces.values()), dtype=np.int64))
    totals = Totals(len(pieces), len(data), None, counts)
    return Stream(totals, np.arange(256, dtype=np.int32), folder, memory_bytes)


def merge(pieces, folder, num_merges, memory_bytes=PLENTY, min_frequency=1):
    tokens = [bytes([byte]) for byte in range(256)]
    merged = learn(stream_of(pieces, folder, memory_bytes), tokens, 256 + num_merges, min_frequency)
    return [(merged.tokens[left], merged.tokens[right]) for left, right in merged.merges]


def words_of(text):
    return {piece.encode(): 1 + place % 7 for place, piece in enumerate(dict.fromkeys(text.split()))}


def test_counts_beyond_32_bits_are_exact(tmp_path):
    many = 1 << 33
    pieces = {b"ab": many, b"cd": many + 1, b"xef": 3 << 31, b"yef": 3 << 31, b"gh": 1 << 31, b"ij": 1 << 62}
    found = merge(pieces, tmp_path, 6)
    # ef occurs 6 << 31, more than cd; ij would be 0 in 32 bits.
    assert found == [(b"i", b"j"), (b"e", b"f"), (b"c", b"d"), (b"a", b"b"), (b"x", b"ef"), (b"y", b"ef")]


def test_the_same_text_a_billion_times_teaches_the_same_merges(tmp_path):
    pieces = {
        piece.encode(): 1 + place % 7 for place, piece in enumerate(dict.fromkeys(shipped_text()[1].split()))
    }
    once = merge(pieces, tmp_path, 300)
    assert len(once) == 300
    assert merge({piece: count * 10**9 for piece, count in pieces.items()}, tmp_path, 300) == once


def test_a_token_is_merged_with_itself_from_left_to_right(tmp_path):
    assert merge({b"aaaaa": 4, b"baaa": 1}, tmp_path, 3) == [(b"a", b"a"), (b"aa", b"a"), (b"aa", b"aaa")]


def test_pairs_rarer_than_asked_for_are_never_merged(tmp_path):
    pieces = {b"abab": 2, b"abc": 1}
    assert merge(pieces, tmp_path, 9, min_frequency=2) == [(b"a", b"b"), (b"ab", b"ab")]
    assert merge(pieces, tmp_path, 9, min_frequency=3) == [(b"a", b"b")]


def test_cells_on_disk_give_the_same_merges(tmp_path):
    pieces = {
        piece.encode(): place % 5 + 1 for place, piece in enumerate(dict.fromkeys(shipped_text()[0].split()))
    }
    assert merge(pieces, tmp_path, 400, memory_bytes=0) == merge(pieces, tmp_path, 400)
    assert (tmp_path / "symbols").stat().st_size > 4 * sum(map(len, pieces))


@pytest.mark.parametrize("rule", ["gpt2", "gpt4"])
def test_a_tiny_budget_spills_and_learns_the_same(rule, tmp_path, monkeypatch):
    monkeypatch.setattr("lmcore.tokenizers.pieces.BLOCK_CHARACTERS", 30_000)
    config = TokenizerConfig(vocab_size=1200, pre_tokenizer=rule)
    expected = train(iter(shipped_text()), config)
    assert train(iter(shipped_text()), config.model_copy(update={"memory_bytes": 1}), tmp_path) == expected
    assert not list(tmp_path.iterdir())


def test_spilled_counts_are_the_sums(tmp_path, monkeypatch):
    monkeypatch.setattr("lmcore.tokenizers.pieces.BLOCK_CHARACTERS", 20)
    texts = [
        "one two three",
        "two three three",
        "more than fifteenletters indeed",
        "three fifteenletters",
    ]
    counts = PieceCounts("gpt2", tmp_path, memory_bytes=1)
    counts.count(iter(texts))
    assert len(counts.spilled) == 3
    found = {}
    for part in counts.totals().read():
        ends = np.cumsum(part.lengths).tolist()
        pieces = [part.data[end - length : end] for end, length in zip(ends, part.lengths, strict=True)]
        found |= dict(zip(pieces, part.counts.tolist(), strict=True))
    assert found[b" three"] == 3
    assert found[b" fifteenletters"] == 2
    assert found[b"three"] == found[b"one"] == found[b"more"] == 1
    assert sum(found.values()) == 3 + 3 + 4 + 2


def test_the_order_of_the_texts_and_their_cuts_do_not_matter():
    texts = shipped_text()
    config = TokenizerConfig(vocab_size=SMALLEST_VOCABULARY + 200)
    lines = [line for text in texts for line in text.splitlines(keepends=True)]
    assert train(iter(lines), config) == train(iter(lines[::-1]), config)
