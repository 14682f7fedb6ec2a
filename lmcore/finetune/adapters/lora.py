"""Low-rank adapters on a frozen Transformer (LoRA, Hu et al. 2021).

Our linear layers hold several of Llama's matrices one above the other: query, key and value are one layer,
gate and up another. Each matrix has an A and a B of its own, as other libraries have it. The A's of a layer
are stacked, so that one product serves all, and the B's are put into a block-diagonal matrix for one more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmcore.finetune.adapters.dropout import SeededDropout
from lmcore.finetune.adapters.settings import LoraConfig, Target, target_shapes
from lmcore.finetune.adapters.token_rows import AdaptedEmbedding, AdaptedHead
from lmcore.models.transformer import Transformer

LAYERS: Mapping[str, tuple[Target, ...]] = {
    "attention.to_query_key_value": ("q_proj", "k_proj", "v_proj"),
    "attention.to_out": ("o_proj",),
    "feed_forward.to_gate_and_up": ("gate_proj", "up_proj"),
    "feed_forward.to_out": ("down_proj",),
}
"""The matrices that each linear layer of a block holds, from the top."""


class LowRank(NamedTuple):
    """The adapter of one matrix, as views of what is trained: the change is scale * b @ a."""

    a: Tensor
    """(r, inputs)."""
    b: Tensor
    """(outputs, r)."""
    rows: slice
    """Where the matrix's outputs lie in its layer."""


class LoraLinear(nn.Module):
    """A frozen linear layer plus a low-rank change of each adapted matrix in it."""

    def __init__(self, base: nn.Linear, outputs: Mapping[Target, int], config: LoraConfig) -> None:
        """`outputs` names the matrices in the layer, from the top, with the number of their outputs."""
        super().__init__()
        self.base = base
        self.rank, self.scale = config.rank, config.scale
        self.outputs = outputs
        self.targets = tuple(target for target in outputs if target in config.targets)
        num_rows = sum(outputs[target] for target in self.targets)
        self.A = nn.Parameter(base.weight.new_zeros(self.rank * len(self.targets), base.in_features))
        self.B = nn.Parameter(base.weight.new_zeros(num_rows, self.rank))
        self.dropout: SeededDropout | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        flat = x.flatten(0, -2)  # (N, inputs)
        out: Tensor = self.base(flat)  # always new, so it may be added to
        dropped = self.dropout(flat) if self.dropout and self.training else flat
        narrow = F.linear(dropped, self.A)  # (N, r * targets)
        return out.addmm_(narrow, self._block_diagonal().mT, alpha=self.scale).view(*x.shape[:-1], -1)

    def pieces(self) -> dict[Target, LowRank]:
        """The adapter of each adapted matrix."""
        found: dict[Target, LowRank] = {}
        row = start = 0
        for target, size in self.outputs.items():
            if target in self.targets:
                a = self.A[len(found) * self.rank :][: self.rank]
                found[target] = LowRank(a, self.B[start : start + size], slice(row, row + size))
                start += size
            row += size
        return found

    def merged_weight(self) -> Tensor:
        """The layer's matrix with its changes, float32; the sum is rounded once."""
        weight = self.base.weight.to(torch.float64, copy=True)
        for a, b, rows in self.pieces().values():
            weight[rows] += self.scale * (b.double() @ a.double())
        return weight.float()

    def _block_diagonal(self) -> Tensor:
        """The B's as one matrix (outputs, r * targets); a matrix that is not adapted has rows of 0."""
        if len(self.outputs) == 1:
            return self.B
        pieces = self.pieces()
        blocks = [pieces[t].b if t in pieces else self.B.new_zeros(n, 0) for t, n in self.outputs.items()]
        return torch.block_diag(*blocks)  # type: ignore[no-untyped-call]


ADAPTED = (LoraLinear, AdaptedEmbedding, AdaptedHead)


def apply_lora(model: Transformer, config: LoraConfig, token_ids: Sequence[int], seed: int) -> None:
    """Freeze a model and add adapters to it, in place; at first its output is the same, bit for bit.

    Trained are A and B of the targets in every block, and the rows of `token_ids` in the embedding and in the
    output layer (the same rows where the model ties them). B is 0; A is uniform within 1 / sqrt(inputs) of 0,
    and the seed alone decides it.

    Raises:
        ValueError: the model has adapters already, or does not know a token id.
    """
    apply_parts(model, config, token_ids, [] if model.config.is_tied else token_ids, seed)


