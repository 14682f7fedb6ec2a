"""The page of a run: pictures and words by hand-worked numbers, HTML by the parser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.lineage import FileEntry, Manifest, digest_of
from tasks.engine.plan import Line
from tasks.engine.session import Outcome, Session
from tasks.engine.step import Forecast
from tasks.engine.workspace import Workspace
from tasks.report import write_report
from tasks.report.drawing.bars import limit_histogram
from tasks.report.drawing.curves import Series, curve_chart, spread, thinned
from tasks.report.drawing.intervals import interval_cell
from tasks.report.drawing.layout import Stop, arrange, reduced
from tasks.report.drawing.scale import Scale, spanning
from tasks.report.drawing.svg import element
from tasks.report.facts import RunFacts, StepFacts
from tasks.report.judging import judge, listed, needed
from tasks.report.page import render
from tasks.report.sections.advice import advice
from tasks.report.sections.answers import answers_to
from tasks.report.sections.comparison import comparison
from tasks.report.sections.dial import dial, place_on_dial
from tasks.report.sections.exam import exam
from tasks.report.sections.headline import headline
from tasks.report.sections.rivals import names_in, rivalry

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NASTY = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;"


# -- facts by hand ------------------------------------------------------------------------------------


def entry(value: float, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


class Products:
    """Hand-made products under a folder, and the steps that made them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.steps: list[StepFacts] = []

    def add(
        self,
        label: str,
        files: Mapping[str, object] | None = None,
        *,
        needs: Sequence[str] = (),
        inputs: Mapping[str, Any] | None = None,
        facts: Mapping[str, int | float | str] | None = None,
        choices: Mapping[str, Any] | None = None,
        state: str = "built",
        seconds: float = 2.0,
    ) -> StepFacts:
        folder = self.folder / digest_of(label)[:12]
        folder.mkdir(parents=True)
        for name, content in (files or {}).items():
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / name).write_text(text)
        step, _, name = label.partition(" ")
        manifest = Manifest(
            step=step, name=name, key=digest_of(label), key_document={"settings": choices or {}},
            digest=digest_of([label]), inputs=dict(inputs or {}), facts=dict(facts or {}), environment={},
            files={name: FileEntry(size=1000, sha256="0" * 64) for name in files or {}},
            provenance={"seconds": seconds, "cpu_seconds": 3.0, "peak_memory": 1e8,
                        "finished": NOON.isoformat()},
        )  # fmt: skip
        self.steps.append(StepFacts(label, state, "first time", tuple(needs), manifest, folder))
        return self.steps[-1]

    def run(self, flow: str = "build_assistant") -> RunFacts:
        return RunFacts(flow, "demo", "abc123", NOON, 61.0, tuple(self.steps))


@pytest.fixture
def products(tmp_path: Path) -> Products:
    return Products(tmp_path / "products")


def artifact(name: str) -> dict[str, str]:
    return {"artifact": "Checkpoint", "name": name}


def metrics(losses: Sequence[float], validation: Mapping[int, float]) -> str:
    rows = [{"step": step, "loss": loss} for step, loss in enumerate(losses, start=1)]
    for step, value in validation.items():
        rows[step - 1] |= {"validation_loss": value, "validation_bits_per_byte": value / 2}
    return "\n".join(map(json.dumps, rows)) + "\n"


def compared(values: Mapping[str, float], half: float = 0.01, reference: str = "demo-base") -> dict[str, Any]:
    """A comparison in which every difference has the same interval around it."""
    return {
        "side": "test",
        "reference": reference,
        "documents": {"all": 100},
        "interval": "95 % over documents",
        "models": {
            name: {"all": {"bits_per_byte": entry(value, value - 0.1, value + 0.1)}}
            for name, value in values.items()
        },
        "differences": {
            name: {"all": entry(value - values[reference], *around(value - values[reference], half))}
            for name, value in values.items()
            if name != reference
        },
    }


def around(value: float, half: float) -> tuple[float, float]:
    return value - half, value + half


