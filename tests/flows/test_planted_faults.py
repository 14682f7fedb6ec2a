"""Faults planted in a user's texts are found, each by its name and place, and nothing else is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from planted import (
    ADDRESS,
    CLEANERS,
    DIARIES,
    EXPERIMENT,
    HUGE,
    JACCARD,
    LEAKED,
    OTHER_ADDRESS,
    Planted,
    jaccard,
    pairs,
    plant,
    prose,
    stand_in,
    words_of,
)

from lmcore.corpus.catalogue import open_catalogue, rows
from lmcore.corpus.clean import clean_text
from lmcore.corpus.document import Document, read
from lmcore.corpus.settings import CleanerPart, NormalizeConfig
from tasks.catalogue import find_corpus
from tasks.engine.workspace import Workspace
from tasks.tracing import open_shards, parse, trace_token

ROOT = Path(__file__).parents[2]
WITHOUT_SERVER = {"DVC_STAGE": "test"}
"""As under `dvc repro`: all steps run in the process itself, which starts faster."""
MEASURED = """\
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(done.returncode)
"""
"""Runs a command and says how many kB the largest of its processes had."""


@dataclass(frozen=True)
class Prepared:
    """A workspace in which a corpus was made from the planted sources, once for all tests here."""

    lm: Any
    planted: Planted
    peak_memory: int

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The rows that `lm data sql` shows."""
        with open_catalogue(find_corpus(Workspace(self.lm.workspace), "faults").products) as database:
            return rows(database, query)

    def documents(self) -> list[Document]:
        """Those on the sides of the corpus."""
        folder = self.lm.address("split_corpus", "faults")
        sides = [folder / f"{side}.parquet" for side in ("train", "validation", "test")]
        return [document for side in sides for document in read(side, Document)]


@pytest.fixture(scope="module")
def prepared(lm_in, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    root = tmp_path_factory.mktemp("planted")
    (root / ".lmworks").touch()
    experiment = root / "experiments" / "finetune" / "faults.yaml"
    experiment.parent.mkdir(parents=True)
    experiment.write_text(EXPERIMENT)
    planted = plant(root / "texts")
    command = [sys.executable, "-m", "flows", "prepare_corpus", "faults"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        env=os.environ | {"PYTHONPATH": str(ROOT), "LM_WORKSPACE": str(root)} | WITHOUT_SERVER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    yield Prepared(lm_in(root), planted, 1024 * int(done.stderr.split()[-1]))
    shutil.rmtree(planted.folder)  # pytest keeps what tests leave, and this is large


def test_every_planted_fault_is_rejected_by_its_own_rule_and_nothing_else_is(prepared: Prepared):
    found = prepared.ask("SELECT id, stage, rule, reason FROM rejected")
    assert {row["id"]: (row["stage"], row["rule"]) for row in found} == prepared.planted.rejected
    assert len(found) == len(prepared.planted.rejected)
    assert all(row["reason"] for row in found)


def test_what_is_in_order_is_kept_word_for_word_on_one_side(prepared: Prepared):
    documents = prepared.documents()
    assert {document.id: document.text for document in documents} == prepared.planted.kept
    assert len(documents) == len(prepared.planted.kept)


def test_texts_of_any_likeness_are_told_with_the_one_that_stays(prepared: Prepared):
    told = {
        frozenset([row["removed"], row["keeper"]]): (row["how"], row["jaccard"])
        for row in prepared.ask("FROM duplicates WHERE how <> 'exact'")
    }
    expected = {}
    for name, first, second in pairs():
        alike = jaccard(first, second)
        how = "near" if alike >= JACCARD else "family"
        ids = frozenset([f"notes/{name}/first.txt#1", f"notes/{name}/second.txt#1"])
        expected[ids] = (how, pytest.approx(alike, abs=1e-12))
    assert told == expected
    sides = {row["id"]: row["side"] for row in prepared.ask("SELECT id, side FROM documents")}
    families = [ids for ids, (how, _) in expected.items() if how == "family"]
    assert [len({sides[id] for id in ids}) for ids in families] == [1] * 3
    assert "0.904 alike with 'notes/pair_04/first.txt#1'" in prepared.lm("data", "why", "pair_04/second")


def test_a_leak_is_told_with_the_item_and_the_words_that_leaked(prepared: Prepared):
    found = {row["id"]: row for row in prepared.ask("FROM contamination")}
    items = {Path(id).stem: row["item"].partition("/")[0] for id, row in found.items()}
    assert items == {"run_of_13": "questions", "whole": "questions", "validation": "talks", "test": "talks"}
    run = found["notes/leaks/run_of_13.txt#1"]
    assert (run["ngrams"], found["notes/leaks/whole.txt#1"]["share"]) == (1, 1.0)
    assert words_of(run["example"]) == words_of(prose("question", 40))[LEAKED]


def test_a_line_of_200_megabytes_is_put_aside_and_never_held(prepared: Prepared):
    found = prepared.ask("SELECT id, text FROM texts JOIN rejected USING (id) WHERE rule = 'too_long'")
    assert {row["id"] for row in found} == {"notes/damage/long.txt#1", "rows/huge.jsonl#2"}
    assert {len(row["text"]) for row in found} == {2_000}
    assert prepared.peak_memory < 2 * HUGE  # of which the libraries alone take most


def test_addresses_become_stand_ins_that_follow_from_them_alone(prepared: Prepared):
    found = prepared.ask("SELECT id, cleaner, rule, occurrences, example FROM edits ORDER BY id")
    assert {row.pop("id"): row.pop("example") for row in found} == {
        "notes/mails/mail.txt#1": stand_in(ADDRESS),
        "notes/mails/other.txt#1": stand_in(OTHER_ADDRESS),
        "notes/mails/reply.txt#1": stand_in(ADDRESS),
    }
    assert found == [{"cleaner": "personal_data", "rule": "email", "occurrences": 1}] * 3


def test_cleaning_what_was_cleaned_changes_nothing(prepared: Prepared):
    mend = [(name, CleanerPart(type=name).build()) for name in CLEANERS]
    documents = prepared.documents()
    cleaned = [clean_text(document.text, NormalizeConfig(), mend) for document in documents]
    assert cleaned == [(document.text, []) for document in documents]


def test_files_of_one_name_in_two_folders_are_told_apart_down_to_their_tokens(prepared: Prepared):
    prepared.lm("write_shards", "faults", **WITHOUT_SERVER)
    spans = {row["id"]: row for row in prepared.ask("FROM shards WHERE contains(id, 'diary.txt')")}
    assert spans.keys() == set(DIARIES)
    shards = open_shards(Workspace(prepared.lm.workspace))
    for id, span in spans.items():
        file = prepared.planted.folder / id.removesuffix("#1")
        last = span["first_token"] + span["num_tokens"] - 2  # behind it is the end of the text
        traced = trace_token(shards, parse(f"{span['side']}:{last}"))
        assert (traced.document.id, prepared.lm.workspace / traced.where.path) == (id, file)
        assert traced.where.line == len(file.read_text().splitlines())


def test_another_conversation_to_learn_from_leaves_the_corpus_as_it_is(prepared: Prepared):
    talks = prepared.planted.folder / "talks" / "talks.jsonl"
    talks.write_text(talks.read_text() + '\n{"prompt": "What is new?", "completion": "Nothing at all."}\n')
    said = prepared.lm("prepare_corpus", "faults", **WITHOUT_SERVER)
    assert [line.split()[1] for line in said.splitlines() if "  built " in line] == ["hold_out_conversations"]
    assert "reused   decontaminate_documents" in said
