import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lmcore.batching.conversations import ConversationBatches
from lmcore.chat.conversation import Conversation
from lmcore.chat.template import encode_conversation
from lmcore.tokenizers.tokenizer import Tokenizer

LONG = 10_000


@pytest.fixture(scope="module")
def tokenizer(small_tokenizer: Path) -> Tokenizer:
    return Tokenizer.load(small_tokenizer)


def messages(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def write(path: Path, *talks: list[dict[str, str]]) -> Path:
    lines = [json.dumps({"id": str(n), "messages": talk, "source": "x"}) for n, talk in enumerate(talks)]
    path.write_text("".join(line + "\n" for line in lines))
    return path


def many(number: int) -> list[list[dict[str, str]]]:
    """Conversations that all differ, with lengths that differ by a factor of ten."""
    random = np.random.RandomState(0)
    return [messages(f"Say {n}!", "the ve " * random.randint(1, 40)) for n in range(number)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("conversations") / "train.jsonl", *many(203))


def key(encoded) -> tuple[int, ...]:
    return tuple(encoded.ids)


@pytest.mark.parametrize("batch_size", [1, 7, 16, 203, 500])
def test_every_epoch_visits_each_conversation_once_in_full_batches(file, tokenizer, batch_size):
    batches = ConversationBatches(file, tokenizer, LONG, batch_size, seed=3)
    assert batches.num_conversations == 203
    seen: Counter[tuple[int, ...]] = Counter({key(encoded): 0 for encoded in batches.everything()})
    for step in range(-(-3 * 203 // batch_size)):
        batch = batches.batch(step)
        assert len(batch) == batch_size
        seen.update(map(key, batch))
        # At any time no conversation is ahead of another by more than one epoch.
        assert set(seen.values()) <= {int(batches.epoch(step + 1)), int(batches.epoch(step + 1)) + 1}


def test_a_batch_is_what_the_template_encodes(file, tokenizer):
    expected = {key(encode_conversation(Conversation(messages=talk), tokenizer)) for talk in many(203)}
    batches = ConversationBatches(file, tokenizer, LONG, 8, seed=0)
    everything = batches.everything()
    assert {key(encoded) for encoded in everything} == expected
    for encoded in [*everything, *batches.batch(5)]:
        learned = [number for number, mask in zip(*encoded, strict=True) if mask]
        assert tokenizer.decode(learned, keep_control=True).endswith("ve <|im_end|>")
        assert type(encoded.ids[0]) is int
        assert type(encoded.is_learned[0]) is bool
    assert batches.num_answer_tokens == sum(sum(encoded.is_learned) for encoded in everything)


def test_everything_comes_in_one_order_short_ones_first_whatever_the_seed(file, tokenizer):
    one, other = (ConversationBatches(file, tokenizer, LONG, 8, seed).everything() for seed in (0, 1))
    assert one == other
    lengths = [len(encoded.ids) for encoded in one]
    assert lengths == sorted(lengths)


def test_a_resumed_run_sees_the_batches_of_an_uninterrupted_one(file, tokenizer):
    uninterrupted = ConversationBatches(file, tokenizer, LONG, 16, seed=5)
    expected = [uninterrupted.batch(step) for step in range(40)]
    resumed = ConversationBatches(file, tokenizer, LONG, 16, seed=5)
    assert [resumed.batch(step) for step in reversed(range(25, 40))] == expected[:24:-1]


def test_epochs_and_seeds_go_in_other_orders(file, tokenizer):
    batches = [ConversationBatches(file, tokenizer, LONG, 1, seed) for seed in range(3)]
    orders = {tuple(each._epoch_order(epoch)) for each in batches for epoch in range(3)}
    assert len(orders) == 9
    assert batches[0].epoch(406) == 2.0


def test_hardly_anything_is_padded(file, tokenizer):
    def padded_share(chosen) -> float:
        longest = [max(len(encoded.ids) for encoded in batch) * len(batch) for batch in chosen]
        return 1 - sum(len(encoded.ids) for batch in chosen for encoded in batch) / sum(longest)

    batches = ConversationBatches(file, tokenizer, LONG, 8, seed=0)
    ours = [batches.batch(step) for step in range(2 * 203 // 8)]
    everything = batches.everything()
    np.random.RandomState(0).shuffle(everything)
    blind = [everything[start : start + 8] for start in range(0, 200, 8)]
    assert padded_share(blind) > 0.3
    assert padded_share(ours) < 0.05


def test_long_and_short_batches_are_mixed(file, tokenizer):
    def trend(seed: int) -> float:
        batches = ConversationBatches(file, tokenizer, LONG, 8, seed)
        sizes = [sum(len(encoded.ids) for encoded in batches.batch(step)) for step in range(25)]
        return float(np.corrcoef(sizes, range(25))[0, 1])

    assert abs(np.mean([trend(seed) for seed in range(8)])) < 0.25


def test_a_conversation_that_just_fits_is_kept_and_a_longer_one_left_out_and_counted(tmp_path, tokenizer):
    file = write(tmp_path / "a.jsonl", messages("the", "ve"), messages("the", "ve the ve"))
    lengths = [len(encoded.ids) for encoded in ConversationBatches(file, tokenizer, LONG, 1, 0).everything()]
    for context, kept in [(lengths[1] - 1, 2), (lengths[1] - 2, 1), (lengths[0] - 1, 1)]:
        batches = ConversationBatches(file, tokenizer, context, 4, seed=0)
        assert (batches.num_conversations, batches.num_skipped) == (kept, 2 - kept)
        assert len(batches.batch(0)) == 4
    with pytest.raises(ValueError, match=f"2, are longer than the context of {lengths[0] - 2} tokens"):
        ConversationBatches(file, tokenizer, lengths[0] - 2, 1, 0)


def test_a_file_without_conversations_is_refused(tmp_path, tokenizer):
    with pytest.raises(ValueError, match="no conversation to learn from"):
        ConversationBatches(write(tmp_path / "a.jsonl"), tokenizer, 64, 1, 0)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"{", "is not JSON in UTF-8"),
        (b'{"messages": "\xff"}', "is not JSON in UTF-8"),
        (b"[1]", "is no object with 'messages'"),
        (b'{"text": "x"}', "is no object with 'messages'"),
        (b'{"messages": "x"}', "'messages' is 'x'; expected a list"),
        (b'{"messages": []}', "at least 1 of them"),
        (b'{"messages": [{"role": "assistant", "content": "x"}]}', "expected 'user'"),
        (b'{"messages": [{"role": "user", "content": 3}]}', "'messages.0.content' is 3"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "no message is from 'assistant', so there is"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "lone surrogate"),
    ],
)
def test_a_line_that_cannot_be_learned_from_is_named(tmp_path, tokenizer, line, complaint):
    file = write(tmp_path / "train.jsonl", messages("the", "ve"))
    file.write_bytes(file.read_bytes() + b"\n" + line + b"\n")
    with pytest.raises(ValueError, match=r"train\.jsonl, line 3: ") as caught:
        ConversationBatches(file, tokenizer, 64, 1, 0)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_without_markers_is_refused_as_such(tmp_path, tokenizer, monkeypatch):
    monkeypatch.delitem(tokenizer.control_ids, "<|im_end|>")
    file = write(tmp_path / "train.jsonl", messages("the", "ve"))
    with pytest.raises(ValueError, match=r"^no control token '<\|im_end\|>'"):
        ConversationBatches(file, tokenizer, 64, 1, 0)


def test_the_batches_of_a_seed_are_the_same_for_ever(file, tokenizer):
    batches = ConversationBatches(file, tokenizer, LONG, 4, seed=0)
    texts = [tokenizer.decode(encoded.ids) for step in (0, 60) for encoded in batches.batch(step)]
    assert [int(re.search(r"Say (\d+)!", text)[1]) for text in texts] == [183, 57, 49, 13, 62, 73, 33, 136]
