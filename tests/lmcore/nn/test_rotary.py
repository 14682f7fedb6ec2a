import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from lmcore.nn.rotary import rotary_angles, rotate


def turn(x: torch.Tensor, theta: float = 100.0) -> torch.Tensor:
    return rotate(x, *rotary_angles(x.shape[1], x.shape[-1], theta))


def test_it_equals_transformers_llama():
    config = LlamaConfig(
        hidden_size=32, num_attention_heads=4, rope_parameters={"rope_theta": 500.0, "rope_type": "default"}
    )
    query, key = torch.randn(2, 2, 9, 4, 8).unbind()  # each (B, T, H, K)
    cosine, sine = LlamaRotaryEmbedding(config)(query, torch.arange(9)[None])
    expected_query, expected_key = apply_rotary_pos_emb(query, key, cosine, sine, unsqueeze_dim=2)
    assert torch.allclose(turn(query, 500.0), expected_query, atol=1e-6)
    assert torch.allclose(turn(key, 500.0), expected_key, atol=1e-6)


def test_a_match_depends_only_on_the_distance():
    query, key = torch.randn(2, 8, dtype=torch.float64)
    queries, keys = (turn(one.expand(1, 12, 1, 8))[0, :, 0] for one in (query, key))  # each (T, K)
    matches = queries @ keys.mT  # (T, T)
    assert torch.allclose(matches[2, 1], matches[11, 10], atol=1e-5)
    assert torch.allclose(matches[7, 2], matches[9, 4], atol=1e-5)


def test_lengths_are_kept_and_position_zero_is_untouched():
    x = torch.randn(2, 10, 3, 8)
    assert torch.equal(turn(x)[:, 0], x[:, 0])
    assert torch.allclose(turn(x).norm(dim=-1), x.norm(dim=-1), atol=1e-5)


def test_the_paper_s_neighbour_pairing_is_a_fixed_permutation_away():
    x = torch.randn(1, 6, 1, 8)
    interleave = torch.arange(8).view(2, 4).T.flatten()  # half-split place of each neighbour pair
    cosine, sine = (table[:, None, :] for table in rotary_angles(6, 8, 100.0))
    pairs = x[..., interleave].unflatten(-1, (4, 2))
    first, second = pairs.unbind(-1)
    turned = torch.stack((first * cosine - second * sine, second * cosine + first * sine), dim=-1).flatten(-2)
    assert torch.allclose(turn(x)[..., interleave], turned, atol=1e-6)
