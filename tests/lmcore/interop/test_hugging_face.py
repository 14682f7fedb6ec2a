import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from lmcore.interop.hugging_face import load_folder, save_folder
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer

transformers.utils.logging.disable_progress_bar()

VOCAB = 400


def make_model(is_tied: bool = True, num_key_value_heads: int = 2, vocab_size: int = VOCAB) -> Transformer:
    config = TransformerConfig(
        width=32,
        num_layers=2,
        num_heads=4,
        num_key_value_heads=num_key_value_heads,
        hidden_width=48,
        context_tokens=64,
        rope_theta=700.0,
        is_tied=is_tied,
    )
    return Transformer(config, vocab_size, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, small_tokenizer: Path) -> Path:
    out = tmp_path_factory.mktemp("model")
    save_folder(make_model(), small_tokenizer, out)
    return out


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("num_key_value_heads", [4, 2, 1])
def test_transformers_gives_the_same_logits(
    tmp_path: Path, small_tokenizer: Path, is_tied: bool, num_key_value_heads: int
):
    model = make_model(is_tied, num_key_value_heads)
    save_folder(model, small_tokenizer, tmp_path)
    theirs, loading = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert type(theirs).__name__ == "LlamaForCausalLM"
    assert not any(loading.values())  # nothing missing, unexpected or mismatched
    tokens = torch.randint(VOCAB, (2, 50))
    with torch.no_grad():
        assert torch.allclose(theirs(tokens).logits, model(tokens), atol=1e-5)


def test_transformers_gives_the_same_ids_and_knows_where_a_text_ends(folder: Path, small_tokenizer: Path):
    theirs, ours = transformers.AutoTokenizer.from_pretrained(folder), Tokenizer.load(small_tokenizer)
    text = "bashi kélo, the ve."
    assert theirs(text)["input_ids"] == ours.encode(text)
    generation = transformers.GenerationConfig.from_pretrained(folder)
    assert (generation.eos_token_id, generation.pad_token_id) == (ours.eos_id, ours.pad_id)


@pytest.mark.parametrize("is_tied", [True, False])
def test_save_and_load_give_the_same_bits(tmp_path: Path, small_tokenizer: Path, is_tied: bool):
    model = make_model(is_tied)
    save_folder(model, small_tokenizer, tmp_path / "a")
    loaded = load_folder(tmp_path / "a")
    tokens = torch.randint(VOCAB, (1, 20))
    assert loaded.config == model.config
    assert torch.equal(loaded(tokens), model(tokens))
    save_folder(loaded, small_tokenizer, tmp_path / "b")
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_the_tied_output_layer_is_not_written_twice(folder: Path):
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")


@pytest.mark.parametrize("shard_size", ["1GB", "20KB"])
@pytest.mark.parametrize("is_tied", [True, False])
def test_a_folder_that_transformers_wrote_loads(tmp_path: Path, shard_size: str, is_tied: bool):
    config = transformers.LlamaConfig(
        vocab_size=90,
        hidden_size=32,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=is_tied,
        rope_parameters={"rope_theta": 5000.0, "rope_type": "default"},
    )
    theirs = transformers.LlamaForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path, max_shard_size=shard_size)
    tokens = torch.randint(90, (1, 30))
    with torch.no_grad():
        assert torch.allclose(load_folder(tmp_path)(tokens), theirs(tokens).logits, atol=1e-5)


def rewrite(folder: Path, tmp_path: Path, **changes: object) -> Path:
    """A copy of a model folder with other entries in config.json; None takes one out."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text()) | changes
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    return tmp_path


def test_the_rotary_base_is_read_in_both_spellings(folder: Path, tmp_path: Path):
    assert load_folder(rewrite(folder, tmp_path, rope_theta=None)).config.rope_theta == 700.0
    assert load_folder(rewrite(folder, tmp_path, rope_parameters=None)).config.rope_theta == 700.0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model_type": "mixtral"}, "model_type 'mixtral'; only 'llama'"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'; this architecture has 'silu'"),
        ({"attention_bias": True}, "attention_bias True"),
        ({"head_dim": 16}, "head_dim 16; expected hidden_size / num_attention_heads = 8"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rotary positions by 'yarn'"),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4}}, "rotary positions by 'linear'"),
        ({"vocab_size": None}, "no 'vocab_size'"),
        ({"num_hidden_layers": 3}, "no weight 'model.layers.2"),
        ({"num_hidden_layers": 1}, "no place for: 'model.layers.1"),
        ({"intermediate_size": 64}, "do not belong together"),
        ({"num_attention_heads": 3}, "choose a width"),
    ],
)
def test_what_would_load_wrongly_is_refused(
    folder: Path, tmp_path: Path, changes: dict[str, object], complaint: str
):
    with pytest.raises(ValueError, match=complaint):
        load_folder(rewrite(folder, tmp_path, **changes))


def test_damaged_or_missing_files_are_refused(folder: Path, tmp_path: Path):
    rewrite(folder, tmp_path)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ValueError, match="damaged"):
        load_folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"no model\.safetensors"):
        load_folder(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        load_folder(tmp_path)


def test_weights_stored_in_bfloat16_become_float32(folder: Path, tmp_path: Path):
    rewrite(folder, tmp_path)
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor.bfloat16() for name, tensor in weights.items()}, tmp_path / "model.safetensors")
    loaded = load_folder(tmp_path)
    assert loaded.embedding.weight.dtype == torch.float32
    assert torch.equal(loaded.embedding.weight, weights["model.embed_tokens.weight"].bfloat16().float())


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path, small_tokenizer: Path):
    with pytest.raises(ValueError, match="the tokenizer has 400 tokens, the model knows 300"):
        save_folder(make_model(vocab_size=300), small_tokenizer, tmp_path)
