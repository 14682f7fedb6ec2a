"""`lm data` and `lm trace` in a workspace with products that the stages made, beside the files themselves."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from pathlib import Path

import pytest
from prepared import FILTERS, prepare

from flows.cli import corpora, documents, tracing
from lmcore.batching.settings import ShardsConfig
from lmcore.batching.token_shards import TokenShards, write_shards
from lmcore.config import SettingsError
from lmcore.corpus.statistics import describe
from lmcore.lineage import content_digest, file_digest
from lmcore.tokenizers.settings import TokenizerConfig
from lmcore.tokenizers.training import train_tokenizer
from tasks import versioning
from tasks.artifacts import (
    Corpus,
    DistinctDocuments,
    Documents,
    FilteredDocuments,
    RawDocuments,
    Report,
    Shards,
    SourceFiles,
    Tokenizer,
)
from tasks.catalogue import find_corpus, find_shards
from tasks.describe import report_of
from tasks.engine.artifact import Artifact
from tasks.engine.prune import _counts
from tasks.engine.reach import Reach
from tasks.engine.store import Copies, Store
from tasks.engine.workspace import Workspace
from tasks.lineage.find import known_products
from tasks.source_lines import SourceLines
from tasks.tracing import open_shards, parse, trace_token

CANARY = (
    "Ottoline Quirke buried seven brass telescopes beneath the flooded observatory in Vlissingen that winter."
)
PLANTED = (3, 7, 9, 11)
LINE = 13
"""Of the canary."""


def made_letters() -> dict[str, str]:
    draw = random.Random(5)
    words = ["the", "garden", "of", "our", "aunt", "is", "well", "and", "she", "has", "been", "to", "sea"]
    letters = {}
    for number in range(16):
        lines = [" ".join(draw.choices(words, k=draw.randint(4, 11))) for _ in range(12)]
        letters[f"l{number:02}.txt"] = "\n".join(lines) + "\n"
    for number in PLANTED:
        letters[f"l{number:02}.txt"] += CANARY + "\n"
    return letters | {"copy.txt": letters["l05.txt"], "short.txt": "no more"}


def seal(
    workspace: Workspace, folder: Path, kind: type[Artifact], step: str, name: str, **inputs
) -> Artifact:
    """A folder that a stage filled as a product in its place."""
    lists = {parameter: each if isinstance(each, list) else [each] for parameter, each in inputs.items()}
    settings = {"filters": [dict(part) for part in FILTERS]} if step == "filter_documents" else {}
    key = content_digest(
        [(step, name)] + [(each.name, each.digest or "") for own in lists.values() for each in own]
    )
    store = Store(workspace)
    manifest = store.seal(
        folder, step=step, name=name, key=key, facts={},
        key_document={"step": step, "settings": settings},
        environment={},
        inputs={parameter: [each.to_json() for each in own] for parameter, own in lists.items()},
        provenance={"finished": "2026-11-21T12:00:00+00:00"},
    )  # fmt: skip
    address = f"{kind.home}/{name if kind.is_data() else f'{step}-{key[:12]}'}"
    store.place(folder, address, set_aside=False)
    store.remember(manifest)
    store.use(step, name, key)
    return kind(address, name, manifest.digest, key, manifest.size)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("corpora")
    workspace = Workspace(home / "ws")
    workspace.sources.mkdir(parents=True)
    (workspace.root / ".lmworks").touch()
    products = prepare(home / "stages", {"letters": made_letters()})
    root = home / "stages" / "sources" / "letters"
    files = {file.name: file_digest(file) for file in sorted(root.iterdir())}
    source = SourceFiles(root.as_posix(), "letters", content_digest(files), None, 1, files, "my own")
    raw = seal(
        workspace, home / "stages" / "raw" / "letters", RawDocuments, "ingest_source", "letters", files=source
    )
    clean = seal(workspace, products.documents, Documents, "clean_documents", "mail", raw=[raw])
    filtered, distinct = (
        seal(workspace, folder, kind, step, "mail", documents=clean)
        for folder, kind, step in zip(
            products.decided,
            (FilteredDocuments, DistinctDocuments),
            ("filter_documents", "deduplicate_documents"),
            strict=True,
        )
    )
    corpus = seal(
        workspace, products.corpus, Corpus, "split_corpus", "mail",
        documents=clean, decided=[filtered, distinct], raw=[raw],
    )  # fmt: skip
    found = find_corpus(workspace)
    for name in ("tokenizer", "shards", "report"):
        (home / name).mkdir()
    train_tokenizer(found.products.corpus, home / "tokenizer", TokenizerConfig(vocab_size=300))
    write_shards(found.products.corpus, home / "tokenizer", home / "shards", ShardsConfig(shard_tokens=500))
    limits = [limit for part in FILTERS for limit in part.limits]
    describe(found.products, home / "report", limits, 0.1)
    tokenizer = seal(workspace, home / "tokenizer", Tokenizer, "train_tokenizer", "mail", corpus=corpus)
    seal(workspace, home / "shards", Shards, "write_shards", "mail", corpus=corpus, tokenizer=tokenizer)
    seal(workspace, home / "report", Report, "describe_corpus", "mail", corpus=corpus)
    return home


@pytest.fixture
def workspace(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    shutil.copytree(made / "ws", tmp_path / "ws")
    monkeypatch.setenv("LM_WORKSPACE", str(tmp_path / "ws"))
    return Workspace(tmp_path / "ws")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_each_token_is_traced_to_the_line_that_it_stands_in(workspace: Workspace, made: Path):
    opened, root = open_shards(workspace), made / "stages" / "sources" / "letters"
    draw = random.Random(0)
    for side, index in opened.shards.index.sides.items():
        for position in [*draw.sample(range(index.tokens), 40), 0, index.tokens - 1]:
            traced = trace_token(opened, parse(f"{side}:{position}"))
            assert traced.where.note == ""
            assert traced.where.path == root / traced.document.file
            stream = opened.shards.stream(side)
            ahead = stream.tokens(traced.document.first_token, traced.token_of_document).tolist()
            before = opened.tokenizer.decode(ahead)
            assert (root / traced.document.file).read_text().startswith(before)  # nothing had to be cleaned
            if traced.spelled.strip() and not traced.is_end:
                begun = before + traced.spelled[: -len(traced.spelled.lstrip())]
                assert traced.where.line == begun.count("\n") + 1


def test_a_token_is_named_by_side_by_file_or_by_both_with_the_shards(workspace: Workspace):
    opened = open_shards(workspace)
    by_side = trace_token(opened, parse("train:1_234"))
    assert trace_token(opened, parse("train-00002.bin:234")) == by_side
    assert trace_token(opened, parse("mail/train:1,234")) == by_side
    assert TokenShards(opened.shards.folder).stream("train").tokens(1234, 1).tolist() == [by_side.token]


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("train", "names no token; expected SHARD:POSITION"),
        ("train:x", "names no token"),
        ("trian:3", "Did you mean 'train'"),
        ("train:99999999", "there is no position 99,999,999"),
        ("train-00099.bin:3", "the last one is train-000"),
        ("post/train:3", "no shards named 'post'"),
    ],
)
def test_a_token_that_there_is_not_is_refused(workspace: Workspace, token: str, told: str):
    with pytest.raises(SettingsError, match=told):
        tracing.trace_token_command(token, None, False)


def test_where_a_file_was_changed_or_is_gone_the_first_line_is_told_as_that(
    workspace: Workspace, tmp_path: Path
):
    (tmp_path / "texts").mkdir()
    file = tmp_path / "texts" / "a.txt.gz"
    file.write_bytes(gzip.compress(b"one\ntwo words\nthree"))
    files = {"a.txt.gz": file_digest(file)}
    source = SourceFiles(str(tmp_path / "texts"), "texts", "0", None, 1, files)
    lines = lambda: SourceLines(workspace, {"texts": source})  # noqa: E731
    assert lines().find("texts", "a.txt.gz", 1, "one two words three", 5) == (file, 2, "")
    file.write_bytes(gzip.compress(b"other"))
    assert "was changed since" in lines().find("texts", "a.txt.gz", 1, "one two", 5).note
    file.unlink()
    assert "not there any more" in lines().find("texts", "a.txt.gz", 1, "one two", 5).note


def test_a_copied_text_is_traced_to_file_and_line_beside_held_out_text(workspace: Workspace, capsys):
    tracing.trace_text_command(f"I heard that {CANARY}", None, None, None, True)
    found = json.loads(said(capsys))
    train = {each.file for each in open_shards(workspace).shards.documents("train")}
    learned = [f"l{number:02}.txt" for number in PLANTED if f"l{number:02}.txt" in train]
    (passage,) = found["passages"]
    assert found["copied"] == passage["words"] == len(CANARY.split())
    assert passage["occurrences"] == len(learned) >= 1
    places = [copy["place"].rpartition("/")[2] for copy in passage["copies"]]
    assert places == [f"{file}:{LINE}" for file in learned][:3]
    assert found["held_out"]["words_each"] == 16
    tracing.trace_text_command(f"I heard that {CANARY}", None, None, None, False)
    first = said(capsys)
    assert "word for word in the training text" in first
    tracing.trace_text_command(f"I heard that {CANARY}", None, None, None, False)
    assert said(capsys) == first  # the rate was kept


def test_a_text_comes_from_the_command_line_a_file_or_standard_input_and_is_long_enough(
    workspace: Workspace, tmp_path: Path, capsys, monkeypatch
):
    import io

    (tmp_path / "t.txt").write_text(CANARY)
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9")
    answers = []
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(CANARY.encode())))
    for text, file in ((CANARY, None), ("", tmp_path / "t.txt"), ("-", None)):
        tracing.trace_text_command(text, file, None, "mail", True)
        answers.append(said(capsys))
    assert len(set(answers)) == 1
    for text, file, told in (
        ("", None, "write a text"),
        ("a b", None, "has 2 words"),
        ("", tmp_path, "cannot read .*: is a directory"),
        ("", tmp_path / "bad.txt", "cannot read .* as text: byte 3 is not UTF-8"),
    ):
        with pytest.raises(SettingsError, match=told):
            tracing.trace_text_command(text, file, None, None, False)


def test_every_question_has_an_answer_on_the_screen_and_for_programs(workspace: Workspace, capsys):
    corpora.stats_command(None, 0.05, False)
    told = said(capsys)
    assert "alarm: letters lost 2 of 18 documents (11%)" in told
    assert "deduplicate exact_duplicate" in told
    corpora.stats_command("mail", 0.5, True)
    stats = json.loads(said(capsys))
    assert (stats["corpus"], stats["alarms"]) == ("mail", [])
    corpora.sql_command("SELECT count(*) AS n FROM documents", None, True, False)
    assert said(capsys) == "n\n18\n"
    corpora.sql_command("SELECT id FROM shards ORDER BY id LIMIT 1", None, False, True)
    assert json.loads(said(capsys)) == [{"id": "letters/copy.txt#1"}]
    corpora.sql_command("SELECT " + ", ".join(f"{n} AS name{n}" for n in range(30)), None, False, False)
    assert {f"name{n}".ljust(6) + f"  {n}" for n in range(30)} <= set(said(capsys).splitlines())
    corpora.try_command(["length.min_words=100000"], None, False)
    assert "would be rejected: length.min_words" in said(capsys)
    documents.why_command("letters/short", None, False)
    told = said(capsys)
    assert "rejected" in told
    assert "letters/short.txt:1" in told
    documents.why_command("letters/l05", None, True)
    assert json.loads(said(capsys))["rejected"]["rule"] == "exact_duplicate"
    documents.duplicates_command("letters/l05", None)
    assert "letters/copy.txt#1: Jaccard 1.000" in said(capsys)
    documents.search_command("Quirke telescopes", None, 3, None, True)
    places = {hit["place"].rpartition("/")[2] for hit in json.loads(said(capsys))}
    assert len(places) == 3
    assert places <= {f"l{number:02}.txt:{LINE}" for number in PLANTED}
    documents.diff_command("mail", "mail", False)
    assert said(capsys) == "mail to mail: 18 documents as before\n"


@pytest.fixture
def renewed(workspace: Workspace, tmp_path: Path) -> Workspace:
    """In which the letters were changed, and another corpus took the place of the first one."""
    store, folder = Store(workspace), workspace.root / "data" / "corpora" / "mail"
    first = store.read(folder)
    store.remember_copy(first.key, Copies(first.seal, versioning.take(workspace.root, folder)))
    letters = made_letters() | {"new.txt": "A new letter, for once of\nother words.", "copy.txt": "no more"}
    del letters["l02.txt"]
    products = prepare(tmp_path / "stages", {"letters": letters})
    clean = seal(workspace, products.documents, Documents, "clean_documents", "mail")
    seal(workspace, products.corpus, Corpus, "split_corpus", "mail", documents=clean)
    return workspace


def test_versions_of_a_corpus_are_compared_also_where_one_has_been_replaced(renewed: Workspace, capsys):
    def changes(*called: str | None) -> set[tuple[str, str]]:
        documents.diff_command(*called, True)
        return {(change["kind"], change["file"]) for change in json.loads(said(capsys))["changes"]}

    first = next(manifest for manifest in known_products(renewed) if len(manifest.inputs) == 3)
    expected = {("new", "new.txt"), ("gone", "l02.txt")}
    assert changes("mail", None) == expected
    assert changes(first.key[:8], "mail") == changes(first.digest[:6], "mail") == expected
    assert changes("mail", first.key) == {("gone", "new.txt"), ("new", "l02.txt")}
    assert changes("data/tokenizers/mail", "mail") == expected  # of what was made from it
    documents.diff_command("mail", None, False)
    assert said(capsys).startswith(f"mail {first.digest[:12]} to mail: ")


def test_a_version_that_is_not_known_or_of_which_no_copy_is_left_is_told(renewed: Workspace):
    with pytest.raises(SettingsError, match=r"no corpus named 'mial'. Did you mean 'mail'"):
        documents.diff_command("mial", "mail", False)
    with pytest.raises(SettingsError, match="no product 'abcabcabc'"):
        documents.diff_command("mail", "abcabcabc", False)
    with pytest.raises(SettingsError, match="no corpus is behind data/raw/letters"):
        documents.diff_command("mail", "data/raw/letters", False)
    shutil.rmtree(renewed.root / ".dvc" / "cache")
    with pytest.raises(SettingsError, match="no copy is left of the version mail "):
        documents.diff_command("mail", None, False)


def test_a_corpus_without_an_earlier_version_says_so(workspace: Workspace):
    with pytest.raises(SettingsError, match="no earlier version of corpus 'mail' is known here"):
        documents.diff_command("mail", None, False)


def test_a_sample_is_the_same_for_a_seed_and_of_what_was_asked_for(workspace: Workspace, capsys):
    def sample(**asked) -> list[dict]:
        given = {
            "name": None,
            "number": 4,
            "rejected": None,
            "source": None,
            "side": None,
            "seed": 0,
            **asked,
        }
        corpora.sample_command(**given, as_json=True)
        return json.loads(said(capsys))

    assert [row["id"] for row in sample()] == [row["id"] for row in sample()]
    assert {tuple(row["id"] for row in sample(seed=seed)) for seed in range(4)} != {
        tuple(r["id"] for r in sample())
    }
    assert [row["id"] for row in sample(rejected="length.min_words")] == ["letters/short.txt#1"]
    assert [row["id"] for row in sample(rejected="deduplicate")] == ["letters/l05.txt#1"]
    assert {row["side"] for row in sample(side="test")} == {"test"}
    with pytest.raises(
        SettingsError, match=r"no rule 'length.min_word' here. Did you mean 'length.min_words'"
    ):
        sample(rejected="length.min_word")


def test_a_mistake_in_sql_is_one_line_with_what_there_is(workspace: Workspace):
    with pytest.raises(SettingsError, match=r"There is documents, texts, .*shards$") as error:
        corpora.sql_command("SELECT nothing FROM document", None, False, False)
    assert "\n" not in str(error.value)
    with pytest.raises(SettingsError, match=r"There is documents, .*shards; texts has side, id, text, row$"):
        corpora.sql_command("SELECT nothing FROM Texts", None, False, False)
    with pytest.raises(SettingsError, match="the query is empty"):
        corpora.sql_command(" ", None, False, False)


def test_a_corpus_is_chosen_by_name_and_a_slip_is_answered(workspace: Workspace, tmp_path: Path):
    assert find_corpus(workspace).is_only
    with pytest.raises(SettingsError, match=r"no corpus named 'mial'. Did you mean 'mail'"):
        find_corpus(workspace, "mial")
    empty = Workspace(tmp_path / "empty")
    empty.root.mkdir()
    for find, told in ((find_corpus, "no corpus here yet"), (find_shards, "no token shards here yet")):
        with pytest.raises(SettingsError, match=told):
            find(empty)


def test_what_was_replaced_since_is_told_and_left_out(workspace: Workspace, capsys):
    shutil.rmtree(workspace.root / "data" / "filtered" / "mail")
    documents.why_command("letters/short", None, False)
    told = said(capsys)
    assert told.startswith("data/filtered/mail: not there any more, or replaced since this corpus was made")
    assert "rejected" in told  # the corpus itself still knows


def test_the_page_of_a_corpus_is_drawn_when_it_is_asked_for(workspace: Workspace, capsys):
    corpora.report_command(None, False)
    page = Path(said(capsys).strip())
    text = page.read_text(encoding="utf-8")
    assert page.parent.name == "log"
    assert "letters lost 2 of 18 documents" in text
    assert "length.min_words" in text
    assert "<script" not in text
    shutil.rmtree(workspace.root / "reports")
    assert report_of(workspace, find_corpus(workspace)) is None
    with pytest.raises(SettingsError, match="no report on corpus 'mail' yet"):
        corpora.report_command(None, False)


def test_counts_of_a_corpus_that_is_gone_are_pruned_and_no_others(workspace: Workspace, capsys):
    corpora.stats_command(None, 0.5, False)
    (counts,) = (workspace.private / "catalogue").iterdir()
    assert list(_counts(Reach(workspace, since=0.0))) == []
    shutil.rmtree(workspace.root / "data" / "corpora" / "mail")
    assert [item.path for item in _counts(Reach(workspace, since=0.0))] == [counts]
