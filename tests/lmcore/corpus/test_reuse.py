"""Reading is done in pieces: side by side, kept for the next run, and the bytes are always the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmcore.corpus import pieces as pieces_module
from lmcore.corpus.ingest import read_source
from lmcore.corpus.settings import Source
from lmcore.corpus.sources import find_files

NAMES = ("documents.parquet", "rejected.parquet")
PROGRAM = """
import sys
from pathlib import Path
from lmcore.corpus import ingest, pieces
from lmcore.corpus.settings import Source
from lmcore.corpus.sources import find_files

if __name__ == "__main__":
    folder, out, kept = map(Path, sys.argv[1:4])
    ingest.RANGE, pieces.SMALL = 4_000, 0
    ingest.ALONE = 3_000
    source = Source(title="T", origin="O", licence="L", reader="jsonl")
    files = find_files(source, folder)
    ingest.read_source(source, "s", files, folder, out, kept=kept, cores=2)
"""


def lines(start: int, number: int) -> str:
    return "".join(
        json.dumps({"text": f"row {n} of some words"}) + "\n" for n in range(start, start + number)
    )


@pytest.fixture
def pile(tmp_path: Path) -> Path:
    """Two hundred small files, and one that is large."""
    folder = tmp_path / "pile"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}.jsonl").write_text(lines(number * 10, 5))
    (folder / "large.jsonl").write_text(lines(10_000, 2_000))
    return folder


def read(folder: Path, out: Path, kept: Path | None = None, cores: int = 1) -> tuple[list[bytes], list[str]]:
    """The product, and what was said."""
    source = Source.model_validate({"title": "T", "origin": "O", "licence": "L", "reader": "jsonl"})
    out.mkdir(exist_ok=True)
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmcore.corpus.ingest.RANGE", 20_000)
        patch.setattr("lmcore.corpus.ingest.ALONE", 10_000)
        read_source(
            source, "s", find_files(source, folder), folder, out, kept=kept, cores=cores, say=said.append
        )
    return [(out / name).read_bytes() for name in NAMES], said


def test_any_number_of_processes_gives_the_same_bytes(
    pile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pieces_module, "SMALL", 0)
    assert read(pile, tmp_path / "two", cores=2) == read(pile, tmp_path / "one")


def test_a_new_file_leaves_the_pieces_of_most_others_as_they_are(pile: Path, tmp_path: Path):
    kept = tmp_path / "kept"
    assert read(pile, tmp_path / "out", kept)[1] == []
    assert read(pile, tmp_path / "out", kept)[1] == [
        "0 of 201 files were read; the rest is taken over from earlier runs"
    ]
    (pile / "0505.jsonl").write_text(lines(90_000, 3))
    product, said = read(pile, tmp_path / "out", kept)
    assert product == read(pile, tmp_path / "fresh")[0]
    (line,) = said
    assert line.endswith(" of 202 files were read; the rest is taken over from earlier runs")
    assert 1 <= int(line.split()[0]) < 150


def test_lines_added_to_a_large_file_leave_its_first_ranges_as_they_are(pile: Path, tmp_path: Path):
    kept = tmp_path / "kept"
    read(pile, tmp_path / "out", kept)
    before = {path.name for path in kept.iterdir()}
    with (pile / "large.jsonl").open("a") as stream:
        stream.write(lines(50_000, 10))
    product, said = read(pile, tmp_path / "out", kept)
    assert product == read(pile, tmp_path / "fresh")[0]
    assert said == ["1 of 201 files were read; the rest is taken over from earlier runs"]
    assert len({path.name for path in kept.iterdir()} - before) == 1


def test_damaged_pieces_are_made_again(pile: Path, tmp_path: Path):
    kept = tmp_path / "kept"
    product, _ = read(pile, tmp_path / "out", kept)
    for number, piece in enumerate(sorted(kept.iterdir())):
        if number % 2:
            (piece / NAMES[0]).write_bytes(b"damage")
    again, (said,) = read(pile, tmp_path / "out", kept)
    assert again == product
    assert not said.startswith("0 ")


def test_killed_in_the_middle_the_next_run_goes_on_to_the_same_bytes(pile: Path, tmp_path: Path):
    for number in range(60):
        (pile / f"more{number}.jsonl").write_text(lines(number * 100, 60))
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def run(out: str, kept: str) -> subprocess.Popen[bytes]:
        (tmp_path / out).mkdir(exist_ok=True)
        given = [str(pile), str(tmp_path / out), str(tmp_path / kept)]
        return subprocess.Popen([sys.executable, str(program), *given])

    assert run("whole", "other").wait() == 0
    killed = run("out", "kept")
    while killed.poll() is None and len(list((tmp_path / "kept").glob("[0-9a-f]*"))) < 3:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert run("out", "kept").wait() == 0
    for name in NAMES:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
