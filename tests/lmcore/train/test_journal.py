from pathlib import Path

import pytest

from lmcore.train.journal import Journal, Journals


def test_lines_are_on_disk_as_soon_as_they_are_written(tmp_path: Path):
    journal = Journal(tmp_path / "log" / "a.jsonl")
    journal.append({"b": 1, "a": "é"})
    assert (tmp_path / "log" / "a.jsonl").read_text(encoding="utf-8") == '{"a": "é", "b": 1}\n'
    assert journal.sync() == 20
    journal.close()


def test_a_journal_is_cut_back_to_where_the_checkpoint_was(tmp_path: Path):
    with Journals(tmp_path, {}) as journals:
        journals.metrics.append({"step": 1})
        sizes = journals.sync()
        journals.metrics.append({"step": 2})
        journals.samples.append({"step": 2})
    with Journals(tmp_path, sizes) as journals:
        journals.metrics.append({"step": 3})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 3}\n'
    assert (tmp_path / "samples.jsonl").read_text() == ""


def test_a_journal_that_lost_lines_is_refused(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match=r"has 3 bytes, its checkpoint saw 10; remove .* to start anew"):
        Journal(tmp_path / "a.jsonl", 10)
