import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.finetune.adapters.lora import adapter_state, apply_lora, lora_layers, merged
from lmcore.finetune.adapters.settings import TARGETS, LoraConfig, low_rank_parameters, target_shapes
from lmcore.generate.decode import generate
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer
from lmcore.train.gradient import open_lanes
from lmcore.train.precision import WorkingModel

VOCAB, IDS = 90, [2, 71]
TOKENS = torch.randint(VOCAB, (4, 21), generator=torch.Generator().manual_seed(0))
TOKENS[:, 3], TOKENS[:, 12] = IDS[0], IDS[1]


def make_base(is_tied: bool = True) -> Transformer:
    config = TransformerConfig(
        width=32, num_layers=2, num_heads=4, num_key_value_heads=2, hidden_width=48, context_tokens=64,
        is_tied=is_tied,
    )  # fmt: skip
    return Transformer(config, VOCAB, seed=1)


def make_adapted(is_tied: bool = True, seed: int = 0, ids=IDS, **config: object) -> Transformer:
    model = make_base(is_tied)
    apply_lora(model, LoraConfig(**{"rank": 4, "alpha": 8, **config}), ids, seed)
    return model


def trained(model: Transformer) -> dict[str, torch.nn.Parameter]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def stir(model: Transformer) -> Transformer:
    """Give every trained number a value that matters."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in trained(model).values():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    return model


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_at_first_the_output_is_the_bases_bit_for_bit(is_tied, precision):
    base, model = make_base(is_tied).to(precision), make_adapted(is_tied).to(precision)
    assert torch.equal(model(TOKENS), base(TOKENS))
    assert torch.equal(model.loss(TOKENS), base.loss(TOKENS))


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("targets", [TARGETS, ("q_proj",), ("v_proj", "q_proj", "up_proj"), ("down_proj",)])
@pytest.mark.parametrize("use_rslora", [True, False])
def test_the_merged_model_computes_what_the_adapted_one_does(is_tied, targets, use_rslora):
    model = stir(make_adapted(is_tied, targets=targets, use_rslora=use_rslora))
    plain = merged(model)
    assert type(plain.embedding) is torch.nn.Embedding
    assert (plain.to_logits.weight is plain.embedding.weight) == is_tied
    assert not torch.allclose(plain(TOKENS), make_base(is_tied)(TOKENS), atol=0.1)
    assert torch.allclose(plain(TOKENS), model(TOKENS), atol=1e-5)
    assert torch.allclose(plain.loss(TOKENS), model.loss(TOKENS), rtol=1e-6)
    merged(model.double())
    assert torch.equal(
        model.float()(TOKENS), stir(make_adapted(is_tied, targets=targets, use_rslora=use_rslora))(TOKENS)
    )


def test_the_change_of_each_matrix_is_scale_b_a_in_its_rows_and_of_no_higher_rank():
    model, base = stir(make_adapted(targets=("q_proj", "v_proj", "gate_proj"))), make_base()
    change = merged(model).blocks[1].attention.to_query_key_value.weight
    change = change - base.blocks[1].attention.to_query_key_value.weight
    query, key, value = change.split([32, 16, 16])
    layer = lora_layers(model)[1, "attention.to_query_key_value"]
    assert torch.allclose(query, 8 / 4 * layer.B[:32] @ layer.A[:4], atol=1e-6)
    assert torch.allclose(value, 8 / 4 * layer.B[32:] @ layer.A[4:], atol=1e-6)
    assert key.count_nonzero() == 0
    for piece in (query, value):
        assert torch.linalg.matrix_rank(piece, atol=1e-5) == 4
    assert torch.equal(
        merged(model).blocks[1].attention.to_out.weight, base.blocks[1].attention.to_out.weight
    )


@pytest.mark.parametrize("is_tied", [True, False])
def test_training_moves_the_adapter_and_leaves_every_bit_of_the_base(is_tied):
    model, base = make_adapted(is_tied), make_base(is_tied)
    first_loss = model.loss(TOKENS).item()
    optimizer = torch.optim.AdamW(trained(model).values(), lr=0.01, weight_decay=0.1)
    before = adapter_state(model)
    for _ in range(5):
        optimizer.zero_grad()
        model.loss(TOKENS).backward()
        optimizer.step()
    assert model.loss(TOKENS).item() < first_loss - 1
    frozen = {
        name.replace(".base.", "."): weight for name, weight in model.named_parameters() if name not in before
    }
    assert frozen.keys() == dict(base.named_parameters()).keys()
    assert all(torch.equal(frozen[name], weight) for name, weight in base.named_parameters())
    assert not any(weight.requires_grad for weight in frozen.values())
    after = adapter_state(model)
    assert after.keys() == trained(model).keys() == before.keys()
    assert not any(torch.equal(before[name], after[name]) for name in before)


@given(st.integers(1, 9), st.sets(st.sampled_from(TARGETS), min_size=1), st.integers(0, 5), st.booleans())
@settings(max_examples=15)
def test_the_number_of_trained_parameters_has_a_closed_form(rank, targets, num_ids, is_tied):
    config = LoraConfig(rank=rank, targets=tuple(targets))
    model = make_base(is_tied)
    apply_lora(model, config, range(num_ids), seed=0)
    expected = config.num_parameters(model.config, num_ids)
    assert sum(weight.numel() for weight in trained(model).values()) == expected


def test_known_numbers_of_parameters():
    # GPT-2 with 124 million parameters, rank 16 on c_attn: 12 layers from 768 to 3 * 768.
    assert 12 * low_rank_parameters(16, 768, 3 * 768) == 589_824
    # Llama 2 7B, rank 8 on query and value: 32 layers, 4,096 wide.
    llama = TransformerConfig(
        width=4096, num_layers=32, num_heads=32, hidden_width=11_008, is_tied=False, context_tokens=4096
    )
    assert LoraConfig(rank=8, targets=("q_proj", "v_proj")).num_parameters(llama) == 4_194_304
    shapes = target_shapes(llama).values()
    assert 32 * sum(i * o for i, o in shapes) == llama.num_parameters(32_000) - 4096 * (
        2 * 32_000 + 2 * 32 + 1
    )


def test_the_trained_rows_are_read_and_spoken_and_no_others_change():
    model = make_adapted()
    with torch.no_grad():
        model.embedding.changes += torch.randn(2, 32)
    plain, base = merged(model), make_base()
    others = [number for number in range(VOCAB) if number not in IDS]
    assert torch.equal(plain.embedding.weight[others], base.embedding.weight[others])
    assert torch.equal(plain.embedding.weight[IDS], base.embedding.weight[IDS] + model.embedding.changes)
    unread = torch.tensor([[5, 6, 7]])
    change = model(unread) - base(unread)
    assert change[..., others].abs().max() < 1e-5
    assert change[..., IDS].abs().min() > 1e-3
    assert (model(torch.tensor([IDS])) - base(torch.tensor([IDS])))[..., others].abs().max() > 1e-3


def test_gradients_of_the_rows_are_those_of_the_whole_matrix():
    model, plain = stir(make_adapted()), make_base()
    plain.load_state_dict(merged(model).state_dict())
    (whole,) = torch.autograd.grad(plain.loss(TOKENS), [plain.embedding.weight])
    (rows,) = torch.autograd.grad(model.loss(TOKENS), [model.embedding.changes])
    assert torch.allclose(rows, whole[IDS], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("is_tied", [True, False])
def test_the_bfloat16_working_copy_follows_its_master(is_tied):
    model = stir(make_adapted(is_tied))
    working = WorkingModel(model, "bf16")
    assert [weight.shape for weight in working.weights] == [
        weight.shape for weight in trained(model).values()
    ]
    assert working.model.loss(TOKENS).item() == pytest.approx(model.loss(TOKENS).item(), rel=0.01)
    exact = torch.autograd.grad(model.loss(TOKENS), list(trained(model).values()))
    rough = torch.autograd.grad(working.model.loss(TOKENS), working.weights)
    for a, b in zip(exact, rough, strict=True):
        assert (a - b.float()).norm() < 0.1 * a.norm()
    stir(model)
    before = working.model.loss(TOKENS).item()
    working.refresh()
    after = working.model.loss(TOKENS).item()
    assert abs(after - before) > 0.1
    assert after == pytest.approx(model.loss(TOKENS).item(), rel=0.01)
    plain = merged(working.model)
    assert {weight.dtype for weight in plain.parameters()} == {torch.float32}


def test_adapted_models_generate_with_a_cache_what_merged_ones_do():
    model = stir(make_adapted())
    prompt = TOKENS[0, :9].tolist()
    assert list(generate(model, prompt, 30)) == list(generate(merged(model), prompt, 30))
    cache = model.new_cache()
    with torch.inference_mode():
        pieces = [model(TOKENS[:1, :8], cache), model(TOKENS[:1, 8:9], cache), model(TOKENS[:1, 9:], cache)]
        assert torch.allclose(torch.cat(pieces, dim=1), model(TOKENS[:1]), atol=1e-5)


def test_the_seed_alone_decides_a_and_its_spread_is_kaimings():
    one, same, other = (adapter_state(make_adapted(seed=seed, rank=64)) for seed in (1, 1, 2))
    for name, weight in one.items():
        assert torch.equal(weight, same[name])
        if name.endswith(".A"):
            assert not torch.equal(weight, other[name])
            assert weight.abs().max() == pytest.approx(weight.shape[1] ** -0.5, rel=0.02)
            assert weight.std() == pytest.approx((3 * weight.shape[1]) ** -0.5, rel=0.05)
        else:
            assert weight.count_nonzero() == 0


def test_dropout_is_for_training_and_repeats_with_its_seed_in_any_thread():
    def passes(seed: int, number: int) -> list[tuple[torch.Tensor, ...]]:
        model = stir(make_adapted(seed=seed, dropout=0.5))
        model.load_state_dict(stir(make_adapted(dropout=0.5)).state_dict())
        weights = list(trained(model).values())
        with open_lanes(number) as lanes:
            compute = lambda rows: torch.autograd.grad(model.loss(rows), weights)  # noqa: E731
            return list(lanes.map(compute, TOKENS.split(1)))

    one, same, other = passes(0, 1), passes(0, 3), passes(1, 1)
    assert all(torch.equal(a, b) for p, q in zip(one, same, strict=True) for a, b in zip(p, q, strict=True))
    assert not any(
        torch.equal(a, b) for p, q in zip(one, other, strict=True) for a, b in zip(p, q, strict=True)
    )

    model = stir(make_adapted(dropout=0.5))
    copied = copy.deepcopy(model)
    assert torch.equal(copied.loss(TOKENS), model.loss(TOKENS))
    dropped = model.loss(TOKENS)
    with torch.no_grad():
        whole = model.loss(TOKENS)
        assert torch.allclose(whole, merged(model).loss(TOKENS), rtol=1e-6)
        next(iter(lora_layers(model).values())).B[0, 0] += 1e-4
    assert abs(dropped - whole) > 0.1
    assert abs(model.loss(TOKENS) - dropped) > 0.1  # another step, other masks
    assert torch.allclose(model.eval().loss(TOKENS), whole, rtol=1e-3)


def test_dropout_keeps_the_expected_output():
    model = stir(make_adapted(targets=("down_proj",), dropout=0.3))
    layer = lora_layers(model)[0, "feed_forward.to_out"]
    x = torch.randn(1, 48).expand(20_000, 48)
    model.loss(TOKENS)  # begins a pass
    assert torch.allclose(layer(x).mean(dim=0), layer.eval()(x[:1])[0], atol=0.05)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"rank": 0}, "greater than or equal to 1"),
        ({"alpha": 0}, "greater than 0"),
        ({"dropout": 1}, "less than 1"),
        ({"targets": ()}, "at least 1 item"),
        ({"targets": ("c_attn",)}, "q_proj"),
    ],
)
def test_settings_out_of_range_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        LoraConfig(**settings)


def test_the_order_in_which_targets_are_written_is_no_setting():
    assert LoraConfig(targets=("v_proj", "q_proj", "q_proj")) == LoraConfig(targets=("q_proj", "v_proj"))
    assert LoraConfig(rank=16, alpha=32).scale == 2
    assert LoraConfig(rank=16, alpha=32, use_rslora=True).scale == 8


def test_adapters_on_adapters_and_unknown_tokens_are_refused():
    with pytest.raises(ValueError, match="has adapters already; merge them first"):
        apply_lora(make_adapted(), LoraConfig(), [], 0)
    with pytest.raises(ValueError, match="no token has id 90: the model knows 0 to 89"):
        make_adapted(ids=[1, 90])
    with pytest.raises(ValueError, match=r"these ids repeat: \[3, 3\]"):
        make_adapted(ids=[3, 3])
