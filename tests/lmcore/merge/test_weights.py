"""Folders in, a folder out: the same bytes on any machine, and nothing that does not belong together."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmcore.merge import elementwise, weights
from lmcore.merge.settings import MergeConfig
from lmcore.merge.weights import merge_folders

CONFIG = {"model_type": "llama", "hidden_size": 4, "hidden_act": "silu", "tie_word_embeddings": False}
NORM, EMBEDDING, HEAD = "model.norm.weight", "model.embed_tokens.weight", "lm_head.weight"
TIES = {"type": "ties", "density": 0.5}


def random_model(seed: int) -> dict[str, Tensor]:
    random = np.random.RandomState(seed)
    shapes = {NORM: (4,), EMBEDDING: (10, 4), HEAD: (10, 4)}
    return {name: torch.from_numpy(random.standard_normal(shape)).float() for name, shape in shapes.items()}


def write_model(folder: Path, model: dict[str, Tensor] | int, config=CONFIG, tokenizer=None) -> Path:
    folder.mkdir()
    model = random_model(model) if isinstance(model, int) else model
    save_file(model, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    if tokenizer is not None:
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


@pytest.fixture(scope="module")
def family(tmp_path_factory, small_tokenizer) -> list[Path]:
    """A base and two models near it, as our training writes them."""
    from lmcore.interop.hugging_face import save_folder
    from lmcore.models.settings import TransformerConfig
    from lmcore.models.transformer import Transformer

    config = TransformerConfig(width=16, num_layers=2, num_heads=2, context_tokens=32)
    folders = []
    for seed in range(3):
        model = Transformer(config, 400, seed=1)
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.01 if seed else 0)
        folder = tmp_path_factory.mktemp("model")
        save_folder(model, small_tokenizer, folder)
        folders.append(folder)
    return folders


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def merge(method, base: Path | None, *parents: Path, out: Path):
    return merge_folders(base, parents, out, MergeConfig(method=method))


@pytest.mark.parametrize("method", ["linear", "slerp", TIES])
def test_merging_copies_of_a_model_gives_its_very_bytes(method, family, tmp_path):
    base = family[1] if method == TIES else None
    merge(method, base, family[1], family[1], out=tmp_path)
    assert content(tmp_path) == content(family[1])


def test_a_whole_task_vector_restores_the_finetune_and_none_of_it_the_base(family, tmp_path):
    base, parent, _ = family
    facts = merge("task_arithmetic", base, parent, out=tmp_path / "whole")
    assert content(tmp_path / "whole") == content(parent)
    assert facts["coefficient_1"] == 1
    merge({"type": "task_arithmetic", "scale": 0}, base, parent, out=tmp_path / "none")
    assert content(tmp_path / "none") == content(base)


def test_a_merged_folder_loads_and_lies_between_its_parents(family, tmp_path):
    from lmcore.interop.hugging_face import load_folder

    base, *parents = family
    merge(TIES, base, *parents, out=tmp_path)
    merged, *models = (dict(load_folder(folder).named_parameters()) for folder in (tmp_path, *family))
    for name, weight in merged.items():
        near = torch.stack([model[name] for model in models])
        assert (weight >= near.amin(dim=0) - 1e-6).all()
        assert (weight <= near.amax(dim=0) + 1e-6).all()


@pytest.mark.parametrize("method", [TIES, {"type": "dare_ties", "density": 0.3}, "slerp"])
def test_the_bytes_do_not_depend_on_threads_or_on_how_much_is_done_at_once(
    method, family, tmp_path, monkeypatch
):
    base, *parents = family
    facts = [merge(method, base, *parents, out=tmp_path / "first")]
    monkeypatch.setattr(weights, "usable_cores", lambda: 5)
    monkeypatch.setattr(weights, "AT_ONCE", 3000)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        facts.append(merge(method, base, *parents, out=tmp_path / "second"))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert content(tmp_path / "first") == content(tmp_path / "second")
    assert facts[0] == facts[1]


def test_a_weight_is_one_whole_however_it_is_cut_into_stretches(family, tmp_path, monkeypatch):
    base, *parents = family
    for name, stretch in (("long", 1 << 16), ("short", 64)):
        monkeypatch.setattr(elementwise, "STRETCH", stretch)
        for number, method in enumerate([TIES, {"type": "dare_ties", "density": 0.3}]):
            merge(method, base, *parents, out=tmp_path / f"{name}{number}")
    for number in range(2):
        assert content(tmp_path / f"long{number}") == content(tmp_path / f"short{number}")


def test_shards_and_one_file_merge_to_the_same(family, tmp_path):
    whole = family[1]
    sharded = tmp_path / "sharded"
    shutil.copytree(whole, sharded)
    model = load_file(whole / "model.safetensors")
    (sharded / "model.safetensors").unlink()
    names = sorted(model)
    index = {}
    for number, part in enumerate((names[:7], names[7:])):
        file = f"model-0000{number + 1}-of-00002.safetensors"
        save_file({name: model[name] for name in part}, sharded / file)
        index |= dict.fromkeys(part, file)
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    merge("linear", None, sharded, family[2], out=tmp_path / "a")
    merge("linear", None, whole, family[2], out=tmp_path / "b")
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_facts_tell_what_the_merged_model_holds_of_each_parent(tmp_path):
    base = write_model(tmp_path / "base", {NORM: torch.zeros(4)})
    first = write_model(tmp_path / "first", {NORM: torch.tensor([3.0, 4.0, 0.0, 0.0])})
    second = write_model(tmp_path / "second", {NORM: torch.tensor([-2.0, 1.5, 0.0, 6.0])})
    facts = merge({"type": "linear", "weights": (1, 3)}, base, first, second, out=tmp_path / "out")
    assert facts == {
        "method": "linear",
        "tensors": 1,
        "parameters": 4,
        "measured_from": "base",
        "coefficient_1": 0.25,
        "coefficient_2": 0.75,
        "norm_1": 5.0,
        "norm_2": 6.5,
        "cosine_1_2": 0.0,
        "opposed_share": 0.25,
    }
    facts = merge("slerp", None, first, second, out=tmp_path / "arc")
    half = np.sqrt(0.5)  # sin 45 / sin 90
    assert facts["measured_from"] == "zero"
    assert [facts["coefficient_1"], facts["coefficient_2"]] == pytest.approx([half, half], rel=1e-5)


def test_facts_stay_numbers_where_a_parent_is_the_base_or_the_other(tmp_path):
    base, parent = write_model(tmp_path / "base", 0), write_model(tmp_path / "parent", 1)
    facts = merge("task_arithmetic", base, base, parent, parent, out=tmp_path / "out")
    assert [facts[f"coefficient_{number}"] for number in (1, 2, 3)] == [0, 1, 1]
    assert (facts["cosine_1_2"], facts["cosine_2_3"]) == (0, 1)


def test_progress_counts_tensors(family, tmp_path):
    told = []
    merge_folders(
        None, family[1:], tmp_path, MergeConfig(method="linear"), lambda done, of: told.append((done, of))
    )
    assert told == [(number, len(told)) for number in range(1, len(told) + 1)]


def test_tokenizer_and_settings_come_from_the_base_and_what_it_lacks_from_a_parent(tmp_path):
    base, first, second = (write_model(tmp_path / f"{n}", n, tokenizer={"a": 1}) for n in range(3))
    for folder, template in ((base, None), (first, "one"), (second, "two")):
        (folder / "generation_config.json").write_text(json.dumps({"name": folder.name}))
        if template:
            (folder / "chat_template.jinja").write_text(template)
    merge("task_arithmetic", base, first, second, out=tmp_path / "out")
    merged = content(tmp_path / "out")
    assert merged["generation_config.json"] == (base / "generation_config.json").read_bytes()
    assert merged["chat_template.jinja"] == b"one"
    assert merged["tokenizer.json"] == (base / "tokenizer.json").read_bytes()


def test_bfloat16_stays_and_mixed_dtypes_become_the_widest(tmp_path):
    model = random_model(0)
    narrow = {name: weight.bfloat16() for name, weight in model.items()}
    bf16 = {**CONFIG, "dtype": "bfloat16"}
    a, b = (write_model(tmp_path / name, narrow, bf16) for name in "ab")
    wide = write_model(tmp_path / "wide", {name: w.float() for name, w in narrow.items()})
    merge("linear", None, a, b, out=tmp_path / "narrow")
    assert content(tmp_path / "narrow") == content(a)
    merge("linear", None, a, wide, out=tmp_path / "mixed")
    merged = load_file(tmp_path / "mixed" / "model.safetensors")
    assert {weight.dtype for weight in merged.values()} == {torch.float32}
    assert all(torch.equal(weight, narrow[name].float()) for name, weight in merged.items())
    assert json.loads((tmp_path / "mixed" / "config.json").read_text())["dtype"] == "float32"


def test_whole_numbers_are_copied_never_averaged(tmp_path):
    def model(seed, last):
        return {**random_model(seed), "positions": torch.tensor([0, 1, last])}

    a, b, c = (write_model(tmp_path / name, model(ord(name), 7 + (name == "c"))) for name in "abc")
    merge("linear", None, a, b, out=tmp_path / "out")
    merged = load_file(tmp_path / "out" / "model.safetensors")
    assert merged["positions"].tolist() == [0, 1, 7]
    with pytest.raises(ValueError, match="'positions' holds whole numbers, which do not average"):
        merge("linear", None, a, c, out=tmp_path / "refused")


def test_a_tied_head_is_merged_once_whether_it_is_stored_or_not(tmp_path):
    tied = {**CONFIG, "tie_word_embeddings": True}
    first, second = random_model(1), random_model(2)
    stored = write_model(tmp_path / "a", {**first, HEAD: first[EMBEDDING].clone()}, tied)
    del second[HEAD]
    left_out = write_model(tmp_path / "b", second, tied)
    merge("linear", None, stored, left_out, out=tmp_path / "out")
    assert HEAD not in load_file(tmp_path / "out" / "model.safetensors")
    unlike = write_model(tmp_path / "c", random_model(3), tied)
    with pytest.raises(ValueError, match=r"output layer unlike its embedding, but config\.json ties the two"):
        merge("linear", None, left_out, unlike, out=tmp_path / "refused")


def test_configurations_of_both_transformers_spellings_are_one_architecture(tmp_path):
    old = {**CONFIG, "rope_theta": 500.0, "rope_scaling": None, "torch_dtype": "float32"}
    new = {**CONFIG, "rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}, "dtype": "float32"}
    other = {**CONFIG, "rope_parameters": {"rope_theta": 600.0, "rope_type": "default"}}
    a, b, c = (
        write_model(tmp_path / n, 0, config) for n, config in zip("abc", (old, new, other), strict=True)
    )
    merge("linear", None, a, b, out=tmp_path / "out")
    with pytest.raises(ValueError, match=r"rope_theta is 500.0 and 600.0; expected models of one archit"):
        merge("linear", None, a, c, out=tmp_path / "refused")


def without(name: str) -> dict[str, Tensor]:
    return {other: weight for other, weight in random_model(1).items() if other != name}


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ({"model": without(HEAD)}, r"has a weight 'lm_head.weight', .* has none"),
        ({"model": {**random_model(1), "extra": torch.ones(1)}}, "has a weight 'extra', .* has none"),
        ({"model": {**random_model(1), NORM: torch.ones(5)}}, r"has shape \(4,\) in .*, \(5,\) in"),
        ({"model": {**random_model(1), NORM: torch.ones(4).int()}}, "expected floating-point numbers in all"),
        ({"model": {**random_model(1), NORM: torch.ones(4).double()}}, "as F64; expected one of"),
        ({"model": {**random_model(1), NORM: torch.full((4,), torch.nan)}}, "values that are not finite"),
        ({"model": {**random_model(1), NORM: torch.full((4,), torch.inf)}}, "values that are not finite"),
        ({"model": 1, "config": {**CONFIG, "hidden_act": "gelu"}}, "hidden_act is 'silu' and 'gelu'"),
        ({"model": 1, "tokenizer": {"vocab": {"a": 1}}}, "their tokenizer.json differ"),
    ],
)
def test_models_that_do_not_belong_together_are_refused(other, complaint, tmp_path):
    first, second = write_model(tmp_path / "first", 0), write_model(tmp_path / "second", **other)
    with pytest.raises(ValueError, match=complaint) as caught:
        merge("task_arithmetic", first, second, out=tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["linear", TIES])
def test_a_diverged_model_is_told_by_its_folder_and_weight(method, tmp_path):
    base, parent = write_model(tmp_path / "base", 0), write_model(tmp_path / "parent", 1)
    diverged = write_model(tmp_path / "diverged", {**random_model(2), NORM: torch.full((4,), torch.nan)})
    with pytest.raises(
        ValueError, match=r"'model.norm.weight' of \S+diverged has values that are not finite"
    ):
        merge(method, base, parent, diverged, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("method", "has_base", "number", "complaint"),
    [
        ("ties", False, 2, "merge method 'ties': it needs a base, got none"),
        ("slerp", False, 3, "merge method 'slerp': .* got 3 parents; expected exactly 2"),
        ({"type": "linear", "weights": (1, 2)}, False, 3, "'linear': got 2 weights for 3 parents"),
        ("linear", False, 0, "got no parents"),
    ],
)
def test_a_method_that_cannot_do_with_its_inputs_says_so_before_any_file_is_opened(
    method, has_base, number, complaint, tmp_path
):
    nowhere = tmp_path / "nowhere"
    with pytest.raises(ValueError, match=complaint):
        merge(method, nowhere if has_base else None, *[nowhere] * number, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_is_never_overwritten_by_its_merge(family):
    with pytest.raises(ValueError, match="is one of the models to merge, which stay as they are"):
        merge("linear", None, *family[1:], out=family[2])


def test_no_more_weights_are_in_memory_than_one_of_each_model_on_each_core(family, tmp_path, monkeypatch):
    import weakref

    from lmcore.merge.folders import WeightFolder

    live, most = set(), 0
    read = WeightFolder.read

    def watched(self, name):
        nonlocal most
        weight = read(self, name)
        live.add(id(weight))
        weakref.finalize(weight, live.discard, id(weight))
        most = max(most, len(live))
        return weight

    monkeypatch.setattr(WeightFolder, "read", watched)
    monkeypatch.setattr(weights, "usable_cores", lambda: 2)
    base, *parents = family
    merge(TIES, base, *parents, out=tmp_path)
    assert 3 <= most <= 2 * 3


def test_damaged_and_missing_files_are_told_by_name(tmp_path):
    first, second = write_model(tmp_path / "first", 0), write_model(tmp_path / "second", 1)
    whole = (second / "model.safetensors").read_bytes()
    (second / "model.safetensors").write_bytes(whole[:-8])
    with pytest.raises(ValueError, match=r"second/model\.safetensors is damaged"):
        merge("linear", None, first, second, out=tmp_path / "out")
    (second / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"second has no model\.safetensors"):
        merge("linear", None, first, second, out=tmp_path / "out")
    (second / "model.safetensors").write_bytes(whole)
    (second / "config.json").unlink()
    with pytest.raises(ValueError, match=r"second has no config\.json"):
        merge("linear", None, first, second, out=tmp_path / "out")


def test_a_full_disk_is_told(family, monkeypatch, tmp_path):
    import os

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(OSError, match="make room on that disk"):
        merge("linear", None, *family[1:], out=tmp_path)


def test_a_workspace_adds_a_method_of_its_own(family, tmp_path, monkeypatch):
    from lmcore import registry
    from lmcore.merge.methods import methods

    parts = tmp_path / "parts"
    (parts / "methods").mkdir(parents=True)
    (parts / "methods" / "first_wins.py").write_text(
        "from lmcore.merge.methods import methods\n"
        "@methods.register\n"
        "def merge_first_wins(base, parents, name, *, which: int = 0):\n"
        "    return parents[which].float()\n"
    )
    monkeypatch.setattr(registry, "workspace_parts", [parts])
    monkeypatch.setattr(methods, "_parts", {})
    merge({"type": "first_wins", "which": 1}, None, *family[1:], out=tmp_path / "out")
    assert content(tmp_path / "out") == content(family[2])
