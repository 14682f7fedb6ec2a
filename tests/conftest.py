"""Spinning threads starve a busy machine, and small models need one; slots are the tests' own.

Property tests draw the same examples in each run, however slow the machine; to look for others:
`pytest --hypothesis-profile=explore`.
"""

import atexit
import os
import shutil
import tempfile

from hypothesis import HealthCheck, settings

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
if "LM_SLOTS" not in os.environ:
    # Who trains on this machine beside the tests neither waits for them nor keeps them waiting.
    os.environ["LM_SLOTS"] = tempfile.mkdtemp(prefix="lm-slots-")
    atexit.register(shutil.rmtree, os.environ["LM_SLOTS"], ignore_errors=True)

# Tests that share a folder among examples know it.
LENIENT = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
settings.register_profile("explore", **LENIENT)
settings.register_profile("same", **LENIENT, derandomize=True, database=None)
settings.load_profile("same")
