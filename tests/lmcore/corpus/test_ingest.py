from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmcore.config import SettingsError
from lmcore.corpus.document import Document, Rejected, digest_of, read
from lmcore.corpus.ingest import check_files, read_source
from lmcore.corpus.inputs import UnreadableFileError
from lmcore.corpus.settings import Source, SourceChoice
from lmcore.corpus.sources import find_files, load_source, root_of

NewFolder = Callable[[str], Path]


def source(**given: Any) -> Source:
    return Source.model_validate({"title": "T", "origin": "here", "licence": "Public domain", **given})


def fill(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def names(files: list[Path]) -> list[str]:
    return [file.as_posix() for file in files]


# Finding files


def test_files_are_sorted_and_what_speaks_of_the_source_is_no_text(tmp_path: Path):
    kept = ["B.txt", "a.txt", "deep/er/c.txt", "deep/README.md", "z.txt"]
    others = ["source.yaml", "README.md", "LICENCE.md", ".hidden.txt", ".git/x.txt", "deep/.cache/y.txt"]
    fill(tmp_path, dict.fromkeys(reversed(kept + others), "text"))
    assert names(find_files(source(), tmp_path)) == sorted(kept)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("*.txt",), ["a.txt"]),
        (("**/*.txt",), ["a.txt", "x/b.txt", "x/y/c.txt"]),
        (("x/**",), ["x/b.md", "x/b.txt", "x/y/c.txt"]),
        (("x/*.md", "a.*"), ["a.txt", "x/b.md"]),
        (("**/y/*",), ["x/y/c.txt"]),
        (("x/[ab].txt",), ["x/b.txt"]),
    ],
)
def test_patterns_choose_files_by_their_whole_path(
    tmp_path: Path, patterns: tuple[str, ...], expected: list[str]
):
    fill(tmp_path, dict.fromkeys(["a.txt", "x/b.txt", "x/b.md", "x/y/c.txt"], "text"))
    assert names(find_files(source(files=patterns), tmp_path)) == expected


def test_a_choice_narrows_a_source_down_and_never_widens_it(tmp_path: Path):
    fill(tmp_path, dict.fromkeys(["a.txt", "b.txt", "c.md"], "text"))
    texts = source(files=["*.txt"])
    assert names(find_files(texts, tmp_path, SourceChoice.model_validate("notes"))) == ["a.txt", "b.txt"]
    assert names(find_files(texts, tmp_path, SourceChoice(name="notes", files=("a.*",)))) == ["a.txt"]
    with pytest.raises(UnreadableFileError, match=r"no file matches \*\.md; there is a\.txt, b\.txt"):
        find_files(texts, tmp_path, SourceChoice(name="notes", files=("*.md",)))


def test_a_path_may_be_absolute_or_from_home_or_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fill(tmp_path, {"mine/README.md": "all about it", "sources/s/source.yaml": "title: x"})
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "sources" / "s"
    for path in (str(tmp_path / "mine"), "~/mine", "../../mine"):
        chosen = source(path=path)
        assert root_of(chosen, folder).resolve() == tmp_path / "mine"
        assert names(find_files(chosen, folder)) == ["README.md"]


def test_folders_and_files_that_cannot_be_are_refused_in_one_line(tmp_path: Path):
    folder = fill(tmp_path / "s", {"full.txt": "text", "empty.txt": ""})
    expected = {
        r"missing: no such folder \(`path` in .*source\.yaml\)": source(path="missing"),
        r"full\.txt: a file; name its folder": source(path="full.txt"),
        r"no file matches \*\.json; there is empty\.txt, full\.txt": source(files=["*.json"]),
    }
    for says, wrong in expected.items():
        with pytest.raises(UnreadableFileError, match=says) as error:
            find_files(wrong, folder)
        assert "\n" not in str(error.value)
    choice = SourceChoice.model_validate({"name": "mine", "path": "missing", "licence": "my own"})
    assert choice.source
    with pytest.raises(UnreadableFileError, match=r"no such folder \(`path` of source 'mine'\)"):
        find_files(choice.source, folder, choice)
    (folder / "nothing").mkdir()
    with pytest.raises(UnreadableFileError, match="there is no file"):
        find_files(source(path="nothing"), folder)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "wb") as file:
        file.write(b"text")
    with pytest.raises(UnreadableFileError, match="name is not UTF-8; rename it"):
        find_files(source(), tmp_path)


def test_settings_that_fit_no_file_are_refused_and_damage_of_some_files_is_not(tmp_path: Path):
    fill(tmp_path, {"a.txt": b"caf\xe9", "b.txt": b"", "c.txt": "fine"})
    check_files(source(), find_files(source(), tmp_path), tmp_path)
    with pytest.raises(UnreadableFileError, match=r"a\.txt: byte 0xe9 at offset 3 is not UTF-8"):
        check_files(source(), [Path("a.txt"), Path("b.txt")], tmp_path)
    fill(tmp_path, {"one.jsonl": '{"content": "x"}\n', "two.jsonl": '{"content": "y"}\n', "prose": "Once"})
    rows = [Path("one.jsonl"), Path("two.jsonl")]
    for reader, says in {
        "jsonl": r"one\.jsonl: line 1: no field 'text'; found content",
        "parquet": r"one\.jsonl: not a Parquet file",
        "csv": r"one\.jsonl: no field 'text'",
    }.items():
        with pytest.raises(UnreadableFileError, match=says) as error:
            check_files(source(reader=reader), rows, tmp_path)
        assert "\n" not in str(error.value)
    titled = source(reader={"type": "jsonl", "text_field": "content", "title_field": "name"})
    with pytest.raises(UnreadableFileError, match="no field 'name'; found content"):
        check_files(titled, rows, tmp_path)
    with pytest.raises(UnreadableFileError, match=r"prose: line 1: not JSON, from character 0"):
        check_files(source(reader="jsonl"), [Path("prose")], tmp_path)


