"""Locks that end with their holder, however it ends."""

import subprocess
import sys
import threading
import time
from pathlib import Path

from tasks.engine.locks import is_held, lock, try_lock

ROOT = Path(__file__).parents[3]


def hold(path: Path) -> "subprocess.Popen[str]":
    """A process that holds the lock until it is killed."""
    script = (
        "import sys, time; from pathlib import Path; from tasks.engine.locks import lock\n"
        "with lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, text=True, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_a_kill_frees_the_lock(tmp_path):
    path, waits = tmp_path / "x.lock", []
    process = hold(path)
    assert is_held(path)
    with try_lock(path) as got:
        assert not got
    threading.Timer(0.2, process.kill).start()
    with lock(path, on_wait=lambda: waits.append(1)):
        assert waits == [1]
        assert process.wait(5) != 0
    process.communicate()
    assert not is_held(path)


def test_readers_share_and_a_writer_waits_for_all(tmp_path):
    path, done = tmp_path / "x.lock", []

    def write() -> None:
        with lock(path):
            done.append(1)

    with lock(path, shared=True), lock(path, shared=True):
        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(0.1)
        assert not done
    writer.join(5)
    assert done == [1]


def test_threads_exclude_each_other(tmp_path):
    inside, most = [], []

    def work() -> None:
        with lock(tmp_path / "x.lock"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_who_waited_on_a_deleted_lock_file_does_not_hold_beside_the_next(tmp_path):
    """Both would hold "the" lock: one by the deleted file, one by the new."""
    path, events = tmp_path / "x.lock", []

    def wait() -> None:
        with lock(path, on_wait=lambda: events.append("waits")):
            events.append("has it")

    with lock(path):
        waiter = threading.Thread(target=wait)
        waiter.start()
        while not events:
            time.sleep(0.01)
        path.unlink()
        newcomer = hold(path)
    time.sleep(0.1)
    assert events == ["waits"]
    newcomer.kill()
    newcomer.communicate()
    waiter.join(5)
    assert events == ["waits", "has it"]


def test_an_error_inside_frees_the_lock(tmp_path):
    try:
        with lock(tmp_path / "x.lock"):
            raise KeyError
    except KeyError:
        pass
    assert not is_held(tmp_path / "x.lock")
    assert not is_held(tmp_path / "never")