def examined(marks: Mapping[str, float], differences: Mapping[str, Any], claim: str) -> dict[str, Any]:
    entries = {who: entry(value, value - 0.02, value + 0.02) for who, value in marks.items()}
    exercise = {
        "claim": claim, "items": 40, "documents": 20, "main_metric": "accuracy",
        "metrics": {"ended": entries, "accuracy": entries},
        "differences": {"accuracy": differences},
    }  # fmt: skip
    models = {who: each for who, each in entries.items() if who in ("full", "lora", "base")}
    return {
        "side": "test", "claim_note": "", "interval": "95 % over chapters",
        "exercises": {"name_source": exercise},
        "choice": {"metric": "accuracy", "scores": models},
    }  # fmt: skip


STATISTICS = {
    "sides": [
        {"source": "letters", "side": side, "documents": documents, "families": 1, "words": 90,
         "characters": 500, "bytes": 500}
        for side, documents in (("train", 70), ("validation", 4), ("test", 6))
    ],
    "words_per_document": [
        {"source": "letters", "from_words": 64, "documents": 60},
        {"source": "letters", "from_words": 256, "documents": 20},
    ],
    "rejected": [
        {"source": "letters", "stage": "filter", "rule": "length", "documents": 20, "characters": 9}
    ],
    "sources": [{"source": "letters", "kept": 80, "rejected": 20, "rejected_share": 0.2}],
}  # fmt: skip


# -- pictures -----------------------------------------------------------------------------------------


def test_a_curve_of_two_points_lies_where_the_axes_say():
    svg = curve_chart([Series("loss", [(0, 0), (10, 1)])], "step", "nats", label="a line")
    # x from 46 to 296; y from 196 up to 12 over -0.05 to 1.05: 0 is at 196 - 184 * 0.05 / 1.1, and so on
    assert re.findall(r'points="([^"]*)"', svg) == ["46,187.6 296,20.4"]
    assert ">10<" in svg
    assert ">nats<" in svg


def test_an_interval_lies_on_the_scale_of_its_column():
    cell = interval_cell(entry(5.0, 2.5, 7.5), Scale(0, 10, 0, 100), "five", "one", at=0.0)
    assert re.findall(r' d="([^"]*)"', cell) == ["M0 0V22", "M25 11H75", "M50 11h.01"]


def test_a_score_without_interval_is_a_dot_alone():
    cell = interval_cell(entry(5.0), Scale(0, 10, 0, 100), "five", "one")
    assert re.findall(r' d="([^"]*)"', cell) == ["M50 11h.01"]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (1.37, 1.45, [1.38, 1.4, 1.42, 1.44]),
     (-0.03, 0.012, [-0.03, -0.02, -0.01, 0, 0.01])],
)  # fmt: skip
def test_ticks_are_round_numbers_inside_the_scale(low: float, high: float, ticks: list[float]):
    assert Scale(low, high, 0, 1).ticks(5) == ticks


def test_a_scale_needs_something_finite_and_survives_a_single_value():
    with pytest.raises(ValueError, match="no finite value"):
        spanning([None, float("nan")], 0, 1)
    assert spanning([2.0], 0, 10)(2.0) == 5.0


def test_a_loss_that_begins_far_above_the_rest_is_cut_at_the_edge_and_the_page_says_where_it_began():
    points = [(1.0, 100.0), *((float(step), 2.0 + step % 2) for step in range(2, 101))]
    svg = curve_chart([Series("training", points)], "step", "nats", label="", skip_share=0.06)
    assert "training begins at 100.00" in svg
    first = re.findall(r'points="([^ ]*)', svg)[0]
    assert first.split(",")[1] == "12"  # the upper edge


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=600))
def test_a_long_curve_is_thinned_without_losing_its_peaks(values: list[float]):
    points = list(enumerate(values))
    kept = thinned(points, most=40)
    assert len(kept) <= max(40, min(len(points), 40))
    assert {min(values), max(values)} <= {value for _, value in kept}
    assert [x for x, _ in kept] == sorted({x for x, _ in kept})


def test_labels_that_would_overlap_move_apart_and_keep_their_order():
    assert spread([50, 51, 90], 13, 0, 100) == [50, 63, 90]
    assert spread([99, 98], 13, 0, 100) == [100, 87]


