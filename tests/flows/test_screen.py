"""What the terminal says while a run goes on and at its end."""

from io import StringIO

import pytest
from rich.console import Console

from flows.cli import screen
from flows.cli.scores import show_exam, show_sweep
from flows.cli.screen import Screen


@pytest.fixture
def out() -> Console:
    return Console(file=StringIO(), width=160, highlight=False)


def text(out: Console) -> str:
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


def sweep(metric, **columns):
    values = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    rows = [{"dials": {"rank": f"{n}"}, "product": f"p{n}", **row} for n, row in enumerate(values)]
    recipes = [
        {"dials": row["dials"], "seeds": 3, "mean": row[metric], "lowest": 0, "highest": 1}
        for row in rows if metric
    ]  # fmt: skip
    return {"metric": metric, "better": "higher", "columns": [*columns], "rows": rows, "recipes": recipes}


def test_time_left_is_judged_by_what_was_done_since_the_first_word_of_it(out, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    shown = Screen(out)
    shown.started("train small")
    for now[0], done in ((60.0, 500), (80.0, 510)):  # a start of a minute, and 500 steps of an earlier run
        shown.progressed("train small", {"done": done, "total": 520})
    first, second = text(out).splitlines()
    assert "left" not in first
    assert "about 20 s left" in second


def test_a_sweep_without_one_metric_shows_what_its_variants_differ_in(out):
    show_sweep(out, sweep(None, documents=[6, 6], bytes=[9, 9], ties_bits_per_byte=[3.1, 3.2]))
    assert "ties bits per byte" in text(out)
    assert "3.2" in text(out)
    assert "bytes" not in text(out)


def test_a_sweep_whose_variants_are_equal_names_no_best(out):
    show_sweep(out, sweep("choice", choice=[0.25, 0.25]))
    assert "choice: 0.2500 with each of these settings" in text(out)
    assert "best" not in text(out)


def test_one_question_is_no_questions(out):
    marks = {"claim": "recall", "metrics": {}, "items": 1, "documents": 1}
    show_exam(out, {"side": "test", "exercises": {"faq": marks}})
    assert "1 question from 1 document;" in text(out)
