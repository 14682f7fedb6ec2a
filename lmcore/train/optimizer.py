"""Which rule moves which weights: Muon or AdamW the matrices inside the blocks, AdamW all others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lmcore.train.gradient import Lanes
from lmcore.train.muon import muon_direction
from lmcore.train.settings import TrainConfig

MUON_MOMENTUM = 0.95

State = dict[str, Tensor]


class Optimizer:
    """Moves a model's weights against their gradients, and remembers what its rules need."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        """AdamW (Loshchilov & Hutter 2019) runs fused: torch's default is 2.5 times slower on a CPU."""
        self._names = {weight: name for name, weight in model.named_parameters()}
        self._weight_decay = config.weight_decay
        self._narrow = torch.float32 if config.precision == "fp32" else torch.bfloat16
        matrices = [weight for weight, name in self._names.items() if is_block_matrix(name, weight)]
        others = [weight for weight, name in self._names.items() if not is_block_matrix(name, weight)]
        groups = [{"params": others, "weight_decay": 0.0}]
        if config.optimizer == "adamw":
            groups.append({"params": matrices, "weight_decay": config.weight_decay})
        self._adamw = torch.optim.AdamW(groups, betas=config.betas, fused=True)
        self._momenta = {
            weight: torch.zeros_like(weight) for weight in matrices if config.optimizer == "muon"
        }

    @torch.no_grad()
    def update(self, gradients: Sequence[Tensor], rate: float, lanes: Lanes) -> None:
        """Take one step with a gradient for each weight, in the model's order."""
        moved_by_muon = []
        for weight, gradient in zip(self._names, gradients, strict=True):
            if weight in self._momenta:
                moved_by_muon.append((weight, gradient))
            else:
                weight.grad = gradient
        for group in self._adamw.param_groups:
            group["lr"] = rate
        self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)
        directions = lanes.map(lambda pair: self._direction(*pair), moved_by_muon)
        for (weight, _), direction in zip(moved_by_muon, directions, strict=True):
            weight.mul_(1 - rate * self._weight_decay).sub_(direction, alpha=rate)

    @torch.no_grad()
    def _direction(self, weight: nn.Parameter, gradient: Tensor) -> Tensor:
        return muon_direction(gradient, self._momenta[weight], MUON_MOMENTUM, self._narrow)

    def state(self) -> State:
        """The memory as named tensors: `momentum/<weight>`, `exp_avg/<weight>`, ..."""
        state = {f"momentum/{self._names[weight]}": tensor for weight, tensor in self._momenta.items()}
        for weight, name in self._names.items():
            for kind, tensor in self._adamw.state[weight].items() if weight not in self._momenta else ():
                state[f"{kind}/{name}"] = tensor
        return state

    def load_state(self, state: State) -> None:
        """Put back what `state` gave."""
        weights = {name: weight for weight, name in self._names.items()}
        for key, tensor in state.items():
            kind, _, name = key.partition("/")
            if kind == "momentum":
                self._momenta[weights[name]].copy_(tensor)
            else:
                self._adamw.state[weights[name]][kind] = tensor.to(weights[name].device)


def is_block_matrix(name: str, weight: Tensor) -> bool:
    """Whether a weight is a matrix inside a block; these decay, while embeddings and norms do not."""
    return weight.dim() >= 2 and not name.startswith(("embedding.", "to_logits."))


def clip_gradients(gradients: Sequence[Tensor], max_norm: float) -> float:
    """Scale gradients in place so that their total norm is at most max_norm; returns the norm before."""
    norm = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]).square().sum().sqrt()
    scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale)
    return float(norm)