def test_arrows_that_follow_from_others_are_left_out():
    needs = {"a": [], "b": ["a"], "c": ["b", "a"], "d": ["a", "c"]}
    assert reduced(needs) == {"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}


@settings(max_examples=25)
@given(st.lists(st.sets(st.integers(0, 14), max_size=3), min_size=1, max_size=15))
def test_a_graph_runs_downwards_and_nothing_overlaps(picks: list[set[int]]):
    needs = {
        str(node): [str(pick) for pick in sorted(picked) if pick < node] for node, picked in enumerate(picks)
    }
    layout = arrange(needs, node_width=100, stop_width=10, most_in_row=4)
    row_of = {item: index for index, row in enumerate(layout.rows) for item in row}
    assert {item for item in row_of if isinstance(item, str)} == needs.keys()
    for arrow in layout.arrows:
        assert [row_of[item] for item in arrow] == list(range(row_of[arrow[0]], row_of[arrow[-1]] + 1))
    for row in layout.rows:
        assert sum(isinstance(item, str) for item in row) <= 4
        widths = [10 if isinstance(item, Stop) else 100 for item in row]
        for index in range(1, len(row)):
            distance = layout.x[row[index]] - layout.x[row[index - 1]]
            assert distance >= (widths[index - 1] + widths[index]) / 2 - 1e-6


def test_what_comes_into_a_picture_is_escaped():
    assert element("text", "a < b", class_="x", data_name='"') == (
        '<text class="x" data-name="&#34;">a &lt; b</text>'
    )


# -- words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "is_lower_better", "word"),
    [(-0.3, -0.1, True, "better"), (0.1, 0.3, True, "worse"), (0.1, 0.3, False, "better"),
     (-0.1, 0.1, True, "cannot tell"), (None, None, True, "cannot tell")],
)  # fmt: skip
def test_a_difference_is_judged_by_its_interval(
    low: float | None, high: float | None, is_lower_better: bool, word: str
):
    assert judge(entry(0.0, low, high), lower_is_better=is_lower_better) == word


def test_the_documents_needed_are_those_of_the_verdict_in_the_terminal():
    from lmcore.evaluate.bootstrap import Interval
    from lmcore.evaluate.verdict import judge as judged_in_the_terminal

    assert (
        needed(entry(-0.01, -0.03, 0.01), 100) == 400
    )  # half the width is twice the value: four times as many
    for value, low, high in ((0.02, -0.01, 0.05), (-0.001, -0.02, 0.018), (-0.1, -0.2, -0.05)):
        theirs = judged_in_the_terminal(Interval(value, low, high), [1.0, 1.0], 57).documents_needed
        assert needed(entry(value, low, high), 57) == theirs


def test_lists_read_as_people_write_them():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a", "b", "c", "d", "e"], most=3) == "a, b, c and 2 more"


def test_a_control_that_wins_is_named_as_the_winner(products: Products):
    values = {"demo-base": 1.5, "demo-slerp-0.5": 1.4, "demo-control": 1.3, "demo-ties": 1.505}
    products.add("compare_models demo", {"comparison.json": compared(values)})
    (section,) = comparison(products.run())
    told = dict(section.statements)
    assert told["beaten"].startswith(
        "The control wins: control has the lowest score of all, 1.300 against 1.400"
    )
    assert "control (−0.2000) and slerp-0.5 (−0.1000)" in told["better"]
    assert "ties (+0.0050)" in told["cannot tell"]
    assert [row.word for row in section.groups[0].rows] == ["better", "better", "reference", "cannot tell"]


def test_the_headline_is_about_the_test_side_where_models_were_compared_on_both(products: Products):
    for side, base in (("validation", 1.75), ("test", 1.5)):
        document = {**compared({"demo-base": base, "demo-x": 1.25}), "side": side}
        products.add(f"compare_models demo-{side}", {"comparison.json": document})
    told = [sentence for _, sentence in headline(products.run()).verdicts]
    assert told == ["Better than base over 100 documents of the test side: x (−0.2500) bits per byte."]


