import torch
from hypothesis import given
from hypothesis import strategies as st

from lmcore.nn.norm import RMSNorm


def test_it_equals_torch_rms_norm():
    ours, theirs = RMSNorm(16, 1e-5), torch.nn.RMSNorm(16, 1e-5)
    weight = torch.randn(16)
    ours.weight.data, theirs.weight.data = weight, weight
    x = torch.randn(3, 5, 16) * 7
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)


@given(st.floats(0.01, 1000))
def test_scaling_the_input_changes_nothing_as_epsilon_vanishes(factor: float):
    norm = RMSNorm(8, 1e-12)
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(1)) + 0.1
    assert torch.allclose(norm(x), norm(factor * x), atol=1e-4)


def test_large_half_precision_numbers_stay_finite():
    x = torch.full((1, 64), 1e4, dtype=torch.float16)  # its square overflows float16
    assert torch.allclose(RMSNorm(64, 1e-5)(x), torch.ones_like(x))


def test_its_gradient_is_right():
    norm = RMSNorm(6, 1e-5).double()
    norm.weight.data = torch.randn(6, dtype=torch.float64)
    # The statistics are float32 by design, so the check is as coarse as float32.
    x = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: norm(x), x, eps=1e-3, atol=1e-3)
