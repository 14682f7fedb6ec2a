"""python -m lmcore.finetune REQUEST.json: finetune in a process of its own, see `lmcore.train.process`."""

from __future__ import annotations

import sys

from lmcore.finetune.settings import FinetuneRequest
from lmcore.train.process import run_process

if __name__ == "__main__":
    sys.exit(run_process(sys.argv[1:], FinetuneRequest, "lmcore.finetune.supervised:finetune"))