@pytest.mark.parametrize(
    ("difference", "word", "words"),
    [
        ({"full - bag_of_words": entry(-0.06, -0.09, -0.03)}, "beaten", "bag of words does at least as well"),
        ({"bag_of_words - full": entry(0.06, 0.03, 0.09)}, "beaten", "bag of words does at least as well"),
        ({"full - bag_of_words": entry(-0.06, -0.09, 0.01)}, "cannot tell", "cannot be told from"),
        ({}, "beaten", "accuracy 0.980 against 0.920 of full, the best of them"),
    ],
)  # fmt: skip
def test_a_baseline_that_wins_is_said_to_win(products: Products, difference: Any, word: str, words: str):
    marks = {"full": 0.92, "lora": 0.9, "bag_of_words": 0.98, "majority": 0.7}
    products.add("take_exam demo", {"exam.json": examined(marks, difference, "generalisation")})
    (section,) = exam(products.run())
    (exercise,) = section.exercises
    ((said, sentence),) = exercise.statements
    assert said == word
    assert words in sentence
    assert [row.name for row in exercise.metrics[0].rows if row.role == "baseline"] == [
        "bag of words",
        "majority",
    ]


def test_a_base_and_a_control_are_what_the_models_have_to_beat(products: Products):
    model = {"model.safetensors": ""}
    products.add("pretrain_model demo-first", model)
    products.add("finetune_model full", model, inputs={"base": artifact("demo-first")})
    marks = {"demo-first": 0.9, "control": 0.95, "full": 0.8, "majority": 0.5}
    document = examined(marks, {}, "generalisation")
    document["choice"]["scores"] = {name: entry(0.5) for name in marks if name != "majority"}
    names = names_in(products.run(), document, [])
    assert names.rivals == {"demo-first", "control", "majority"}
    ((word, sentence),) = rivalry(document["exercises"]["name_source"], names)
    assert (word, sentence.partition(" ")[0]) == ("beaten", "control")


def test_answers_are_picked_evenly_from_good_and_poor_ones(products: Products):
    rows = [
        {"exercise": "name_source", "question": f"q{number}", "wanted": "Emma", "baselines": {},
         "answers": {"full": "a", "base": ""}, "marks": {"full": float(number % 3 > 0), "base": 0.0}}
        for number in range(12)
    ]  # fmt: skip
    document = examined({"full": 0.9, "base": 0.1}, {}, "generalisation")
    found = answers_to(
        "name_source", rows, names_in(products.run(), document, rows), document["choice"]["scores"]
    )
    assert found
    assert (found.by, found.num_good, found.num_poor) == ("full", 8, 4)
    assert [card.question for card in found.good] == ["q1", "q4", "q8"]
    assert [card.question for card in found.poor] == ["q0", "q3", "q6"]
    assert found.good[0].said == [("full", "a", "right", True), ("base", "", "wrong", False)]
    assert answers_to("recite", rows, names_in(products.run(), document, rows), {}) is None


def test_recall_is_called_recall(products: Products):
    marks = {"full": 0.9, "base": 0.1}
    told = {"full - base": entry(0.8, 0.7, 0.9)}
    products.add("take_exam demo", {"exam.json": examined(marks, told, "recall")})
    page = render(products.run())
    assert '<span class="claim recall">recall</span>' in page
    assert "name source (recall): full beats base" in page


def test_a_merge_finds_its_place_on_the_dial_by_its_settings_before_its_name(products: Products):
    parents = {"parents": [artifact("demo-left"), artifact("demo-right")]}
    model = {"model.safetensors": ""}
    for name, method in (
        ("demo-a", {"type": "slerp", "t": 0.25}),
        ("demo-b", {"type": "linear", "weights": [1.0, 3.0], "normalize": True}),
        ("demo-c", {"type": "linear", "weights": None}),
        ("demo-ties", {"type": "ties"}),
    ):
        products.add(f"merge_models {name}", model, inputs=parents, choices={"settings": {"method": method}})
    run = products.run()
    assert place_on_dial(run, "demo-a") == ("slerp", 0.25)
    assert place_on_dial(run, "demo-b") == ("linear", 0.75)
    assert place_on_dial(run, "demo-c") == ("linear", 0.5)
    assert place_on_dial(run, "demo-ties") is None
    assert place_on_dial(run, "elsewhere-slerp-0.5") == ("slerp", 0.5)


