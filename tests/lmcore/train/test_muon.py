import pytest
import torch

from lmcore.train.muon import muon_direction, orthogonalize


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6)])
def test_singular_values_come_near_one(shape: tuple[int, int]):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrix))
    assert values.min() > 0.3
    assert values.max() < 1.3


def test_singular_vectors_stay_as_they_are():
    left, values, right = torch.linalg.svd(torch.randn(5, 9, dtype=torch.float64), full_matrices=False)
    turned = left.mT @ orthogonalize(left @ values.diag() @ right) @ right.mT
    assert torch.allclose(turned, turned.diagonal().diag(), atol=1e-8)


def test_it_equals_torch_s_own_muon():
    torch.manual_seed(0)
    gradients = torch.randn(3, 6, 10).unbind()
    weight = torch.nn.Parameter(torch.zeros(6, 10))
    reference = torch.optim.Muon([weight], lr=1.0, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    ours, momentum = torch.zeros(6, 10), torch.zeros(6, 10)
    for gradient in gradients:
        weight.grad = gradient.clone()
        reference.step()
        ours -= muon_direction(gradient, momentum, 0.95, torch.bfloat16)
    assert torch.allclose(ours, weight.data, atol=1e-6)


def test_the_scale_of_the_gradient_does_not_matter():
    gradient = torch.randn(6, 6)
    first = muon_direction(gradient, torch.zeros(6, 6), 0.95, torch.float32)
    second = muon_direction(gradient * 1000, torch.zeros(6, 6), 0.95, torch.float32)
    assert torch.allclose(first, second, atol=1e-3)
