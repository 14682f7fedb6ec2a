"""python -m lmcore.train REQUEST.json: pretrain in a process of its own; exit codes stand in `process.py`."""

from __future__ import annotations

import sys

from lmcore.train.process import run_process
from lmcore.train.settings import PretrainRequest

if __name__ == "__main__":
    sys.exit(run_process(sys.argv[1:], PretrainRequest, "lmcore.train.pretrain:pretrain"))