def test_the_dial_runs_from_parent_to_parent(products: Products):
    parents = {"parents": [artifact("demo-left"), artifact("demo-right")]}
    for share in (0.25, 0.75):
        choices = {"settings": {"method": {"type": "slerp", "t": share}}}
        products.add(f"merge_models demo-{share}", {"model.safetensors": ""}, inputs=parents, choices=choices)
    values = {"demo-left": 1.5, "demo-0.25": 1.42, "demo-0.75": 1.41, "demo-right": 1.6}
    products.add("compare_models demo", {"comparison.json": compared(values, reference="demo-left")})
    (section,) = dial(products.run())
    assert (section.start, section.end) == ("left", "right")
    assert section.rows == [
        ("0", [("slerp", "1.5000")]), ("0.25", [("slerp", "1.4200")]),
        ("0.75", [("slerp", "1.4100")]), ("1", [("slerp", "1.6000")]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("validation", "suggestion"),
    [
        ({10: 3.0, 20: 2.5, 30: 2.4}, "Train base for longer."),
        ({10: 3.0, 20: 2.5, 30: 2.495}, None),
        ({10: 2.4, 20: 2.5, 30: 2.7}, "Train base for fewer steps, or on more text."),
        ({10: 2.5, 20: 2.4, 30: 2.41}, None),
    ],
)
def test_advice_on_training_follows_its_rules(
    products: Products, validation: dict[int, float], suggestion: str | None
):
    products.add("pretrain_model demo-base", {"metrics.jsonl": metrics([3.0] * 30, validation)})
    assert [each.do for each in advice(products.run()).suggestions] == ([suggestion] if suggestion else [])


def test_advice_on_data_and_comparisons_names_rule_and_numbers(products: Products):
    products.add("describe_corpus demo", {"statistics.json": STATISTICS})
    products.add(
        "compare_models demo", {"comparison.json": compared({"demo-base": 1.5, "demo-x": 1.4375}, 0.125)}
    )
    told = {each.do: each.because for each in advice(products.run()).suggestions}
    assert "x about 400" in told["Hold out more documents, or leave the question open."]
    assert told["Look at what was rejected of letters."].startswith(
        "20 of 100 documents, 20%; most by the rule length"
    )
    assert "6 documents on the test side" in told["Take the intervals with care, or hold out more."]


def test_commands_can_be_pasted_whatever_the_prompt(products: Products):
    base = products.add("pretrain_model demo-base", {"model.safetensors": ""})
    assert base.manifest
    products.add(
        "register_model demo",
        {"registration.json": {"name": "demo", "alias": "champion", "digest": base.manifest.digest}},
        choices={"settings": {"example_prompt": "What's $HOME?"}},
    )
    commands = [command for command, _ in advice(products.run()).commands]
    assert commands[0] == """lm generate demo@champion --prompt 'What'"'"'s $HOME?'"""
    assert headline(products.run()).title == "demo@champion is the model base"


# -- the page -----------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Notes elements and checks that each is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


def fill(products: Products, text: str = "It is a truth") -> RunFacts:
    """A run with something for every section, in which everything from outside is `text`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    model = {"model.safetensors": ""}
    written = json.dumps({"prompt": text, "temperature": 0.8, "text": text})
    learnt = {"samples.jsonl": json.dumps({"step": 10, "prompt": text, "text": text})}
    losses = metrics([9.0, *[3.0] * 29], {10: 3.0, 20: 2.5, 30: 2.4})
    score = {
        "documents": 6, "bytes": 10, "model_minus_unigram": {"bits_per_byte": entry(-0.5, -0.6, -0.4)},
        "model": {"bits_per_byte": entry(1.5, 1.4, 1.6), "perplexity": entry(9.0)},
        "unigram": {"bits_per_byte": entry(2.0, 1.9, 2.1), "perplexity": entry(90.0)},
    }  # fmt: skip
    scores = score | {"sources": {text: score}, "definition": {"side": "test", "interval": text}}
    statistics = json.loads(json.dumps(STATISTICS).replace("letters", json.dumps(text)[1:-1]))
    variants = {"metric": "bits_per_byte", "better": "lower", "recipes": [
        {"dials": {"model.width": width}, "seeds": 1, "mean": mean, "lowest": mean, "highest": mean}
        for width, mean in (("96", 1.4), (text, 1.5))
    ]}  # fmt: skip
    products.add(f"ingest_source {text}", state="reused")
    products.add("split_corpus demo", needs=[f"ingest_source {text}"], facts={"train_documents": 70})
    products.add("describe_corpus demo", {"statistics.json": statistics}, needs=["split_corpus demo"])
    products.add(
        "pretrain_model demo-base", model | learnt | {"metrics.jsonl": losses}, needs=["split_corpus demo"]
    )
    parents = {"parents": [artifact("demo-base"), artifact("demo-other")]}
    for share in ("0.25", "0.5"):
        products.add(
            f"merge_models demo-slerp-{share}", model, needs=["pretrain_model demo-base"], inputs=parents
        )
    values = {"demo-base": 1.5, "demo-slerp-0.25": 1.42, "demo-slerp-0.5": 1.41, text: 1.4}
    products.add("compare_models demo", {"comparison.json": compared(values)})
    report = products.add(
        "evaluate_model demo",
        {"scores.json": scores, "samples.jsonl": written, "documents.parquet": ""},
        inputs={"model": artifact("demo-base")},
        needs=["pretrain_model demo-base"],
    )
    assert report.folder
    row = {
        "title": [text],
        "source": [text],
        "file": [text],
        "line": [1],
        "bits_per_byte": [2.0],
        "bytes": [9],
    }
    pq.write_table(pa.table(row), report.folder / "documents.parquet")
    marks = examined(
        {"full": 0.9, "lora": 0.8, text: 0.5}, {f"full - {text}": entry(0.4, 0.3, 0.5)}, "recall"
    )
    said = {"exercise": "name_source", "question": text, "wanted": text, "baselines": {},
            "answers": {"full": text, "lora": text}, "marks": {"full": 1.0, "lora": 0.0}}  # fmt: skip
    told = {"exam.json": marks | {"claim_note": text, "interval": text}, "answers.jsonl": json.dumps(said)}
    products.add("take_exam demo", told)
    products.add("compare_variants demo", {"sweep.json": variants})
    products.add("choose_model demo", facts={"sentence": text, "verdict": "better"})
    return products.run()


def sections_of(page: str) -> list[str]:
    return re.findall(r'<section id="(\w+)"', page)


def test_the_page_has_every_section_that_the_run_has_something_for(products: Products):
    page = render(fill(products))
    assert sections_of(page) == [
        "steps", "sweep", "training", "scores", "comparison", "dial", "exam", "samples", "data", "advice",
    ]  # fmt: skip
    assert "could not be drawn" not in page


def test_the_page_is_whole_and_asks_nothing_of_the_network(products: Products):
    page = render(fill(products))
    reader = Reader(page)
    targets = {value for _, name, value in reader.attributes if name == "id"}
    links = [value for _, name, value in reader.attributes if name == "href"]
    assert links
    assert all(link.startswith("#") and link[1:] in targets for link in links)
    assert not [
        value for _, name, value in reader.attributes if name in ("src", "srcset", "action", "xlink:href")
    ]
    assert not re.search(r"https?:|url\(|@import|//[a-z]+\.", page)
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_only_our_script_may_run(products: Products):
    page = render(fill(products, NASTY))
    reader = Reader(page)
    (script,) = reader.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policies = [value for tag, name, value in reader.attributes if tag == "meta" and "script-src" in value]
    assert f"script-src 'sha256-{digest}'" in policies[0]
    assert policies[0].startswith("default-src 'none'")


def test_texts_from_outside_never_become_markup(products: Products):
    page = render(fill(products, NASTY))
    assert "could not be drawn" not in page
    assert "<img" not in page
    assert page.count("<script") == 1
    reader = Reader(page)
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert page.count("alert(1)") > 10  # it is all there, as text


def test_a_run_without_models_has_no_sections_about_models(products: Products):
    products.add(
        "split_corpus demo", facts={"train_documents": 70, "validation_documents": 4, "test_documents": 6}
    )
    products.add("describe_corpus demo", {"statistics.json": STATISTICS}, needs=["split_corpus demo"])
    page = render(products.run("prepare_corpus"))
    assert sections_of(page) == ["steps", "data", "advice"]
    assert "<h1>A corpus of 80 documents</h1>" in page


def test_a_run_that_ended_early_says_what_it_did_not_reach(products: Products):
    products.add("split_corpus demo")
    products.steps.append(
        StepFacts("pretrain_model demo", "not reached", "first time", ("split_corpus demo",))
    )
    page = render(products.run())
    assert "the run ended before 1 step of it" in page
    assert "not reached" in page


def test_a_file_of_another_form_costs_its_section_alone(products: Products):
    products.add("compare_models demo", {"comparison.json": {"side": "test"}})
    products.add("describe_corpus demo", {"statistics.json": STATISTICS})
    page = render(products.run())
    assert page.count("could not be drawn: KeyError") >= 1
    assert "data" in sections_of(page)
    Reader(page)


def test_a_long_run_makes_a_page_that_can_be_mailed(products: Products):
    for number in range(30):
        losses = metrics([3.0, 3.1] * 500, {step: 3.0 for step in range(50, 1001, 50)})
        files = {"metrics.jsonl": losses, "model.safetensors": ""}
        products.add(f"pretrain_model demo-{number}", files if number < 12 else None)
    assert len(render(products.run())) < 300_000


# -- where it lies ------------------------------------------------------------------------------------


def planned(products: Products) -> tuple[list[Line], dict[str, Outcome]]:
    lines, outcomes = [], {}
    for step in products.steps:
        assert step.manifest
        lines.append(Line(step.label, "run", "first time", Forecast(1, 1, 1), False, "reports/x", step.needs))
        outcomes[step.label] = Outcome(step.state, step.manifest)
    return lines, outcomes


def test_the_latest_page_is_found_under_the_experiment(tmp_path: Path, products: Products):
    workspace = Workspace(tmp_path / "workspace")
    products.add("split_corpus demo")
    session = Session(workspace, flow="prepare_corpus", experiment="demo")
    page = write_report(session, *planned(products), 3.0, NOON)
    assert workspace.address(page) == f"reports/runs/demo-{session.run_id}.html"
    found = workspace.path("reports/demo/report.html")
    assert found.readlink() == Path("..") / "runs" / page.name
    assert found.read_text() == page.read_text()


def test_a_run_that_reused_everything_writes_a_page_only_if_none_tells_of_its_products(
    tmp_path: Path, products: Products
):
    workspace = Workspace(tmp_path / "workspace")
    products.add("split_corpus demo", state="reused")

    def write() -> Path:
        session = Session(workspace, flow="prepare_corpus", experiment="demo")
        return write_report(session, *planned(products), 0.2, NOON)

    first = write()
    assert write() == first
    first.unlink()
    second = write()
    assert second != first
    products.add("train_tokenizer demo", state="reused")  # the page there does not know it
    assert write() not in (first, second)


def test_a_source_that_lost_too_much_raises_its_alarm_at_the_top_and_beside_its_numbers(products: Products):
    sentence = "letters lost 60 of 80 documents (75%), most by filter length.min_words (60)"
    products.add(
        "describe_corpus demo", {"statistics.json": STATISTICS | {"alarms": [{"sentence": sentence}]}}
    )
    assert ("alarm", sentence) in headline(products.run()).verdicts
    page = render(products.run())
    assert page.count("letters lost 60 of 80") == 2
    assert "log/corpus.html" not in page  # that page was not drawn


def test_the_page_on_a_corpus_is_linked_from_the_run_that_made_it(products: Products):
    step = products.add("describe_corpus demo", {"statistics.json": STATISTICS})
    (step.folder / "log").mkdir()
    (step.folder / "log" / "corpus.html").write_text("")
    assert f'href="../{step.folder.name}/log/corpus.html"' in render(products.run())


@pytest.mark.parametrize(("is_least", "out"), [(True, 3), (False, 5)])
def test_bars_beyond_a_limit_have_another_tone(is_least: bool, out: int):
    drawn = limit_histogram([1, 2, 3, 4, 5, 6, 7, 8], 0, 8, 3, is_least=is_least, label="words")
    assert drawn.count('class="fill bad"') == out
    assert drawn.count('class="fill one"') == 8 - out
    assert ">limit 3<" in drawn
