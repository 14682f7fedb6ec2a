"""Compute slots: no more work at once than there are cores, and no slot outlives its holder."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tasks.engine.slots import compute_slots

HOLDER = """
import sys, time
from tasks.engine.slots import compute_slots
with compute_slots(int(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def own_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_SLOTS", str(tmp_path / "slots"))
    monkeypatch.setattr("tasks.engine.slots.usable_cores", lambda: 3)
    monkeypatch.setattr("tasks.engine.slots.LONG_SECONDS", 0.1)


def test_never_more_slots_are_held_than_there_are_cores():
    held, most, lock = 0, 0, threading.Lock()

    def work(wanted: int) -> None:
        nonlocal held, most
        with compute_slots(wanted) as number:
            with lock:
                held += number
                most = max(most, held)
            threading.Event().wait(0.02)
            with lock:
                held -= number

    threads = [threading.Thread(target=work, args=(1 + n % 3,)) for n in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 3
    assert held == 0


def test_who_wants_more_cores_than_there_are_gets_them_all():
    with compute_slots(64) as number:
        assert number == 3


def test_waiting_is_told_once_and_ends_when_a_slot_is_free():
    told: list[str] = []
    done = threading.Event()

    def wait() -> None:
        with compute_slots(2, lambda: told.append("waiting")):
            done.set()

    with compute_slots(2):
        waiter = threading.Thread(target=wait)
        waiter.start()
        threading.Event().wait(0.3)
        assert told == ["waiting"]
        assert not done.is_set()
    waiter.join()
    assert done.is_set()


def test_a_killed_holder_frees_its_slots():
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, "3"], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with compute_slots(3) as number:
        assert number == 3
