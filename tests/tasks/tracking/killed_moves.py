"""Run as a process: kill a move of aliases between every two of its writes, and run it again.

killed_moves.py WORKSPACE COMMAND [WORKSPACE COMMAND ...]   prints a JSON line for each state that a kill has
left: the command, where it was killed, what was left, what the second run said, and what was there then.
"""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

from mlflow import MlflowClient
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

from tasks.tracking import journal, moves, numbering, registrar
from tasks.tracking.store import open_store
from tasks.tracking.versions import versions


def register_again(root: Path) -> object:
    """As `register` does it, but without a model's files."""
    client = open_store(root)
    if not any(version.digest == "d2" for version in versions(root, "tiny")):
        model = client.create_logged_model("0", name="tiny")
        tags = {"lm.digest": "d2", "lm.key": "k2"}
        numbering.create_version(client, "tiny", model, None, tags, None)
    with journal.holding(root):
        (new,) = (version for version in versions(root, "tiny") if version.digest == "d2")
        numbering.settle_version(root, client, new, None)
    return moves.is_enlisted(root, "tiny", "d2")


TRACED = {module.__file__ for module in (journal, registrar, moves, numbering)}
COMMANDS: dict[str, Callable[[Path], object]] = {
    "promote": lambda root: moves.promote(root, "tiny", 3, expected_champion=2, why="better"),
    "rollback": lambda root: moves.rollback(root, "tiny", tell=lambda _: (root / "told").touch()),
    "rollback to": lambda root: moves.rollback(root, "tiny", 3, why="worse"),
    "set alias": lambda root: moves.set_alias(root, "tiny", "champion", 1, "I know better"),
    "enlist": lambda root: moves.enlist(root, "tiny", 4, "challenger"),
    "enlist the first": lambda root: moves.enlist(root, "tiny", 1, "staging"),
    "register again": register_again,
}
HALF = "half a line"
Point = tuple[int, str, int]
"""How many writes there were before, file, how many lines were come to before."""


def main(root: Path, command: str) -> None:
    """Each point once; and the second run for each state that was not seen before."""
    open_store(root)
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files = [root / "mlflow.db", root / "releases" / "tiny.jsonl", root / "told"]
    before = {file: file.read_bytes() if file.exists() else None for file in files}
    run(root, command)  # so that the children find all that is slow the first time done
    reset(before)
    points = json.loads(in_child(lambda: note_points(root, command)) or "[]")
    seen = set()
    for point in points:
        reset(before)
        assert in_child(lambda point=point: die_at(root, command, tuple(point))) is None, point
        left = state(root)
        if json.dumps(left) not in seen:
            seen.add(json.dumps(left))
            told = in_child(lambda: run(root, command)) or "killed"
            row = {"command": command, "point": point, "left": left, "told": told, "then": state(root)}
            print(json.dumps(row), flush=True)


def run(root: Path, command: str) -> str:
    try:
        return str(COMMANDS[command](root))
    except ValueError as error:
        return f"{type(error).__name__}: {error}"


def reset(files: dict[Path, bytes | None]) -> None:
    """As before the first run. In place: who has opened the database knows it by its inode."""
    for store in (RegistryStore, TrackingStore):
        for engine in store._engine_map.values():
            engine.dispose()  # no connection may be shared with a child, or see what is put in place here
    for file, content in files.items():
        for ending in ("-wal", "-shm"):
            file.with_name(file.name + ending).unlink(missing_ok=True)
        if content is None:
            file.unlink(missing_ok=True)
        else:
            with file.open("r+b") as target:
                target.write(content)
                target.truncate()


def state(root: Path) -> dict[str, Any]:
    file = root / "releases" / "tiny.jsonl"
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        query = "SELECT alias, version FROM registered_model_aliases ORDER BY alias"
        aliases = connection.execute(query).fetchall()
        query = "SELECT version, key FROM model_version_tags WHERE key IN ('lm.released', 'lm.rolled_back')"
        tags = connection.execute(f"{query} ORDER BY version, key").fetchall()
        query = "SELECT version, source LIKE 'models:/m-%' FROM model_versions ORDER BY version"
        versions = connection.execute(query).fetchall()
    text = file.read_text() if file.exists() else ""
    told, lines = (root / "told").exists(), _without_time(text)
    return {"aliases": dict(aliases), "tags": tags, "versions": versions, "told": told, "journal": lines}


def _without_time(text: str) -> list[Any]:
    """The lines, so that two runs can be compared; half a line as its length."""
    *lines, rest = text.split("\n")
    told: list[Any] = [{**json.loads(line), "when": ""} for line in lines]
    return [*told, f"half a line of {len(rest)} letters"] if rest else told


def in_child(work: Callable[[], str]) -> str | None:
    """What it returns in a process of its own; None if that was killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.write(writer, work().encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        told = answer.read()
    _, status = os.waitpid(pid, 0)
    return told if os.waitstatus_to_exitcode(status) == 0 else None


def note_points(root: Path, command: str) -> str:
    """Run it to the end: the last line before each write and at the end, and the middle of each write.

    In `numbering.py`, which writes past MLflow, every line.
    """
    points: dict[tuple[int, str], Point] = {}

    def note(point: Point) -> None:
        is_by_itself = point[1].startswith(("numbering", HALF))
        points[point[0], point[1] if is_by_itself else ""] = point

    watch(note)
    COMMANDS[command](root)
    sys.settrace(None)
    return json.dumps(sorted(points.values(), key=lambda point: point[2]))


def die_at(root: Path, command: str, at: Point) -> str:
    """Run it, and be killed when it comes there."""

    def die(point: Point) -> None:
        if point == at:
            os.kill(os.getpid(), signal.SIGKILL)

    watch(die)
    COMMANDS[command](root)
    return "survived"


def watch(heard: Callable[[Point], object]) -> None:
    """Call for each line of the files that are traced, and in the middle of each line of the journal."""
    num_writes = num_lines = 0

    def counted(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal num_writes
            try:
                return write(*arguments)
            finally:
                num_writes += 1

        return call

    def halved(file: int, data: bytes, offset: int) -> int:
        write(file, data[: len(data) // 2], offset)
        heard((num_writes, HALF, num_lines))
        return len(data) // 2 + write(file, data[len(data) // 2 :], offset + len(data) // 2)

    write, names = os.pwrite, ("set_registered_model_alias", "delete_registered_model_alias")
    os.pwrite = counted(halved)
    for name in (*names, "set_model_version_tag"):
        setattr(MlflowClient, name, counted(getattr(MlflowClient, name)))

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in TRACED:
            return None
        nonlocal num_lines
        if event == "line":
            num_lines += 1
            heard((num_writes, f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}", num_lines))
        return trace

    sys.settrace(trace)


if __name__ == "__main__":
    for workspace, name in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        main(Path(workspace), name)
