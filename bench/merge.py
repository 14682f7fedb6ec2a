"""TIES of two finetunes of a 135 M-parameter Llama: ours against mergekit's, each in a process of its own.

    python bench/merge.py [PYTHON]      prints time and peak memory of each, and both as ratios

PYTHON is an interpreter that has mergekit 0.1.5 (`pip install mergekit==0.1.5`), by default this one. Weights
are random, in float32; the two run in turn; the ratios are medians of pairs. Imports are counted in: both
start from nothing, as a user's command does.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from lmcore.models.settings import TransformerConfig

VOCAB, DENSITY, ROUNDS = 49_152, 0.2, 3
CONFIG = TransformerConfig(width=576, num_layers=30, num_heads=9, num_key_value_heads=3, hidden_width=1536)
OURS = f"""
from pathlib import Path
from lmcore.merge.settings import MergeConfig
from lmcore.merge.weights import merge_folders
settings = MergeConfig(method={{"type": "ties", "density": {DENSITY}}})
merge_folders(Path("base"), [Path("one"), Path("two")], Path("ours"), settings)
"""


class Cost(NamedTuple):
    """What a process took."""

    seconds: float
    megabytes: float


def write_models(folder: Path) -> None:
    """A base, and two models that differ from it by noise."""
    import torch

    from lmcore.interop.llama_config import to_config
    from lmcore.interop.llama_names import to_llama
    from lmcore.interop.tensor_files import write_tensors
    from lmcore.models.transformer import Transformer

    weights = to_llama(Transformer(CONFIG, VOCAB).state_dict(), CONFIG)
    for number, name in enumerate(("base", "one", "two")):
        random = torch.Generator().manual_seed(number)
        model = {
            key: weight + 0.002 * torch.randn(weight.shape, generator=random) * (number > 0)
            for key, weight in weights.items()
        }
        (folder / name).mkdir()
        write_tensors(model, folder / name / "model.safetensors", {"format": "pt"})
        (folder / name / "config.json").write_text(json.dumps(to_config(CONFIG, VOCAB, {})))


def write_recipe(folder: Path) -> None:
    dials = {"weight": 1.0, "density": DENSITY}
    recipe = {
        "merge_method": "ties",
        "base_model": str(folder / "base"),
        "models": [{"model": str(folder / name), "parameters": dials} for name in ("one", "two")],
        "parameters": {"normalize": True},
        "dtype": "float32",
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))  # JSON is YAML


def run(command: list[str], folder: Path) -> Cost:
    began = time.perf_counter()
    root = str(Path(__file__).parents[1])
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": root}
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} failed; run it alone to see why: {' '.join(command)}")
    return Cost(time.perf_counter() - began, usage.ru_maxrss / 1024)


def count_differences(folder: Path) -> tuple[int, int]:
    """How many merged weights are not the same to 1e-6, and how many there are."""
    from safetensors import safe_open

    paths = (folder / name / "model.safetensors" for name in ("ours", "theirs"))
    ours, theirs = (safe_open(path, "pt") for path in paths)
    unlike = total = 0
    names: list[str] = ours.keys()
    for name in names:
        difference = (ours.get_tensor(name) - theirs.get_tensor(name)).abs()
        unlike, total = unlike + int((difference > 1e-6).sum()), total + difference.numel()
    return unlike, total


def main() -> None:
    peer = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    ours = [sys.executable, "-c", OURS]
    theirs = [
        peer,
        "-m",
        "mergekit.scripts.run_yaml",
        "recipe.yaml",
        "theirs",
        "--no-copy-tokenizer",
        "--quiet",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # In a process of its own: Linux counts what this one holds as a child's peak, too.
        writer = multiprocessing.get_context("spawn").Process(target=write_models, args=(folder,))
        writer.start()
        writer.join()
        write_recipe(folder)
        pairs = []
        for _ in range(ROUNDS):
            pairs.append((run(ours, folder), run(theirs, folder)))
            for name, cost in zip(("ours", "mergekit"), pairs[-1], strict=True):
                print(f"{name:>8}: {cost.seconds:6.1f} s, peak {cost.megabytes:5.0f} MB", flush=True)
        unlike, total = count_differences(folder)
    faster = statistics.median(peer.seconds / our.seconds for our, peer in pairs)
    leaner = statistics.median(our.megabytes / peer.megabytes for our, peer in pairs)
    print(f"{faster:.1f} x as fast (bar: 4), {leaner:.2f} of the memory (bar: 0.5)")
    print(
        f"{unlike} of {total:,} weights differ by more than 1e-6: changes as large as the smallest that stays"
    )


if __name__ == "__main__":
    main()
