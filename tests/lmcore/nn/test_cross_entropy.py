import pytest
import torch
import torch.nn.functional as F

from lmcore.nn import cross_entropy
from lmcore.nn.cross_entropy import linear_cross_entropy


@pytest.fixture(params=[3, 256])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK_TOKENS", request.param)


@pytest.mark.usefixtures("chunk")
def test_loss_and_gradients_equal_torch():
    hidden, weight = torch.randn(11, 8, requires_grad=True), torch.randn(50, 8, requires_grad=True)
    targets = torch.randint(50, (11,))
    ours = linear_cross_entropy(hidden, weight, targets)
    theirs = F.cross_entropy(hidden @ weight.mT, targets, reduction="sum")
    assert torch.allclose(ours, theirs, atol=1e-5)
    for mine, other in zip(
        torch.autograd.grad(ours, (hidden, weight)),
        torch.autograd.grad(theirs, (hidden, weight)),
        strict=True,
    ):
        assert torch.allclose(mine, other, atol=1e-5)


@pytest.mark.usefixtures("chunk")
def test_its_gradient_is_right_in_float64():
    hidden, weight = (torch.randn(5, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    targets = torch.tensor([0, 4, 2, 2, 1])
    assert torch.autograd.gradcheck(lambda h, w: linear_cross_entropy(h, w, targets), (hidden, weight))


def test_a_uniform_guess_costs_the_logarithm_of_the_vocabulary():
    loss = linear_cross_entropy(torch.zeros(4, 2), torch.randn(10, 2), torch.tensor([0, 3, 9, 9]))
    assert loss.item() == pytest.approx(4 * 2.302585, abs=1e-5)


def test_extreme_logits_stay_exact():
    weight = torch.tensor([[1e4], [0.0], [-1e4]])
    assert linear_cross_entropy(torch.ones(1, 1), weight, torch.tensor([0])).item() == 0
    assert linear_cross_entropy(torch.ones(1, 1), weight, torch.tensor([2])).item() == 2e4


def test_bfloat16_inputs_give_a_float32_loss_without_a_rounding_of_their_logits_sum():
    hidden, weight = torch.randn(64, 16), torch.randn(100, 16)
    targets = torch.randint(100, (64,))
    narrow = linear_cross_entropy(hidden.bfloat16(), weight.bfloat16(), targets)
    exact = F.cross_entropy(hidden @ weight.mT, targets, reduction="sum")
    assert narrow.dtype == torch.float32
    assert narrow.item() == pytest.approx(exact.item(), rel=0.01)


def test_the_upstream_gradient_scales_both():
    hidden, weight = torch.randn(3, 4, requires_grad=True), torch.randn(7, 4, requires_grad=True)
    targets = torch.tensor([1, 2, 6])
    plain = torch.autograd.grad(linear_cross_entropy(hidden, weight, targets), (hidden, weight))
    halved = torch.autograd.grad(linear_cross_entropy(hidden, weight, targets) / 2, (hidden, weight))
    assert all(torch.allclose(one / 2, two) for one, two in zip(plain, halved, strict=True))
