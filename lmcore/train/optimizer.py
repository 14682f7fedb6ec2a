"""AdamW (Loshchilov & Hutter 2019), with decay only where it helps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lmcore.train.settings import TrainConfig

State = dict[str, Tensor]


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over all weights; matrices inside the blocks decay; embeddings, output layer and norms do not.

    The fused kernel, because the default one is 2.5 times slower on a CPU.
    """
    decaying = [weight for name, weight in model.named_parameters() if decays(name, weight)]
    plain = [weight for name, weight in model.named_parameters() if not decays(name, weight)]
    groups = [
        {"params": decaying, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.peak_learning_rate, betas=config.betas, fused=True)


def decays(name: str, weight: Tensor) -> bool:
    """Whether weight decay applies to a weight of that name."""
    return weight.dim() >= 2 and not name.startswith(("embedding.", "to_logits."))


def clip_gradients(gradients: Sequence[Tensor], max_norm: float) -> float:
    """Scale gradients in place so that their total norm is at most max_norm; returns the norm before."""
    norm = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]).square().sum().sqrt()
    scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale)
    return float(norm)


def update(
    optimizer: torch.optim.Optimizer,
    weights: Sequence[nn.Parameter],
    gradients: Sequence[Tensor],
    rate: float,
) -> None:
    """Take one optimizer step with the gradients and the learning rate given."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def optimizer_state(optimizer: torch.optim.Optimizer, model: nn.Module) -> State:
    """The optimizer's memory as named tensors: `exp_avg/<weight>`, `exp_avg_sq/<weight>`, `step/<weight>`."""
    return {
        f"{kind}/{name}": tensor
        for name, weight in model.named_parameters()
        for kind, tensor in optimizer.state[weight].items()
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, model: nn.Module, state: State) -> None:
    """Put back what `optimizer_state` gave."""
    weights = dict(model.named_parameters())
    for key, tensor in state.items():
        kind, _, name = key.partition("/")
        optimizer.state[weights[name]][kind] = tensor.to(weights[name].device)
