"""Pieces of work are made once, side by side, and never believed when they are damaged."""

import os
from pathlib import Path

import pytest
from piecework import be_killed, give_up, shout

from lmcore.corpus import pieces as pieces_module
from lmcore.corpus.pieces import Job, Pieces, WorkerLostError, kept_or_passing, make_pieces


def jobs(*words: str, **more: object) -> list[Job]:
    return [Job(word, (word, *more.values()), size=len(word)) for word in words]


def words_of(folders) -> list[str]:
    return [(folder / "word").read_text() for folder in folders]


def test_a_piece_is_made_once_and_found_by_its_key(tmp_path: Path):
    log = tmp_path / "log"
    for _ in range(2):
        pieces = Pieces(tmp_path / "kept")
        made = make_pieces(pieces, shout, jobs("one", "two", "one", log=log))
        assert words_of(made) == ["ONE", "TWO", "ONE"]
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["one", "two"]
    assert (pieces.num_made, pieces.num_reused) == (0, 2)


@pytest.mark.parametrize("harm", ["change", "remove", "listing"])
def test_a_damaged_piece_is_made_again(tmp_path: Path, harm: str):
    pieces = Pieces(tmp_path)
    (folder,) = make_pieces(pieces, shout, jobs("one"))
    match harm:
        case "change":
            (folder / "word").write_text("ONF")
        case "remove":
            (folder / "word").unlink()
        case "listing":
            (folder / "piece.json").write_text("[]")
    assert pieces.find("one") is None
    assert words_of(make_pieces(pieces, shout, jobs("one"))) == ["ONE"]


def test_processes_give_the_same_in_the_same_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces_module, "SMALL", 0)
    log, told = tmp_path / "log", []
    wanted = [f"word{number}" for number in range(9)]
    made = make_pieces(
        Pieces(tmp_path / "kept"), shout, jobs(*wanted, log=log), 2, lambda done, total: told.append(done)
    )
    assert words_of(made) == [word.upper() for word in wanted]
    assert str(os.getpid()) not in log.read_text()
    assert told == [5 * done for done in range(10)]


@pytest.mark.parametrize("cores", [1, 2])
def test_an_error_comes_through_and_leaves_nothing_half_made(tmp_path: Path, cores: int, monkeypatch):
    monkeypatch.setattr(pieces_module, "SMALL", 0)
    with pytest.raises(ValueError, match="one is no word"):
        list(make_pieces(Pieces(tmp_path), give_up, jobs("one"), cores))
    assert not list(tmp_path.iterdir())


def test_a_killed_worker_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces_module, "SMALL", 0)
    with pytest.raises(WorkerLostError, match="memory"):
        list(make_pieces(Pieces(tmp_path), be_killed, jobs("one"), 2))


def test_without_a_place_nothing_stays():
    with kept_or_passing(None) as pieces:
        (folder,) = make_pieces(pieces, shout, jobs("one"))
        assert words_of([folder]) == ["ONE"]
    assert not folder.exists()
