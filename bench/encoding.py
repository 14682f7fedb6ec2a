"""Writing token shards against a bare `encode_batch` of the same texts: what checks and files cost.

    python bench/encoding.py CORPUS TOKENIZER     folders such as data/corpora/demo and data/tokenizers/demo

One process, the two in turn; the ratio of medians is bare time over ours (1 would be free).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from tokenizers import Tokenizer

from lmcore.batching.settings import ShardsConfig
from lmcore.batching.token_shards import write_shards
from lmcore.tokenizers.texts import SIDES, read_batches

ROUNDS = 7


def main(corpus: Path, tokenizer: Path) -> None:
    texts = [
        text for side in SIDES for batch in read_batches(corpus, side, ["text"]) for text in batch["text"]
    ]
    encoder = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    bare, ours = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        encoder.encode_batch(texts)
        bare.append(time.perf_counter() - began)
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            write_shards(corpus, tokenizer, Path(folder) / "shards", ShardsConfig())
            ours.append(time.perf_counter() - began)
    ratio = statistics.median(bare) / statistics.median(ours)
    print(f"bare {statistics.median(bare):.2f} s, shards {statistics.median(ours):.2f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
