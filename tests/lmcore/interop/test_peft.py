import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from lmcore.finetune.adapters.lora import apply_lora, lora_layers, merged
from lmcore.finetune.adapters.settings import TARGETS, LoraConfig
from lmcore.interop.hugging_face import load_folder, save_folder
from lmcore.interop.peft import load_adapter, save_adapter
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer

transformers.utils.logging.disable_progress_bar()
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

VOCAB, IDS = 400, [7, 2]
TOKENS = torch.randint(VOCAB, (3, 30), generator=torch.Generator().manual_seed(0))
TOKENS[:, 4], TOKENS[:, 15] = IDS[0], IDS[1]
SOME = ("v_proj", "q_proj", "up_proj", "down_proj")


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def base_folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, small_tokenizer: Path
) -> Path:
    config = TransformerConfig(
        width=32, num_layers=2, num_heads=4, num_key_value_heads=2, hidden_width=48, context_tokens=64,
        is_tied=request.param,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("base")
    save_folder(Transformer(config, VOCAB, seed=1), small_tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def tied_folder(tmp_path_factory: pytest.TempPathFactory, small_tokenizer: Path) -> Path:
    folder = tmp_path_factory.mktemp("base")
    config = TransformerConfig(width=16, num_layers=2, num_heads=2, hidden_width=16, context_tokens=64)
    save_folder(Transformer(config, VOCAB, seed=1), small_tokenizer, folder)
    return folder


def their_base(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder)


def stir(model: torch.nn.Module) -> torch.nn.Module:
    """Give every trained number a value that matters."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    return model


def make_adapted(folder: Path, ids: list[int], **settings: Any) -> tuple[Transformer, LoraConfig]:
    model, config = load_folder(folder), LoraConfig(**{"rank": 4, "alpha": 8, **settings})
    apply_lora(model, config, ids, seed=0)
    stir(model)
    return model, config


@torch.no_grad()
def same_logits(theirs: Any, ours: Transformer, atol: float = 1e-5) -> bool:
    return torch.allclose(theirs(TOKENS).logits, ours(TOKENS), atol=atol)


@pytest.mark.parametrize("ids", [[], IDS])
@pytest.mark.parametrize(
    "settings", [{}, {"targets": SOME, "use_rslora": True}, {"targets": ("o_proj",), "alpha": 2.5}]
)
def test_peft_computes_what_we_do_with_our_adapters(base_folder, tmp_path, ids, settings):
    model, config = make_adapted(base_folder, ids, **settings)
    save_adapter(model, config, "lmworks/base", tmp_path)
    theirs = peft.PeftModel.from_pretrained(their_base(base_folder), tmp_path).eval()
    assert not same_logits(their_base(base_folder), model, atol=0.1)
    assert same_logits(theirs, model)
    assert theirs.peft_config["default"].base_model_name_or_path == "lmworks/base"
    assert same_logits(theirs.merge_and_unload(), model)


def test_what_we_write_is_what_peft_writes_with_fewer_settings(base_folder, tmp_path):
    model, config = make_adapted(base_folder, IDS)
    save_adapter(model, config, "base", tmp_path / "ours")
    theirs = peft.PeftModel.from_pretrained(their_base(base_folder), tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs", save_embedding_layers=False)  # else it asks the hub
    ours, again = (load_file(tmp_path / who / "adapter_model.safetensors") for who in ("ours", "theirs"))
    assert ours.keys() == again.keys()
    assert all(torch.equal(ours[name], again[name]) for name in ours)
    ours, again = (
        json.loads((tmp_path / who / "adapter_config.json").read_text()) for who in ("ours", "theirs")
    )
    for name in ("target_modules", "base_model_name_or_path"):
        ours.pop(name), again.pop(name)
    assert ours.items() <= again.items()


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["q_proj", "v_proj"]},
        {"target_modules": list(TARGETS), "use_rslora": True, "init_lora_weights": "gaussian"},
        {"target_modules": "all-linear", "trainable_token_indices": IDS},
        {"target_modules": r".*\.(o|gate)_proj", "trainable_token_indices": {"embed_tokens": [3, 1, 2]}},
        {"target_modules": ["k_proj"], "trainable_token_indices": {"embed_tokens": IDS, "lm_head": IDS}},
    ],
)
def test_we_compute_what_peft_does_with_its_adapters(base_folder, tmp_path, settings):
    config = peft.LoraConfig(r=3, lora_alpha=5, task_type="CAUSAL_LM", **settings)
    theirs = stir(peft.get_peft_model(their_base(base_folder), config)).eval()
    theirs.save_pretrained(tmp_path)
    model, plain = load_folder(base_folder), load_folder(base_folder)
    loaded = load_adapter(model, tmp_path)
    assert (loaded.rank, loaded.alpha, loaded.use_rslora) == (3, 5, settings.get("use_rslora", False))
    assert not torch.allclose(model(TOKENS), plain(TOKENS), atol=0.1)
    assert same_logits(theirs, model)
    assert same_logits(theirs, merged(model))


def test_saved_and_loaded_adapters_compute_the_same_and_save_the_same_bytes(base_folder, tmp_path):
    model, config = make_adapted(base_folder, IDS, targets=SOME, use_rslora=True, dropout=0.25)
    save_adapter(model, config, "base", tmp_path / "a")
    loaded = load_folder(base_folder)
    assert load_adapter(loaded, tmp_path / "a") == config
    with torch.no_grad():
        assert torch.allclose(loaded(TOKENS), model(TOKENS), atol=1e-6)
    save_adapter(loaded, config, "base", tmp_path / "b")
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_gradients_are_pefts(base_folder, tmp_path):
    model, config = make_adapted(base_folder, IDS)
    save_adapter(model, config, "base", tmp_path)
    theirs = peft.PeftModel.from_pretrained(their_base(base_folder), tmp_path, is_trainable=True)
    theirs(TOKENS, labels=TOKENS).loss.backward()
    num_targets = TOKENS[:, 1:].numel()
    (model.loss(TOKENS) / num_targets).backward()
    expected = {name: weight.grad for name, weight in theirs.named_parameters() if weight.requires_grad}
    seen = 0
    for (block, layer), module in lora_layers(model).items():
        parent = "self_attn" if layer.startswith("attention") else "mlp"
        for target, piece in module.pieces().items():
            place = f"base_model.model.model.layers.{block}.{parent}.{target}"
            rank, order = config.rank, list(module.pieces())
            start = order.index(target) * rank
            first = sum(len(module.pieces()[before].b) for before in order[: order.index(target)])
            a, b = module.A.grad[start : start + rank], module.B.grad[first : first + len(piece.b)]
            assert torch.allclose(expected[f"{place}.lora_A.default.weight"], a, atol=1e-5)
            assert torch.allclose(expected[f"{place}.lora_B.default.weight"], b, atol=1e-5)
            assert a.abs().max() > 1e-3 < b.abs().max()
            seen += 2
    rows = "token_adapter.trainable_tokens_delta.default"
    embedding = expected[f"base_model.model.model.embed_tokens.{rows}"]
    assert torch.allclose(embedding, model.embedding.changes.grad, atol=1e-5)
    if not model.config.is_tied:
        head = expected[f"base_model.model.lm_head.{rows}"]
        assert torch.allclose(head, model.to_logits.changes.grad, atol=1e-5)
    assert seen + (1 if model.config.is_tied else 2) == len(expected)


def test_transformers_reads_the_merged_model(base_folder, tmp_path, small_tokenizer):
    model, _ = make_adapted(base_folder, IDS)
    save_folder(merged(model), small_tokenizer, tmp_path)
    theirs = their_base(tmp_path)
    assert theirs.config.tie_word_embeddings == model.config.is_tied
    assert same_logits(theirs, model)
    assert torch.equal(load_folder(tmp_path)(TOKENS), merged(model)(TOKENS))


def test_an_adapted_model_is_not_saved_as_if_it_were_its_base(tied_folder, tmp_path, small_tokenizer):
    model, _ = make_adapted(tied_folder, IDS)
    with pytest.raises(KeyError):
        save_folder(model, small_tokenizer, tmp_path)


@pytest.fixture(scope="module")
def adapter(tied_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    model, config = make_adapted(tied_folder, IDS, targets=("q_proj", "up_proj"))
    save_adapter(model, config, "base", folder)
    return folder


def rewrite(adapter: Path, tmp_path: Path, **changes: object) -> Path:
    """A copy of an adapter folder with other entries in its settings."""
    document = json.loads((adapter / "adapter_config.json").read_text()) | changes
    (tmp_path / "adapter_config.json").write_text(json.dumps(document))
    (tmp_path / "adapter_model.safetensors").write_bytes((adapter / "adapter_model.safetensors").read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"peft_type": "VERA"}, "peft_type 'VERA'; only 'LORA'"),
        ({"use_dora": True}, "use_dora True, which is more than plain LoRA"),
        ({"modules_to_save": ["lm_head"]}, r"modules_to_save \['lm_head'\], which is more"),
        ({"bias": "all"}, "bias 'all', which is more"),
        ({"lora_bias": True}, "lora_bias True, which is more"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights 'pissa', which is more"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"layers_to_transform": [0]}, r"layers_to_transform \[0\]"),
        ({"not_invented_yet": 3}, "not_invented_yet 3"),
        ({"r": 0}, "adapter_config.json: 'rank' is 0"),
        ({"r": 8}, r"has shape \(4, 16\), expected \(8, 16\): the adapter belongs to another base"),
        ({"trainable_token_indices": None}, "has a weight without a place in this base"),
        ({"trainable_token_indices": [1, 900]}, "no token has id 900"),
        ({"trainable_token_indices": [1]}, r"expected \(1, 16\)"),
        ({"trainable_token_indices": {"lm_head": IDS}}, "trains other rows in lm_head than in embed_tokens"),
        ({"trainable_token_indices": {"q_proj": IDS}}, "trains rows of 'q_proj'"),
    ],
)
def test_what_would_be_read_wrongly_is_refused_in_one_line(
    tied_folder, adapter, tmp_path, changes, complaint
):
    with pytest.raises(ValueError, match=complaint) as caught:
        load_adapter(load_folder(tied_folder), rewrite(adapter, tmp_path, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"use_dora": True},
        {"bias": "lora_only"},
        {"modules_to_save": ["norm"]},
        {"alpha_pattern": {"q_proj": 3}},
        {"layers_to_transform": 1},
    ],
)
def test_pefts_own_other_kinds_are_refused(tied_folder, tmp_path, settings):
    config = peft.LoraConfig(target_modules=["q_proj"], **settings)
    peft.get_peft_model(their_base(tied_folder), config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"{next(iter(settings))} .*, which is more than plain LoRA"):
        load_adapter(load_folder(tied_folder), tmp_path)


def test_an_adapter_of_some_blocks_only_is_refused(tied_folder, adapter, tmp_path):
    rewrite(adapter, tmp_path)
    weights = load_file(adapter / "adapter_model.safetensors")
    some = {name: tensor for name, tensor in weights.items() if ".1." not in name}
    save_file(some, tmp_path / "adapter_model.safetensors")
    with pytest.raises(
        ValueError, match=r"no weight '.*layers\.1\.self_attn\.q_proj\.lora_A\.weight'; expected"
    ):
        load_adapter(load_folder(tied_folder), tmp_path)


def test_damaged_or_missing_files_are_refused(tied_folder, adapter, tmp_path):
    rewrite(adapter, tmp_path)
    weights, settings = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    for path, content, complaint in [
        (weights, weights.read_bytes()[:100], "is damaged"),
        (weights, None, r"has no adapter_model\.safetensors"),
        (settings, b"{", "is not JSON"),
        (settings, b"[]", "holds a list, expected an object"),
        (settings, None, r"has no adapter_config\.json"),
    ]:
        whole = path.read_bytes()
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(ValueError, match=complaint):
            load_adapter(load_folder(tied_folder), tmp_path)
        path.write_bytes(whole)


def test_a_base_is_named_not_located_and_there_must_be_something_to_save(tied_folder, tmp_path):
    model, config = make_adapted(tied_folder, [])
    with pytest.raises(ValueError, match="give the base's name instead of its path"):
        save_adapter(model, config, str(tied_folder), tmp_path)
    with pytest.raises(ValueError, match="no adapters to save"):
        save_adapter(merged(model), config, "base", tmp_path)
