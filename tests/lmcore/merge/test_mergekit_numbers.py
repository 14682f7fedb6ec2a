"""mergekit 0.1.5 is the oracle; `make_mergekit_numbers.py` wrote down what it computes."""

import json
from pathlib import Path

import pytest
import torch

NUMBERS = json.loads(Path(__file__).with_name("mergekit_numbers.json").read_text())


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    """The base, then its finetunes."""
    from lmcore.interop.tensor_files import write_tensors

    folders = []
    for model in NUMBERS["models"]:
        folder = tmp_path_factory.mktemp("model")
        (folder / "config.json").write_text(json.dumps(NUMBERS["config"]))
        weights = {name: torch.tensor(weight) for name, weight in model.items()}
        write_tensors(weights, folder / "model.safetensors", {"format": "pt"})
        folders.append(folder)
    return folders


@pytest.mark.parametrize("case", NUMBERS["cases"], ids=lambda case: json.dumps(case["method"]))
def test_a_tiny_llama_comes_out_as_from_mergekit(case, folders, tmp_path):
    from safetensors.torch import load_file

    from lmcore.merge.settings import MergeConfig
    from lmcore.merge.weights import merge_folders

    base = folders[0] if case["has_base"] else None
    merge_folders(base, folders[1 : 1 + case["parents"]], tmp_path, MergeConfig(method=case["method"]))
    ours = load_file(tmp_path / "model.safetensors")
    assert ours.keys() == case["merged"].keys()
    for name, theirs in case["merged"].items():
        torch.testing.assert_close(ours[name], torch.tensor(theirs), atol=1e-6, rtol=0)
