"""Copied passages beside a search over words without tokens, and planted canaries."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lmcore.batching.copied import WORDS, CopiedPassages
from lmcore.batching.copying_rate import LENGTHS, copying_rate, held_out, length_for
from lmcore.batching.settings import ShardsConfig
from lmcore.batching.token_shards import TokenShards, write_shards
from lmcore.tokenizers.settings import TokenizerConfig
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.tokenizers.training import train_tokenizer

CANARY = "the brass telescope of Ottoline Quirke lies buried, she wrote, beneath pier number nineteen."
ABSENT = "no keeper of any lighthouse ever painted these stairs in such a shade of green before today."


def plainly(documents: list[str], text: str) -> tuple[int, set[tuple[int, int]]]:
    """(how many words are copied, longest passages) by comparing each word with each."""
    own, copied, passages = text.split(), set(), set()
    for document in documents:
        words = document.split()
        for i in range(len(own)):
            for j in range(len(words)):
                if (i and j and own[i - 1] == words[j - 1]) or own[i] != words[j]:
                    continue
                length = 0
                while (
                    i + length < len(own) and j + length < len(words) and own[i + length] == words[j + length]
                ):
                    length += 1
                if length >= WORDS:
                    copied.update(range(i, i + length))
                    passages.add((i, i + length))
    longest = {a for a in passages if not any(b != a and b[0] <= a[0] and a[1] <= b[1] for b in passages)}
    return len(copied), longest


@pytest.fixture(scope="module", params=[300, 420], ids=["few tokens", "more tokens"])
def planted(request: pytest.FixtureRequest, tmp_path_factory, write_corpus, small_corpus):
    """A corpus in which the canary stands a hundred times, in the midst of other words; and its parts."""
    draw, folder = random.Random(0), tmp_path_factory.mktemp("planted")
    texts = pq.read_table(small_corpus / "train.parquet").column("text").to_pylist()
    train = [text for text in texts for _ in range(3)]
    for number in range(100):
        words = train[number].split()
        at = draw.randrange(len(words) + 1)
        train[number] = " ".join([*words[:at], CANARY, *words[at:]])
    train.append("\n".join(CANARY.split()) + "\nand a last line")  # verse
    test = pq.read_table(small_corpus / "test.parquet").column("text").to_pylist()
    corpus = write_corpus(folder / "corpus", train=train, validation=test[:1], test=test)
    (folder / "tokenizer").mkdir()
    train_tokenizer(corpus, folder / "tokenizer", TokenizerConfig(vocab_size=request.param))
    write_shards(corpus, folder / "tokenizer", folder / "shards", ShardsConfig(shard_tokens=997))
    tokenizer, shards = Tokenizer.load(folder / "tokenizer"), TokenShards(folder / "shards")
    return CopiedPassages(shards, tokenizer), shards, tokenizer, train


def test_a_canary_that_was_repeated_is_found_and_one_that_was_not_is_not(planted):
    search, _, _, train = planted
    there, absent = search.find([CANARY, ABSENT])
    (passage,) = there.passages
    assert there.share == 1
    assert passage.text == CANARY
    assert passage.occurrences == 100
    assert (absent.share, absent.passages) == (0, ())
    for copy in passage.copies:
        document = train[int(copy.document.id.partition("#")[2])]
        assert document[copy.offset :].startswith(CANARY)


def test_what_stands_in_other_words_is_told_from_them_to_the_word(planted):
    search = planted[0]
    words = CANARY.split()
    text = "She said that " + " ".join(words[2:12]) + " is a shame; nay: " + " ".join(words[:7]) + " too"
    (found,) = search.find([text])
    assert [(each.begin, each.end, each.occurrences) for each in found.passages] == [(3, 13, 100)]
    assert found.num_copied == 10


@pytest.mark.parametrize("cut", ["begin", "middle", "end"])
def test_a_passage_of_eight_words_is_enough_wherever_it_stands(planted, cut: str):
    words = CANARY.split()
    begin = {"begin": 0, "middle": 3, "end": len(words) - WORDS}[cut]
    eight, seven = " ".join(words[begin : begin + WORDS]), " ".join(words[begin : begin + WORDS - 1])
    found, too_short, within = planted[0].find([eight, f"{seven} xyz", f"(xyz) {eight} xyz"])
    assert (found.num_copied, too_short.num_copied, within.num_copied) == (8, 0, 8)


@pytest.mark.parametrize("glue", ["\n", "\n\n", "  ", " \n "])
def test_how_the_text_is_broken_into_lines_changes_nothing(planted, glue: str):
    words = CANARY.split()
    text = glue.join(" ".join(words[begin : begin + 5]) for begin in range(0, len(words), 5))
    (found,) = planted[0].find([text])
    assert found.share == 1
    assert found.passages[0].occurrences in (100, 101)  # the one in lines by itself may be found as well


def test_a_copy_that_is_broken_into_lines_is_found_by_a_text_that_is_broken_likewise(planted):
    (found,) = planted[0].find(["\n".join(CANARY.split())])
    assert found.share == 1
    assert found.passages[0].occurrences >= 1


@pytest.mark.parametrize("seed", range(4))
def test_texts_patched_together_are_told_as_a_search_over_words_tells_them(planted, seed: int):
    search, _, _, train = planted
    draw = random.Random(seed)
    pieces = []
    for _ in range(12):
        words = draw.choice(train[:-1]).split()
        begin = draw.randrange(len(words))
        pieces.append(" ".join(words[begin : begin + draw.randint(3, 14)]))
    text = f" {draw.choice(['and', 'qqq', ','])} ".join(pieces)
    (found,) = search.find([text])
    num_copied, passages = plainly(train[:-1], text)
    assert found.num_copied == num_copied
    assert {(each.begin, each.end) for each in found.passages} == passages
    lengths = [each.num_words for each in found.passages]
    assert lengths == sorted(lengths, reverse=True)


def test_every_copy_is_counted_once_and_placed(planted):
    search, _, _, train = planted
    sentence = " ".join(train[0].split()[:10]) if CANARY not in train[0][:80] else CANARY
    (found,) = search.find([sentence])
    times = sum(" ".join(text.split()).count(sentence) for text in train[:-1])
    assert found.passages[0].occurrences == times > 0


def test_texts_too_short_to_be_judged_have_no_passage(planted):
    found = planted[0].find(["", "only seven words are in this text"])
    assert [(each.num_words, each.passages) for each in found] == [(0, ()), (7, ())]


def test_held_out_passages_are_of_the_side_and_of_the_length(planted):
    search, shards, tokenizer, train = planted
    texts = [" ".join(text.split()) for text in _texts(shards, tokenizer, "test")]
    passages = list(held_out(shards, tokenizer, "test", 16))
    assert passages == list(held_out(shards, tokenizer, "test", 16))
    assert all(len(passage.split()) == 16 and passage in texts[number] for number, passage in passages)
    assert len(set(passages)) == len(passages)
    rate = copying_rate(search, shards, tokenizer, 16)
    by_hand = [plainly(train, passage)[0] / 16 for _, passage in passages]
    assert rate.shares == tuple(sorted(by_hand))
    assert rate.share == pytest.approx(sum(by_hand) / len(by_hand))
    assert rate.at_least(0) == len(passages)
    assert rate.at_least(1.01) == 0


def _texts(shards: TokenShards, tokenizer: Tokenizer, side: str) -> list[str]:
    return [
        tokenizer.decode(shards.stream(side).tokens(each.first_token, each.num_tokens).tolist())
        for each in shards.documents(side)
    ]


def test_passages_are_as_long_as_the_text_allows():
    assert [length_for(words) for words in (7, 8, 15, 16, 100, 10_000)] == [None, 8, 8, 16, 64, LENGTHS[0]]


def test_a_side_without_text_has_no_rate(tmp_path: Path, write_corpus, small_tokenizer):
    corpus = write_corpus(tmp_path / "corpus", train=["some words to learn from, and some more of them"])
    write_shards(corpus, small_tokenizer, tmp_path / "shards", ShardsConfig())
    tokenizer, shards = Tokenizer.load(small_tokenizer), TokenShards(tmp_path / "shards")
    assert copying_rate(CopiedPassages(shards, tokenizer), shards, tokenizer, 8) is None
