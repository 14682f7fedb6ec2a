"""Make `mergekit_numbers.json`: a tiny Llama, three finetunes of it, and what mergekit 0.1.5 merges them to.

    pip install mergekit==0.1.5
    python tests/lmcore/merge/make_mergekit_numbers.py

The tests read the numbers alone, so that nobody needs mergekit to run them.
"""

import json
from pathlib import Path

import numpy as np
import torch
from mergekit.merge_methods.api import merge_state_dicts

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 8,
    "hidden_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 6,
    "max_position_embeddings": 16,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}
SHAPES = {
    "model.embed_tokens.weight": (8, 4),
    "model.norm.weight": (4,),
    "model.layers.0.input_layernorm.weight": (4,),
    "model.layers.0.post_attention_layernorm.weight": (4,),
    "model.layers.0.self_attn.q_proj.weight": (4, 4),
    "model.layers.0.self_attn.k_proj.weight": (2, 4),
    "model.layers.0.self_attn.v_proj.weight": (2, 4),
    "model.layers.0.self_attn.o_proj.weight": (4, 4),
    "model.layers.0.mlp.gate_proj.weight": (6, 4),
    "model.layers.0.mlp.up_proj.weight": (6, 4),
    "model.layers.0.mlp.down_proj.weight": (4, 6),
}
CASES = [
    # ours, theirs, parents, with the base?
    ({"type": "linear", "weights": [1, 2, 5]}, {"weight": [1.0, 2.0, 5.0]}, 3, False),
    (
        {"type": "linear", "weights": [0.5, 0.25, 1], "normalize": False},
        {"weight": [0.5, 0.25, 1.0], "normalize": False},
        3,
        False,
    ),
    ({"type": "slerp", "t": 0.3}, {"t": 0.3}, 2, False),
    ({"type": "task_arithmetic", "weights": [0.7, -0.4]}, {"weight": [0.7, -0.4]}, 2, True),
    ({"type": "task_arithmetic", "scale": 0.3}, {"weight": 1.0, "lambda": 0.3}, 3, True),
    ({"type": "ties", "density": 0.4}, {"density": 0.4, "weight": 1.0}, 3, True),
    (
        {"type": "ties", "density": 0.7, "weights": [1, 0.5, 2], "scale": 0.8},
        {"density": 0.7, "weight": [1.0, 0.5, 2.0], "lambda": 0.8},
        3,
        True,
    ),
    (
        {"type": "ties", "density": 0.5, "normalize": False},
        {"density": 0.5, "weight": 1.0, "normalize": False},
        2,
        True,
    ),
    (
        {"type": "dare_ties", "density": 1, "weights": [1, 0.5]},
        {"density": 1.0, "weight": [1.0, 0.5]},
        2,
        True,
    ),
]


def main() -> None:
    # No two changes of a size: which of equals mergekit keeps is chance.
    random = np.random.RandomState(7)
    base = {name: random.standard_normal(shape) for name, shape in SHAPES.items()}
    parents = [
        {name: weight + random.standard_normal(weight.shape) / 2 for name, weight in base.items()}
        for _ in range(3)
    ]
    models = [{name: torch.tensor(weight).float() for name, weight in m.items()} for m in (base, *parents)]
    cases = []
    for ours, theirs, number, has_base in CASES:
        inputs = models[0 if has_base else 1 : 1 + number]
        settings = {"base": 0} if has_base or ours["type"] == "slerp" else {}
        merged = merge_state_dicts(inputs, ours["type"], parameters=theirs, **settings)
        cases.append({"method": ours, "parents": number, "has_base": has_base, "merged": as_lists(merged)})
    document = {"config": CONFIG, "models": [as_lists(model) for model in models], "cases": cases}
    text = json.dumps(document, sort_keys=True).replace('], "', '],\n"').replace("}, {", "},\n{")
    Path(__file__).with_name("mergekit_numbers.json").write_text(text + "\n")


def as_lists(model: dict[str, torch.Tensor]) -> dict[str, list]:
    return {
        name: np.vectorize(lambda x: float(f"{x:.9g}"))(weight.double().numpy()).tolist()
        for name, weight in model.items()
    }


if __name__ == "__main__":
    main()