# Reading


def test_documents_say_where_they_stand(tmp_path: Path, new_folder: NewFolder):
    fill(tmp_path / "s", {"b/two.txt": "x\n\nCH 1\none\nCH 2\ntwo", "a.txt": "CH 9\nnine"})
    novels = source(reader={"type": "text", "heading": r"CH \d"})
    out = new_folder("out")
    facts = read_source(novels, "novels", [Path("b/two.txt"), Path("a.txt")], tmp_path / "s", out)
    documents = list(read(out / "documents.parquet", Document))
    assert [(d.id, d.line, d.title, d.text) for d in documents] == [
        ("novels/a.txt#1", 1, "CH 9", "CH 9\nnine"),
        ("novels/b/two.txt#1", 1, "two", "x"),
        ("novels/b/two.txt#2", 3, "CH 1", "CH 1\none"),
        ("novels/b/two.txt#3", 5, "CH 2", "CH 2\ntwo"),
    ]
    assert all(d.digest == digest_of(d.text) and d.source == "novels" and d.family == "" for d in documents)
    assert facts == {"files": 2, "documents": 4, "rejected": 0, "quarantined_files": 0, "characters": 26}


def test_bad_records_are_kept_with_the_reason(tmp_path: Path, new_folder: NewFolder):
    lines = [b'{"text": "good"}', b'{"text": "\xff"}', b'{"text": "  "}']
    fill(tmp_path / "s", {"rows.jsonl": b"\n".join(lines)})
    out = new_folder("out")
    facts = read_source(source(reader="jsonl"), "rows", [Path("rows.jsonl")], tmp_path / "s", out)
    assert (facts["documents"], facts["rejected"]) == (1, 2)
    bad, empty = read(out / "rejected.parquet", Rejected)
    assert (bad.id, bad.line, bad.stage, bad.rule) == ("rows/rows.jsonl#2", 2, "ingest", "not_utf8")
    assert bad.offset == 27
    assert bad.reason == "byte 0xff at offset 10 of the line is not UTF-8"
    assert (empty.id, empty.rule, empty.reason) == ("rows/rows.jsonl#3", "empty", "the text is empty")


def test_a_source_without_any_document_is_refused(tmp_path: Path, new_folder: NewFolder):
    fill(tmp_path / "s", {"blank.txt": "\n \n"})
    with pytest.raises(UnreadableFileError, match="source 's': 1 records in 1 files, and none is a document"):
        read_source(source(), "s", [Path("blank.txt")], tmp_path / "s", new_folder("out"))


def test_the_product_is_the_same_from_another_folder_and_in_any_order(tmp_path: Path, new_folder: NewFolder):
    files: dict[str, str | bytes] = {f"{n}.jsonl": json.dumps({"text": f"text {n}"}) for n in range(9)}
    here, there = fill(tmp_path / "here", files), fill(tmp_path / "a" / "there", files)
    chosen = [Path(name) for name in files]
    read_source(source(reader="jsonl"), "s", chosen, here, new_folder("one"))
    read_source(source(reader="jsonl"), "s", chosen[::-1], there, new_folder("two"))
    for name in ("documents.parquet", "rejected.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_progress_counts_bytes(tmp_path: Path, new_folder: NewFolder):
    fill(tmp_path / "s", {"a.txt": "a", "b.txt": "bcd"})
    seen: list[tuple[int, int]] = []
    read_source(
        source(),
        "s",
        find_files(source(), tmp_path / "s"),
        tmp_path / "s",
        new_folder("out"),
        lambda *at: seen.append(at),
    )
    assert seen == [(0, 4), (4, 4)]


# Descriptions


def test_a_description_is_read_with_its_reader(tmp_path: Path):
    fill(
        tmp_path,
        {"source.yaml": "title: T\norigin: O\nlicence: L\nreader: {type: jsonl, text_field: body}\n"},
    )
    described = load_source(tmp_path)
    assert described.reader.dials == {"text_field": "body", "title_field": None}
    assert described.files == ("**/*",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"title: T\norigin: O\n", "'licence' is missing: Why the texts may be used"),
        (
            b"title: T\norigin: O\nlicense: L\n",
            "'licence' is missing|unknown setting 'license'. Did you mean 'licence'",
        ),
        (b"title: T\norigin: O\nlicence: L\nreader: jsonlines\n", "no reader named 'jsonlines'"),
        (
            b"title: T\norigin: O\nlicence: L\nreader: {type: text, headings: x}\n",
            "unknown setting 'headings'",
        ),
        (
            b"title: T\norigin: O\nlicence: L\nfiles: ['../*']\n",
            r"pattern '\.\./\*' leaves the folder; set `path`",
        ),
        (b"- a list\n", "no settings in it; expected title"),
        (b"title: [unclosed\n", "no readable YAML"),
        (b"\xff", "no readable YAML"),
    ],
)
def test_a_wrong_description_is_refused_in_one_line(tmp_path: Path, content: bytes, says: str):
    fill(tmp_path, {"source.yaml": content})
    with pytest.raises(SettingsError, match=says) as error:
        load_source(tmp_path)
    assert "\n" not in str(error.value)
    assert str(tmp_path / "source.yaml") in str(error.value)


def test_a_missing_description_is_refused_in_one_line(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"source\.yaml: no such file"):
        load_source(tmp_path / "nowhere")
