"""Which rule moves which weights: Muon or AdamW the matrices inside the blocks, AdamW all others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lmcore.train.adamw import AdamW
from lmcore.train.gradient import Lanes
from lmcore.train.muon import muon_direction
from lmcore.train.precision import trained
from lmcore.train.settings import Descent

MUON_MOMENTUM = 0.95

State = dict[str, Tensor]


class Optimizer:
    """Moves a model's trained weights against their gradients, and remembers what its rules need."""

    def __init__(self, model: nn.Module, config: Descent) -> None:
        """Share out the weights; the settings name the rule for the matrices inside the blocks."""
        self._config = config
        self._narrow = torch.float32 if config.precision == "fp32" else torch.bfloat16
        self._weights = trained(model)
        matrices = [name for name, weight in self._weights.items() if is_block_matrix(name, weight)]
        is_muon = config.optimizer == "muon"
        self._momenta = {name: torch.zeros_like(self._weights[name]) for name in matrices if is_muon}
        self._adamw = [
            AdamW({n: w for n, w in self._weights.items() if n not in matrices}, config.betas, 0.0),
            AdamW({n: self._weights[n] for n in matrices if not is_muon}, config.betas, config.weight_decay),
        ]

    @torch.no_grad()
    def update(self, gradients: Sequence[Tensor], rate: float, lanes: Lanes) -> None:
        """Take one step with a gradient for each trained weight, in the model's order."""
        named = dict(zip(self._weights, gradients, strict=True))
        for adamw in self._adamw:
            adamw.update(named, rate)
        directions = lanes.map(lambda name: self._direction(name, named[name]), self._momenta)
        for name, direction in zip(self._momenta, directions, strict=True):
            self._weights[name].mul_(1 - rate * self._config.weight_decay).sub_(direction, alpha=rate)

    @torch.no_grad()  # it holds for one thread only, so lanes need their own
    def _direction(self, name: str, gradient: Tensor) -> Tensor:
        return muon_direction(gradient, self._momenta[name], MUON_MOMENTUM, self._narrow)

    def state(self) -> State:
        """The memory itself, as named tensors: `momentum/<weight>`, `exp_avg/<weight>`, ..."""
        momenta = {f"momentum/{name}": tensor for name, tensor in self._momenta.items()}
        return momenta | self._adamw[0].state() | self._adamw[1].state()

    def load_state(self, state: State) -> None:
        """Put back what `state` gave."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


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
