"""Spinning threads starve a busy machine, and small models need one; slots are the tests' own."""

import os
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
# Who trains on this machine beside the tests neither waits for them nor keeps them waiting.
os.environ.setdefault("LM_SLOTS", tempfile.mkdtemp(prefix="lm-slots-"))
