"""Small corpora of made-up chapters."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from lmcore.corpus.document import Document, digest_of, write

NOUNS = ("river", "meadow", "captain", "orchard", "letter", "window", "garden", "harbour", "sister", "candle")
SYLLABLES = ("ba", "ke", "lo", "mi", "nu", "ra", "shi", "to", "ve", "zu")
VERBS = ("crossed", "carried", "watched", "painted", "followed", "remembered", "opened", "closed")


def sentence(draw: random.Random) -> str:
    """Nine words, one of them a name that hardly comes twice."""
    name = "".join(draw.choices(SYLLABLES, k=3)).capitalize()
    first, second = draw.sample(NOUNS, 2)
    return f"Then {name} {draw.choice(VERBS)} the {first} near the {second} again."


def chapter(number: int, file: str, source: str = "novels", num_sentences: int = 24) -> Document:
    """A titled chapter in paragraphs of four sentences."""
    draw = random.Random(f"{source}/{file}/{number}")
    told = [sentence(draw) for _ in range(num_sentences)]
    paragraphs = [" ".join(told[begin : begin + 4]) for begin in range(0, len(told), 4)]
    return document(
        f"CHAPTER {number}", "\n\n".join([f"CHAPTER {number}", *paragraphs]), file, number, source
    )


def psalm(number: int, source: str = "old_songs") -> Document:
    """A chapter in numbered verses."""
    draw = random.Random(f"{source}/{number}")
    verses = [f"{verse} {sentence(draw)}" for verse in range(1, 13)]
    return document(
        f"Songs {number}",
        "\n".join([f"Songs {number}", "", *verses]),
        f"{number:02d}_song.txt",
        number,
        source,
    )


def document(title: str, text: str, file: str, number: int = 1, source: str = "novels") -> Document:
    """A document with the fields that a corpus gives it."""
    return Document(f"{source}/{file}#{number}", source, file, 10 * number, title, text, digest_of(text))


def write_sides(
    folder: Path, train: list[Document], validation: list[Document], test: list[Document]
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for side, rows in (("train", train), ("validation", validation), ("test", test)):
        write(folder / f"{side}.parquet", Document, rows)
    return folder


@pytest.fixture(scope="session")
def make_sides() -> Callable[..., Path]:
    """make_sides(folder, train, validation, test) writes a corpus folder."""
    return write_sides


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two novels of ten chapters each and thirty songs of one file each; three of each are held out twice."""
    sides: dict[int, list[Document]] = {0: [], 1: [], 2: []}
    for file in ("grey_mill.txt.gz", "the_tower.txt.gz"):
        for number in range(1, 11):
            sides[max(0, number - 8)].append(chapter(number, file))
    for number in range(1, 31):
        sides[max(0, (number - 21) // 4) if number > 24 else 0].append(psalm(number))
    return write_sides(tmp_path_factory.mktemp("corpus") / "tales", *sides.values())
