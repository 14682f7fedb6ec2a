from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer
from lmcore.train.gradient import Lanes
from lmcore.train.optimizer import Optimizer, clip_gradients, is_block_matrix
from lmcore.train.settings import TrainConfig

MODEL = TransformerConfig(width=8, num_layers=1, num_heads=2, is_tied=False)
RULES = pytest.mark.parametrize("rule", ["adamw", "muon"])


def settings(rule: str) -> TrainConfig:
    return TrainConfig(optimizer=rule, weight_decay=0.1, betas=(0.9, 0.95), precision="fp32")  # type: ignore[arg-type]


def random_gradients(model: nn.Module, number: int) -> list[list[Tensor]]:
    generator = torch.Generator().manual_seed(5)
    return [[torch.randn(w.shape, generator=generator) for w in model.parameters()] for _ in range(number)]


def walk(optimizer: Optimizer, steps: Sequence[Sequence[Tensor]], num_lanes: int = 1) -> None:
    lanes = Lanes(num_lanes)
    for gradients in steps:
        optimizer.update([gradient.clone() for gradient in gradients], 0.01, lanes)
    lanes.close()


def test_only_matrices_inside_the_blocks_are_the_rule_s_and_decay():
    others = {n for n, weight in Transformer(MODEL, 11).named_parameters() if not is_block_matrix(n, weight)}
    assert others == {
        "embedding.weight",
        "to_logits.weight",
        "norm.weight",
        "blocks.0.attention_norm.weight",
        "blocks.0.feed_forward_norm.weight",
    }


def test_adamw_equals_torch_step_for_step():
    ours, theirs = Transformer(MODEL, 11), Transformer(MODEL, 11)
    decaying = [weight for name, weight in theirs.named_parameters() if is_block_matrix(name, weight)]
    plain = [weight for name, weight in theirs.named_parameters() if not is_block_matrix(name, weight)]
    groups = [{"params": decaying, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95))
    steps = random_gradients(ours, 5)
    walk(Optimizer(ours, settings("adamw")), steps)
    for gradients in steps:
        for weight, gradient in zip(theirs.parameters(), gradients, strict=True):
            weight.grad = gradient
        reference.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine, other, atol=1e-6)


def test_a_step_of_adamw_by_hand():
    weight = nn.Parameter(torch.tensor([[2.0]]))
    walk(Optimizer(nn.ParameterDict({"matrix": weight}), settings("adamw")), [[torch.tensor([[0.5]])]])
    # The first step of Adam is rate * sign(gradient); decay takes rate * 0.1 of the weight before it.
    assert weight.item() == pytest.approx(2.0 * (1 - 0.01 * 0.1) - 0.01, abs=1e-6)


def test_muon_moves_the_embedding_as_adamw_does():
    models = [Transformer(MODEL, 11) for _ in range(2)]
    for model, rule in zip(models, ("adamw", "muon"), strict=True):
        walk(Optimizer(model, settings(rule)), random_gradients(model, 3))
    assert torch.equal(models[0].embedding.weight, models[1].embedding.weight)
    assert not torch.equal(
        models[0].blocks[0].attention.to_out.weight, models[1].blocks[0].attention.to_out.weight
    )


@RULES
def test_any_number_of_threads_gives_the_same_bits(rule: str):
    models = [Transformer(MODEL, 11) for _ in range(2)]
    for model, num_lanes in zip(models, (1, 3), strict=True):
        walk(Optimizer(model, settings(rule)), random_gradients(model, 3), num_lanes)
    assert all(torch.equal(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))


@RULES
def test_the_state_put_back_walks_on_the_same_way(rule: str):
    first, second = Transformer(MODEL, 11), Transformer(MODEL, 11)
    steps = random_gradients(first, 4)
    one, other = Optimizer(first, settings(rule)), Optimizer(second, settings(rule))
    walk(one, steps[:2])
    second.load_state_dict(first.state_dict())
    other.load_state({name: tensor.clone() for name, tensor in one.state().items()})
    walk(one, steps[2:])
    walk(other, steps[2:])
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_clipping_keeps_the_direction_and_bounds_the_total_norm():
    gradients = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    assert clip_gradients(gradients, 1.0) == pytest.approx(5.0)
    assert torch.allclose(gradients[0], torch.tensor([0.6, 0.0]), atol=1e-5)
    assert torch.allclose(gradients[1], torch.tensor([[0.8]]), atol=1e-5)


def test_a_short_gradient_is_not_touched():
    gradient = torch.tensor([0.3, 0.4])
    assert clip_gradients([gradient], 1.0) == pytest.approx(0.5)
    assert torch.equal(gradient, torch.tensor([0.3, 0.4]))
