import torch
import torch.nn.functional as F

from lmcore.nn.feed_forward import FeedForward


def test_one_number_by_hand():
    layer = FeedForward(1, 1)
    layer.to_gate_and_up.weight.data = torch.tensor([[2.0], [3.0]])
    layer.to_out.weight.data = torch.tensor([[5.0]])
    x = torch.tensor([[[1.0]]])
    assert torch.allclose(layer(x), 5 * 3 * F.silu(torch.tensor(2.0)))


def test_every_token_is_on_its_own():
    layer = FeedForward(8, 16)
    x = torch.randn(1, 6, 8)
    order = torch.tensor([3, 0, 5, 1, 2, 4])
    assert torch.allclose(layer(x[:, order]), layer(x)[:, order], atol=1e-6)
