import pytest
import torch
import torch.nn.functional as F

from lmcore.nn.attention import CausalSelfAttention, attend, attend_explicitly
from lmcore.nn.kv_cache import KVCache
from lmcore.nn.rotary import rotary_angles

WIDTH, HEADS = 32, 4


def run(attention: CausalSelfAttention, x: torch.Tensor) -> torch.Tensor:
    return attention(x, *rotary_angles(x.shape[1], WIDTH // HEADS, 10_000.0))


def test_two_tokens_by_hand():
    query = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    key = torch.tensor([[[[0.0, 0.0], [2.0**0.5, 0.0]]]])  # matches 0 and 1 after scaling by 1 / sqrt(2)
    value = torch.tensor([[[[10.0, 0.0], [0.0, 10.0]]]])
    share = 1 / (1 + torch.e)
    expected = torch.tensor([[[[10.0, 0.0], [10 * share, 10 * (1 - share)]]]])
    assert torch.allclose(attend(query, key, value), expected, atol=1e-5)


@pytest.mark.parametrize("num_key_value_heads", [4, 2, 1])
def test_the_explicit_form_equals_torch(num_key_value_heads: int):
    query = torch.randn(2, 4, 7, 8)
    key, value = torch.randn(2, 2, num_key_value_heads, 7, 8).unbind()
    expected = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    assert torch.allclose(attend_explicitly(query, key, value), expected, atol=1e-6)
    assert torch.allclose(attend(query, key, value), expected, atol=1e-6)


def test_bfloat16_takes_the_explicit_form_and_stays_near_float32():
    query, key, value = torch.randn(3, 2, 4, 33, 8).unbind()
    narrow = attend(query.bfloat16(), key.bfloat16(), value.bfloat16())
    assert torch.equal(narrow, attend_explicitly(query.bfloat16(), key.bfloat16(), value.bfloat16()))
    assert torch.allclose(narrow.float(), attend(query, key, value), atol=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_later_token_changes_nothing_before_it(dtype: torch.dtype):
    attention = CausalSelfAttention(WIDTH, HEADS, 2).to(dtype)
    x = torch.randn(1, 9, WIDTH, dtype=dtype)
    changed = x.clone()
    changed[:, 5] += 1
    cosine, sine = (table.to(dtype) for table in rotary_angles(9, WIDTH // HEADS, 10_000.0))
    before, after = attention(x, cosine, sine), attention(changed, cosine, sine)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5], after[:, 5])


def test_permuted_heads_with_permuted_output_columns_are_the_same():
    attention = CausalSelfAttention(WIDTH, HEADS, HEADS)
    x = torch.randn(2, 6, WIDTH)
    before = run(attention, x)
    order = torch.tensor([2, 0, 3, 1])
    stacked = attention.to_query_key_value.weight.data.view(3, HEADS, WIDTH // HEADS, WIDTH)
    attention.to_query_key_value.weight.data = stacked[:, order].reshape(3 * WIDTH, WIDTH)
    columns = attention.to_out.weight.data.view(WIDTH, HEADS, WIDTH // HEADS)
    attention.to_out.weight.data = columns[:, order].reshape(WIDTH, WIDTH)
    assert torch.allclose(run(attention, x), before, atol=1e-5)


def test_a_grouped_head_equals_a_copied_one():
    grouped = CausalSelfAttention(WIDTH, HEADS, 2)
    full = CausalSelfAttention(WIDTH, HEADS, HEADS)
    query, key, value = grouped.to_query_key_value.weight.data.split((WIDTH, WIDTH // 2, WIDTH // 2))
    copied = [part.view(2, -1, WIDTH).repeat_interleave(2, dim=0).view(WIDTH, WIDTH) for part in (key, value)]
    full.to_query_key_value.weight.data = torch.cat([query, *copied])
    full.to_out.weight.data = grouped.to_out.weight.data
    x = torch.randn(2, 6, WIDTH)
    assert torch.allclose(run(grouped, x), run(full, x), atol=1e-5)


def test_a_full_cache_is_refused_in_one_line():
    cache = KVCache(1, 1, 1, max_tokens=4, head_width=8)
    cache.advance(3)
    cache.check_room(1)
    with pytest.raises(ValueError, match="2 tokens do not fit behind 3 in a cache of 4"):
        cache.check_room(2)
