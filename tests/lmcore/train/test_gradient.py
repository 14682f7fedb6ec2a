import threading

import pytest
import torch
import torch.nn.functional as F

from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer
from lmcore.train.batch import Batch, Rows
from lmcore.train.gradient import batch_gradient, open_lanes
from lmcore.train.precision import WorkingModel

CONFIG = TransformerConfig(width=32, num_layers=2, num_heads=2, context_tokens=32)
TOKENS = torch.randint(90, (8, 33), generator=torch.Generator().manual_seed(4))


def gradient(
    num_lanes: int, micro_batch_size: int = 2, precision: str = "bf16"
) -> tuple[float, list[torch.Tensor]]:
    working = WorkingModel(Transformer(CONFIG, 90, seed=1), precision)  # type: ignore[arg-type]
    with open_lanes(num_lanes) as lanes:
        return batch_gradient(working, in_passes(micro_batch_size), lanes)


def in_passes(size: int) -> Batch:
    return Batch([Rows(rows) for rows in TOKENS.split(size)], TOKENS[:, 1:].numel(), TOKENS[:, 1:].numel())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_any_number_of_threads_gives_the_same_bits(precision: str):
    loss, expected = gradient(1, precision=precision)
    for num_lanes in (2, 3, 7):
        other_loss, other = gradient(num_lanes, precision=precision)
        assert other_loss == loss
        assert all(torch.equal(a, b) for a, b in zip(expected, other, strict=True))


def test_it_equals_the_gradient_of_the_mean_loss_over_all_tokens():
    model = Transformer(CONFIG, 90, seed=1)
    loss = F.cross_entropy(model(TOKENS[:, :-1]).flatten(0, 1), TOKENS[:, 1:].flatten())
    expected = torch.autograd.grad(loss, list(model.parameters()))
    our_loss, ours = gradient(1, precision="fp32")
    assert our_loss == pytest.approx(loss.item(), abs=1e-5)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(expected, ours, strict=True))


@pytest.mark.parametrize("micro_batch_size", [1, 2, 8])
def test_however_a_batch_is_cut_every_token_counts_the_same(micro_batch_size: int):
    _, expected = gradient(1, 4, "fp32")
    _, ours = gradient(1, micro_batch_size, "fp32")
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(expected, ours, strict=True))


def test_bfloat16_stays_near_float32():
    exact_loss, exact = gradient(1, precision="fp32")
    loss, ours = gradient(1, precision="bf16")
    assert loss == pytest.approx(exact_loss, rel=1e-3)
    for a, b in zip(exact, ours, strict=True):
        assert (a - b).norm() < 0.05 * a.norm()


def test_the_working_copy_follows_its_master():
    working = WorkingModel(Transformer(CONFIG, 90), "bf16")
    working.master.norm.weight.data.fill_(3)
    working.refresh()
    assert working.model.norm.weight.dtype == torch.bfloat16
    assert working.model.norm.weight[0] == 3
    assert working.model.to_logits.weight is working.model.embedding.weight


def test_torch_gets_its_threads_back():
    before = torch.get_num_threads()
    with open_lanes(2):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_lanes_keep_the_order_hold_few_results_and_pass_errors_on():
    started: list[int] = []
    with open_lanes(2) as lanes:
        results = lanes.map(lambda n: started.append(n) or n * n, range(100))
        assert next(results) == 0
        assert len(started) <= 4
        assert list(results) == [n * n for n in range(1, 100)]
        with pytest.raises(ZeroDivisionError):
            list(lanes.map(lambda n: 1 // (5 - n), range(10)))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lane")]
