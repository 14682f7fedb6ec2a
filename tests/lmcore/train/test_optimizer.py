import pytest
import torch

from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer
from lmcore.train.optimizer import (
    clip_gradients,
    decays,
    load_optimizer_state,
    make_optimizer,
    optimizer_state,
    update,
)
from lmcore.train.settings import TrainConfig

CONFIG = TrainConfig(weight_decay=0.1, betas=(0.9, 0.95))


def make_model() -> Transformer:
    return Transformer(TransformerConfig(width=8, num_layers=1, num_heads=2, is_tied=False), 11)


def test_only_matrices_inside_the_blocks_decay():
    plain = {name for name, weight in make_model().named_parameters() if not decays(name, weight)}
    assert plain == {
        "embedding.weight",
        "to_logits.weight",
        "norm.weight",
        "blocks.0.attention_norm.weight",
        "blocks.0.feed_forward_norm.weight",
    }


def test_a_step_equals_the_formula_worked_by_hand():
    weight = torch.nn.Parameter(torch.tensor([[2.0]]))
    optimizer = make_optimizer(torch.nn.ParameterDict({"matrix": weight}), CONFIG)  # type: ignore[arg-type]
    update(optimizer, [weight], [torch.tensor([[0.5]])], 0.01)
    # The first step of Adam is lr * sign(g); decay takes lr * 0.1 of the weight before it.
    assert weight.item() == pytest.approx(2.0 * (1 - 0.01 * 0.1) - 0.01, abs=1e-6)


def test_clipping_keeps_the_direction_and_bounds_the_total_norm():
    gradients = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    assert clip_gradients(gradients, 1.0) == pytest.approx(5.0)
    assert torch.allclose(gradients[0], torch.tensor([0.6, 0.0]), atol=1e-5)
    assert torch.allclose(gradients[1], torch.tensor([[0.8]]), atol=1e-5)


def test_a_short_gradient_is_not_touched():
    gradient = torch.tensor([0.3, 0.4])
    assert clip_gradients([gradient], 1.0) == pytest.approx(0.5)
    assert gradient.tolist() == torch.tensor([0.3, 0.4]).tolist()


def test_the_state_put_back_walks_on_the_same_way():
    torch.manual_seed(0)
    first, second = make_model(), make_model()
    optimizers = [make_optimizer(model, CONFIG) for model in (first, second)]
    steps = [[torch.randn_like(weight) for weight in first.parameters()] for _ in range(4)]
    for gradients in steps[:2]:
        update(optimizers[0], list(first.parameters()), [g.clone() for g in gradients], 0.01)
    second.load_state_dict(first.state_dict())
    state = {name: tensor.clone() for name, tensor in optimizer_state(optimizers[0], first).items()}
    load_optimizer_state(optimizers[1], second, state)
    for gradients in steps[2:]:
        for model, optimizer in zip((first, second), optimizers, strict=True):
            update(optimizer, list(model.parameters()), [g.clone() for g in gradients], 0.01)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
