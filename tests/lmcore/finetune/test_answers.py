"""What of a conversation is learned, and that nothing else is."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lmcore.batching.conversations import ConversationBatches
from lmcore.chat.template import END, EncodedConversation
from lmcore.finetune.answers import AnswerBatches, HeldOutAnswers, cut_into_passes, to_rows
from lmcore.interop.hugging_face import save_folder
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.train.gradient import Lanes, batch_gradient
from lmcore.train.precision import WorkingModel
from lmcore.train.validation import Part, validate

CONFIG = TransformerConfig(width=16, num_layers=2, num_heads=2, hidden_width=32, context_tokens=64)
WORDS = ("bashi", "the lo", "mi nu", "ké", "zu and ve to", "in", "ra ra ra", "nu shi lo")


@pytest.fixture(scope="module")
def tokenizer(small_tokenizer: Path) -> Tokenizer:
    return Tokenizer.load(small_tokenizer)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Transformer:
    return Transformer(CONFIG, tokenizer.vocab_size, seed=1)


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> ConversationBatches:
    path = tmp_path_factory.mktemp("conversations") / "train.jsonl"
    pairs = zip(WORDS, reversed(WORDS), strict=True)
    turns = [[("user", question * 2), ("assistant", answer)] for question, answer in pairs]
    turns[2] += [("user", "lo"), ("assistant", "mi")]
    rows = [{"messages": [{"role": r, "content": c} for r, c in each]} for each in turns]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return ConversationBatches(path, tokenizer, CONFIG.context_tokens, batch_size=8, seed=0)


def mean_loss(model: Transformer, conversations: ConversationBatches, pass_tokens: int = 10_000) -> float:
    batch = AnswerBatches(conversations, pass_tokens).batch(0)
    return batch_gradient(WorkingModel(model, "fp32"), batch, Lanes(1))[0]


def test_the_loss_is_that_of_a_loop_over_the_answers_one_token_at_a_time(
    model: Transformer, conversations: ConversationBatches
):
    nats, count = 0.0, 0
    for ids, is_learned in conversations.batch(0):
        for place in range(1, len(ids)):
            if is_learned[place]:
                logits = model(torch.tensor([ids[:place]]))[0, -1].double()
                nats -= (logits[ids[place]] - logits.logsumexp(dim=0)).item()
                count += 1
    assert count == conversations.num_answer_tokens
    assert mean_loss(model, conversations) == pytest.approx(nats / count, abs=1e-5)


def test_the_loss_is_that_of_transformers_with_the_prompt_s_labels_at_minus_100(
    tmp_path: Path, small_tokenizer: Path, model: Transformer, conversations: ConversationBatches
):
    from transformers import AutoModelForCausalLM

    save_folder(model, small_tokenizer, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    rows = to_rows(conversations.batch(0))
    ids = rows.tokens
    assert rows.is_counted is not None
    labels = torch.cat([torch.full_like(ids[:, :1], -100), ids[:, 1:].where(rows.is_counted, -100)], dim=1)
    lengths = torch.tensor([len(each.ids) for each in conversations.batch(0)])
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    expected = theirs(input_ids=ids, attention_mask=mask, labels=labels).loss
    assert mean_loss(model, conversations) == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("pass_tokens", [1, 40, 100])
def test_one_pass_of_eight_is_eight_passes_of_one(
    model: Transformer, conversations: ConversationBatches, pass_tokens: int
):
    working = WorkingModel(model, "fp32")
    together, apart = (AnswerBatches(conversations, tokens).batch(0) for tokens in (10_000, pass_tokens))
    assert len(together.passes) == 1 < len(apart.passes)
    loss, expected = batch_gradient(working, together, Lanes(1))
    other_loss, gradients = batch_gradient(working, apart, Lanes(1))
    assert other_loss == pytest.approx(loss, abs=1e-6)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(expected, gradients, strict=True))


def test_loss_and_gradients_are_those_of_all_logits_with_the_prompts_left_out(
    model: Transformer, conversations: ConversationBatches
):
    tokens, is_counted = to_rows(conversations.batch(0))
    assert is_counted is not None
    logits = model(tokens[:, :-1])
    logits.retain_grad()
    labels = tokens[:, 1:].where(is_counted, -100)
    expected = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    gradients = torch.autograd.grad(expected, [logits, *model.parameters()], retain_graph=True)
    assert not gradients[0][~is_counted].any()
    loss = model.loss(tokens, is_counted)
    assert torch.allclose(loss, expected, rtol=1e-6)
    ours = torch.autograd.grad(loss, list(model.parameters()))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(gradients[1:], ours, strict=True))


def test_what_fills_up_the_shorter_rows_changes_no_bit(
    model: Transformer, conversations: ConversationBatches
):
    tokens, is_counted = to_rows(conversations.batch(0))
    changed = tokens.clone()
    for row, each in zip(changed, conversations.batch(0), strict=True):
        row[len(each.ids) - each.is_learned[::-1].index(True) :] = 17
    assert not torch.equal(changed, tokens)
    assert torch.equal(model.loss(changed, is_counted), model.loss(tokens, is_counted))


def test_only_what_counts_goes_through_the_last_feed_forward_and_the_output_layer(
    model: Transformer, conversations: ConversationBatches
):
    shapes: list[torch.Size] = []
    layers = (model.blocks[0].feed_forward, model.blocks[1].feed_forward, model.norm)
    hooks = [layer.register_forward_hook(lambda _, __, out: shapes.append(out.shape)) for layer in layers]
    tokens, is_counted = to_rows(conversations.batch(0))
    model.loss(tokens, is_counted)
    for hook in hooks:
        hook.remove()
    (num_rows, num_tokens), num_targets = tokens[:, 1:].shape, conversations.num_answer_tokens
    assert shapes == [(num_rows, num_tokens, 16), (num_targets, 16), (num_targets, 16)]


def test_the_assistant_s_words_and_its_end_marker_are_learned_and_nothing_else(
    tokenizer: Tokenizer, conversations: ConversationBatches
):
    batch = AnswerBatches(conversations, 10_000).batch(0)
    tokens, is_counted = batch.passes[0]
    assert is_counted is not None
    learned = [row[1:][mask].tolist() for row, mask in zip(tokens, is_counted, strict=True)]
    texts = sorted(tokenizer.decode(ids, keep_control=True) for ids in learned)
    answers = [f"{word}{END}" for word in WORDS if word != "in"]
    assert texts == sorted([*answers, f"in{END}mi{END}"])  # one conversation has two turns
    assert batch.num_targets == sum(map(len, learned)) == conversations.num_answer_tokens


LENGTHS = st.lists(st.integers(2, 60), min_size=1, max_size=30)


@given(LENGTHS, st.integers(1, 200), st.integers(1, 4))
def test_passes_hold_each_conversation_once_and_are_of_like_size(lengths, pass_tokens, multiple):
    conversations = [EncodedConversation([n] * length, [True] * length) for n, length in enumerate(lengths)]
    passes = cut_into_passes(conversations, pass_tokens, multiple)
    assert sorted(each.ids[0] for rows in passes for each in rows) == list(range(len(lengths)))
    sizes = [sum(len(each.ids) - 1 for each in rows) for rows in passes]
    assert max(sizes) <= max(pass_tokens, sum(sizes) / len(lengths)) + max(lengths)
    assert all(sizes)


def test_a_large_batch_is_cut_into_a_multiple_of_passes():
    conversations = [EncodedConversation([1] * 101, [True] * 101) for _ in range(16)]
    assert [len(rows) for rows in cut_into_passes(conversations, 400, 1)] == [4] * 4
    assert [len(rows) for rows in cut_into_passes(conversations, 360, 4)] == [2] * 8
    assert [len(rows) for rows in cut_into_passes(conversations, 10_000, 4)] == [4] * 4


def test_held_out_answers_are_scored_per_token_and_per_byte(
    tokenizer: Tokenizer, model: Transformer, conversations: ConversationBatches
):
    held_out = HeldOutAnswers(conversations, tokenizer, pass_tokens=50)
    assert held_out.num_targets == conversations.num_answer_tokens
    assert held_out.num_bytes == sum(len(word.encode()) for word in (*WORDS, "mi"))
    score = validate(model, [Part(held_out)], Lanes(1))
    assert score.loss == pytest.approx(mean_loss(model, conversations), abs=1e-5)
    expected = score.loss * held_out.num_targets / held_out.num_bytes / math.log(2)
    assert score.bits_per_byte == pytest.approx(expected)


def test_of_many_held_out_conversations_some_of_every_length_are_scored(
    tokenizer: Tokenizer, conversations: ConversationBatches
):
    chosen = [rows for rows in HeldOutAnswers(conversations, tokenizer, 1, most=4).passes()]
    lengths = [rows.tokens.shape[1] for rows in chosen]
    everything = [len(each.ids) - 1 for each in conversations.everything()]  # without the last line feed
    assert lengths == everything[::2]


def test_answers_without_text_are_refused(tmp_path: Path, tokenizer: Tokenizer):
    path = tmp_path / "validation.jsonl"
    turns = [{"role": "user", "content": "lo"}, {"role": "assistant", "content": ""}]
    path.write_text(json.dumps({"messages": turns}))
    conversations = ConversationBatches(path, tokenizer, 64, 1, 0)
    with pytest.raises(ValueError, match="no answer holds any text"):
        HeldOutAnswers(conversations, tokenizer, 100)
