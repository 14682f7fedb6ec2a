"""Work that other processes can import."""

import os
import signal
from pathlib import Path


def shout(folder: Path, word: str, log: Path | None = None) -> None:
    (folder / "word").write_text(word.upper())
    if log:
        with log.open("a") as file:
            file.write(f"{word} {os.getpid()}\n")


def give_up(folder: Path, word: str) -> None:
    raise ValueError(f"{word} is no word")


def be_killed(folder: Path, word: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
