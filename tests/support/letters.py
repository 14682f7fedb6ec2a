"""A small source that grows, and an experiment that releases models of it."""

import gzip
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXPERIMENT = """\
sources: [{{name: letters, path: {texts}, licence: my own}}]
tokenizer: {{vocab_size: 300}}
split: {{validation_share: 0.15, test_share: 0.3}}
model: {{width: 16, num_layers: 1, num_heads: 2, context_tokens: 32}}
train: {{steps: {steps}, batch_size: 8, warmup_steps: 2, validate_every: {steps}, sample_prompts: []}}
evaluate: {{num_resamples: 50, sample_tokens: 4}}
comparison: {{num_resamples: 50, sample_tokens: 4}}
gate: {{looks: 4, num_resamples: 2000, sample_tokens: 8, max_slowdown: null}}
"""
FEW, MANY = 4, 80
"""Steps of a poor model, and of one that is clearly better."""


def write_letters(folder: Path, numbers: range) -> None:
    with gzip.open(ROOT / "data" / "sources" / "jane_austen" / "persuasion.txt.gz", "rt") as novel:
        words = novel.read().split()
    for number in numbers:
        text = " ".join(words[number * 300 : number * 300 + 300])
        (folder / f"letter_{number:03}.txt").write_text(text)


def describe(lm, texts: Path, steps: int, more: str = "") -> None:
    file = lm.workspace / "experiments" / "release" / "letters.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(EXPERIMENT.format(texts=texts, steps=steps) + more)
