import math

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer

TINY = TransformerConfig(
    width=32, num_layers=2, num_heads=4, num_key_value_heads=2, hidden_width=48, context_tokens=32
)
VOCAB = 61


@pytest.fixture
def model() -> Transformer:
    return Transformer(TINY, VOCAB, seed=3)


def test_the_loss_of_a_new_model_is_near_that_of_a_uniform_guess(model: Transformer):
    tokens = torch.randint(VOCAB, (4, 33))
    assert model.loss(tokens).item() / (4 * 32) == pytest.approx(math.log(VOCAB), abs=0.1)


def test_the_loss_equals_the_one_from_its_logits(model: Transformer):
    tokens = torch.randint(VOCAB, (3, 21))
    from_logits = F.cross_entropy(
        model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten(), reduction="sum"
    )
    assert torch.allclose(model.loss(tokens), from_logits, rtol=1e-5)


def test_a_later_token_changes_no_earlier_logits(model: Transformer):
    tokens = torch.randint(VOCAB, (1, 20))
    changed = tokens.clone()
    changed[0, 12] = (tokens[0, 12] + 1) % VOCAB
    assert torch.equal(model(tokens)[:, :12], model(changed)[:, :12])


@pytest.mark.parametrize("pieces", [[20], [1] * 20, [7, 1, 5, 7], [1, 19]])
def test_reading_through_the_cache_equals_reading_at_once(model: Transformer, pieces: list[int]):
    tokens = torch.randint(VOCAB, (2, 20))
    cache = model.new_cache(batch_size=2)
    in_pieces = torch.cat([model(piece, cache) for piece in tokens.split(pieces, dim=1)], dim=1)
    assert torch.allclose(in_pieces, model(tokens), atol=1e-5)


def test_the_cache_has_room_for_the_context_and_takes_the_memory_that_it_says(model: Transformer):
    cache = model.new_cache()
    assert cache.keys.numel() + cache.values.numel() == 2 * 2 * 2 * 8 * 32  # 2 L G K T
    model(torch.zeros(1, 32, dtype=torch.int64), cache)
    with pytest.raises(ValueError, match="do not fit"):
        model(torch.zeros(1, 1, dtype=torch.int64), cache)


def test_a_block_that_writes_nothing_is_the_identity(model: Transformer):
    block = model.blocks[0]
    block.attention.to_out.weight.data.zero_()
    block.feed_forward.to_out.weight.data.zero_()
    x = torch.randn(1, 5, 32)
    tables = torch.ones(5, 4), torch.zeros(5, 4)
    assert torch.equal(block(x, *tables), x)


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("num_key_value_heads", [4, 1])
def test_the_closed_form_counts_the_parameters(is_tied: bool, num_key_value_heads: int):
    config = TransformerConfig(
        width=48, num_layers=3, num_heads=4, num_key_value_heads=num_key_value_heads, is_tied=is_tied
    )
    counted = sum(weight.numel() for weight in Transformer(config, 100).parameters())
    assert config.num_parameters(100) == counted


def test_it_learns_one_batch_by_heart(model: Transformer):
    tokens = torch.randint(VOCAB, (2, 17), generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        (model.loss(tokens) / 32).backward()
        optimizer.step()
    assert model.loss(tokens).item() / 32 < 0.05


def test_the_seed_alone_decides_the_first_weights():
    torch.manual_seed(1)
    first = Transformer(TINY, VOCAB, seed=5).state_dict()
    torch.manual_seed(2)
    again, other = (
        Transformer(TINY, VOCAB, seed=5).state_dict(),
        Transformer(TINY, VOCAB, seed=6).state_dict(),
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embedding.weight"], other["embedding.weight"])


def test_the_variance_of_the_stream_is_bounded_at_every_depth():
    config = TransformerConfig(width=128, num_layers=8, num_heads=4)
    model = Transformer(config, 500)
    sizes: list[float] = []
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, x: sizes.append(x.std().item()))
    model(torch.randint(500, (2, 64)))
    assert 0.01 < min(sizes) <= max(sizes) < 3


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"width": 30, "num_heads": 4}, "choose a width that is a multiple of 8"),
        ({"num_heads": 4, "num_key_value_heads": 3}, r"choose one of \[1, 2, 4\]"),
        ({"widht": 32}, "Extra inputs"),
    ],
)
def test_settings_that_fit_no_model_are_refused(settings: dict[str, int], complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        TransformerConfig(**settings)


def test_left_out_settings_follow_from_the_others():
    config = TransformerConfig(width=192, num_heads=6)
    assert (config.num_key_value_heads, config.hidden_width, config.head_width) == (6, 512, 32)
