"""The texts that come with the repository, and the way from them to a corpus."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lmcore.corpus.catalogue import Products
from lmcore.corpus.clean import clean_documents
from lmcore.corpus.deduplicate import deduplicate
from lmcore.corpus.document import Document, Duplicate, Rejected, read
from lmcore.corpus.filter import filter_documents
from lmcore.corpus.ingest import read_source
from lmcore.corpus.settings import (
    DEFAULT_FILTERS,
    DeduplicateConfig,
    NormalizeConfig,
    SourceChoice,
    SplitConfig,
)
from lmcore.corpus.sources import find_files, load_source
from lmcore.corpus.split import split_corpus
from lmcore.corpus.statistics import describe

SOURCES = Path(__file__).parents[3] / "data" / "sources"
NAMES = ("jane_austen", "king_james_bible")


def make_corpus(root: Path, files: str = "*") -> None:
    """The whole way, in folders below `root`, for the files of a pattern."""
    for stage in (*NAMES, "clean", "filtered", "deduplicated", "corpus"):
        (root / stage).mkdir()
    for name in NAMES:
        source = load_source(SOURCES / name)
        chosen = find_files(source, SOURCES / name, SourceChoice(name=name, files=(files,)))
        read_source(source, name, chosen, SOURCES / name, root / name)
    raw = [root / name for name in NAMES]
    clean, filtered, distinct = (root / name for name in ("clean", "filtered", "deduplicated"))
    measurements = [part.measurement for part in DEFAULT_FILTERS]
    clean_documents(raw, clean, NormalizeConfig(), (), measurements)
    filter_documents(clean, filtered, DEFAULT_FILTERS)
    deduplicate(clean, filtered, distinct, DeduplicateConfig())
    decided = [filtered, distinct]
    split_corpus(clean, decided, [*raw, clean], None, root / "corpus", SplitConfig())
    products = Products(root / "corpus", clean, tuple(decided))
    describe(products, root / "corpus", [limit for part in DEFAULT_FILTERS for limit in part.limits], 0.5)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    make_corpus(root)
    return root


def documents(folder: Path) -> list[Document]:
    return list(read(folder / "documents.parquet", Document))


def test_the_novels_have_all_their_chapters(made: Path):
    found: dict[str, list[str]] = {}
    for document in documents(made / "jane_austen"):
        found.setdefault(document.file.removesuffix(".txt.gz"), []).append(document.title)
    chapters = {novel: sum("CHAPTER" in title.upper() for title in titles) for novel, titles in found.items()}
    # Volumes of the first editions: 22+14+14, 23+19+19, 18+13+17, 18+18+19, 15+16, 12+12.
    assert chapters == {
        "sense_and_sensibility": 50,
        "pride_and_prejudice": 61,
        "mansfield_park": 48,
        "emma": 55,
        "northanger_abbey": 31,
        "persuasion": 24,
    }
    others = [title for titles in found.values() for title in titles if "CHAPTER" not in title.upper()]
    assert others == ["northanger_abbey"]  # the author's advertisement, in front of the first chapter
    for titles in found.values():
        assert len(set(titles)) == len(titles)


def test_the_bible_has_all_its_chapters_and_verses(made: Path):
    chapters = documents(made / "king_james_bible")
    assert len(chapters) == 1189
    assert len({chapter.file for chapter in chapters}) == 66
    assert len({chapter.title for chapter in chapters}) == 1189
    verses = 0
    for chapter in chapters:
        heading, blank, *lines = chapter.text.split("\n")
        assert (heading, blank) == (chapter.title, "")
        assert [line.split(" ")[0] for line in lines] == [str(number) for number in range(1, len(lines) + 1)]
        verses += len(lines)
    assert verses == 31_102


def test_known_lines_stand_where_they_should(made: Path):
    by_title = {document.title: document for document in documents(made / "king_james_bible")}
    assert (
        by_title["Genesis 1"].text.split("\n")[2]
        == "1 In the beginning God created the heaven and the earth."
    )
    assert by_title["John 11"].text.split("\n")[36] == "35 Jesus wept."
    assert by_title["Song of Solomon 8"].file == "22_song_of_solomon.txt.gz"
    assert by_title["3 John 1"].line == 1
    first = next(d for d in documents(made / "jane_austen") if d.file.startswith("pride"))
    assert first.text.split("\n")[2] == (
        "It is a truth universally acknowledged, that a single man in possession of a good fortune, "
        "must be in want of a wife."
    )


def test_the_line_of_a_document_is_its_heading_in_the_file(made: Path):
    for document in documents(made / "jane_austen")[::40]:
        lines = gzip.decompress((SOURCES / "jane_austen" / document.file).read_bytes()).decode().split("\n")
        assert lines[document.line - 1] == document.text.split("\n")[0]


def test_no_line_is_anything_but_text(made: Path):
    strange = re.compile(
        r"gutenberg|copyright|\[illustration|https?:|www\.|[<>{}\\^~|]|\[end|signet classic", re.IGNORECASE
    )
    for name in NAMES:
        for document in documents(made / name):
            assert not strange.search(document.text), document.id
            assert "\x00" not in document.text


def test_the_files_are_packed_without_name_or_time():
    for file in sorted(SOURCES.glob("*/*.gz")):
        head = file.read_bytes()[:10]
        assert head[3] == 0, f"{file.name}: flags say that a name or more is in it"
        assert head[4:8] == bytes(4), f"{file.name}: holds a time"


def test_a_choice_of_one_novel_is_one_file():
    source = load_source(SOURCES / "jane_austen")
    choice = SourceChoice(name="jane_austen", files=("emma*",))
    assert find_files(source, SOURCES / "jane_austen", choice) == [Path("emma.txt.gz")]


def test_every_document_is_accounted_for(made: Path):
    corpus = made / "corpus"
    kept = [
        row.id
        for side in ("train", "validation", "test")
        for row in read(corpus / f"{side}.parquet", Document)
    ]
    rejected = [row.id for row in read(corpus / "rejected.parquet", Rejected)]
    given = [row.id for name in NAMES for row in documents(made / name)]
    assert sorted(kept + rejected) == sorted(given)
    assert len(given) == 1459


def test_parallel_passages_of_the_bible_stay_on_one_side(made: Path):
    titles = {row.id: row.title for name in NAMES for row in documents(made / name)}
    evidence = list(read(made / "deduplicated" / "duplicates.parquet", Duplicate))
    pairs = {tuple(sorted((titles[row.removed], titles[row.keeper]))): row.how for row in evidence}
    # Family throughout: no chapter of the two sources is a copy of another.
    assert pairs == {
        ("2 Kings 19", "Isaiah 37"): "family",
        ("1 Chronicles 10", "1 Samuel 31"): "family",
        ("Psalms 14", "Psalms 53"): "family",
        ("2 Kings 18", "Isaiah 36"): "family",
        ("2 Kings 20", "Isaiah 39"): "family",
    }
    sides = {
        row.id: side
        for side in ("train", "validation", "test")
        for row in read(made / "corpus" / f"{side}.parquet", Document)
    }
    assert all(sides[row.removed] == sides[row.keeper] for row in evidence)


def test_repetitive_lists_are_rejected_with_the_reason(made: Path):
    reasons = {row.title: row.rule for row in read(made / "corpus" / "rejected.parquet", Rejected)}
    refrain = "gopher_repetition.max_top_4gram_characters_share"  # for his mercy endureth for ever
    assert reasons["Psalms 136"] == refrain
    assert (
        reasons["Numbers 7"] == "gopher_repetition.max_duplicate_5gram_characters_share"
    )  # twelve times the same offering
    assert len(reasons) < 0.02 * 1459


def test_the_corpus_is_the_same_in_another_process_with_other_hashes_threads_and_locale(tmp_path: Path):
    here, there = tmp_path / "here", tmp_path / "somewhere" / "else"
    here.mkdir()
    there.mkdir(parents=True)
    files = "*p[rs]*"  # Pride and Prejudice, Psalms, Proverbs
    make_corpus(here, files)
    program = (
        "import importlib.util, sys, pathlib\n"
        "spec = importlib.util.spec_from_file_location('shipped', sys.argv[1])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "module.make_corpus(pathlib.Path(sys.argv[2]), sys.argv[3])\n"
    )
    threads = {"OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
    changed = threads | {"PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", program, __file__, str(there), files]
    subprocess.run(command, env=os.environ | changed, check=True)

    def digests(root: Path) -> dict[str, str]:
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    assert digests(there) == digests(here)
    assert len(digests(here)) == 2 + 2 + 4 + 1 + 3 + 7