def apply_parts(
    model: Transformer,
    config: LoraConfig,
    embedding_ids: Sequence[int],
    head_ids: Sequence[int],
    seed: int,
) -> None:
    """`apply_lora` with rows of the embedding and of an untied output layer chosen one by one."""
    if any(isinstance(module, LoraLinear) for module in model.modules()):
        raise ValueError("the model has adapters already; merge them first: merged(model)")
    for ids in (embedding_ids, head_ids):
        _check_token_ids(ids, model.vocab_size)
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for number in range(model.config.num_layers):
        for layer, targets in LAYERS.items():
            if set(targets) & set(config.targets):
                _adapt(model, f"blocks.{number}.{layer}", targets, config, generator)
    _adapt_rows(model, embedding_ids, head_ids)
    if config.dropout:
        _add_dropout(model, config.dropout, seed)


def merged(model: Transformer) -> Transformer:
    """A plain float32 model with the changes in its weights, ready to use (not to train)."""
    state = {name.replace(".base.", "."): tensor for name, tensor in model.state_dict().items()}
    for name, module in model.named_modules():
        if isinstance(module, ADAPTED):
            state[f"{name}.weight"] = module.merged_weight().detach()
    plain = Transformer(model.config, model.vocab_size)
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    return plain.to(next(model.parameters()).device).eval().requires_grad_(False)


def adapter_state(model: Transformer) -> dict[str, Tensor]:
    """A copy of what the adapters hold, float32, by the names of the model's parameters."""
    owners = {name for name, module in model.named_modules() if isinstance(module, ADAPTED)}
    return {
        name: weight.detach().float().clone()
        for name, weight in model.named_parameters()
        if name.rpartition(".")[0] in owners
    }


def lora_layers(model: Transformer) -> dict[tuple[int, str], LoraLinear]:
    """The adapted linear layers, by the number of the block and the name in it."""
    layers = {
        (number, layer): model.get_submodule(f"blocks.{number}.{layer}")
        for number in range(model.config.num_layers)
        for layer in LAYERS
    }
    return {place: module for place, module in layers.items() if isinstance(module, LoraLinear)}


def _adapt(
    model: Transformer,
    name: str,
    targets: Sequence[Target],
    config: LoraConfig,
    generator: torch.Generator,
) -> None:
    base = model.get_submodule(name)
    assert isinstance(base, nn.Linear)
    shapes = target_shapes(model.config)
    layer = LoraLinear(base, {target: shapes[target][1] for target in targets}, config)
    bound = 1 / math.sqrt(base.in_features)  # of kaiming_uniform(a=sqrt(5)), which PEFT takes
    drawn = torch.empty(layer.A.shape).uniform_(-bound, bound, generator=generator)
    with torch.no_grad():
        layer.A.copy_(drawn)
    model.set_submodule(name, layer)


def _adapt_rows(model: Transformer, embedding_ids: Sequence[int], head_ids: Sequence[int]) -> None:
    tied: AdaptedEmbedding | None = None
    if embedding_ids:
        embedding = AdaptedEmbedding(model.embedding, embedding_ids)
        model.set_submodule("embedding", embedding)
        if model.config.is_tied:
            tied, head_ids = embedding, embedding_ids
    if head_ids:
        model.set_submodule("to_logits", AdaptedHead(model.to_logits, head_ids, tied))


def _add_dropout(model: Transformer, share: float, seed: int) -> None:
    layers = list(lora_layers(model).values())
    dropout = SeededDropout(share, seed, layers[0].B)
    model.embedding.register_forward_pre_hook(dropout.begin_pass)
    for layer in layers:
        layer.dropout = dropout


def _check_token_ids(token_ids: Sequence[int], vocab_size: int) -> None:
    strange = [number for number in token_ids if not 0 <= number < vocab_size]
    if strange:
        raise ValueError(f"no token has id {strange[0]}: the model knows 0 to {vocab_size - 1}")
    if len(set(token_ids)) < len(token_ids):
        raise ValueError(f"a token's row can be trained once; these ids repeat: {list(token_ids)}")
