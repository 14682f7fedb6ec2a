"""What a step costs, measured over the process and its children."""

import subprocess
import sys

from tasks.engine.meter import Meter


def test_memory_held_for_a_moment_is_counted_also_in_a_short_step():
    with Meter() as meter:
        block = bytearray(60_000_000)
        block[::4096] = b"x" * len(block[::4096])
        assert meter.peak_memory > 50_000_000
        del block
    assert meter.peak_memory > 50_000_000


def test_memory_and_time_of_a_child_are_counted():
    script = "b = bytearray(80_000_000); b[::4096] = b'x' * len(b[::4096]); sum(range(10**7)); input()"
    with Meter() as meter:
        child = subprocess.Popen([sys.executable, "-c", f"{script}"], stdin=subprocess.PIPE)
        while meter.peak_memory < 70_000_000 and child.poll() is None:
            pass
        child.communicate(b"\n")
        assert meter.cpu_seconds > 0.1
    assert meter.peak_memory > 70_000_000
    assert meter.seconds > 0
