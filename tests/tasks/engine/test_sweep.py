"""Sweeps: which variants a command line means, and what is said of them."""

import json
import threading
from types import ModuleType

import pytest

from lmcore.config import SettingsError
from tasks.engine.run import Options, make_plan, run_flow
from tasks.engine.session import Session
from tasks.engine.workspace import Workspace
from tasks.sweep import Variant, sweep, sweep_name, variants_of


def test_the_product_of_all_values_is_run():
    points = variants_of(["model.width=96,128", "train.steps=50", "seed=1,2"])
    assert [dials for dials, _ in points] == [
        {"model.width": "96", "seed": "1"},
        {"model.width": "96", "seed": "2"},
        {"model.width": "128", "seed": "1"},
        {"model.width": "128", "seed": "2"},
    ]
    assert points[1][1] == ["model.width=96", "train.steps=50", "seed=2"]


@pytest.mark.parametrize(
    "override",
    ["a=[1,2]", "a={b: 1,c: 2}", "a='x,y'", 'a="x,y"', "a=It is, a truth", "a=", "novalue"],
)
def test_commas_inside_one_value_are_no_sweep(override: str):
    assert variants_of([override]) == [({}, [override])]


def test_lists_may_be_swept_as_well():
    points = variants_of(["sources=[a,b],[c]"])
    assert [changes for _, changes in points] == [["sources=[a,b]"], ["sources=[c]"]]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["a=1,,2"], "an empty value at a comma"),
        (["a=,1"], "an empty value at a comma"),
        (["a=1,1"], "a value twice; name each once"),
        (["a=1,2", "a=1"], "'a' is set twice"),
    ],
)
def test_a_value_that_is_empty_or_doubled_is_refused(overrides: list[str], says: str):
    with pytest.raises(SettingsError, match=says):
        variants_of(overrides)


def test_more_variants_than_anyone_wants_are_refused():
    with pytest.raises(SettingsError, match="72 combinations"):
        variants_of([f"a={','.join(map(str, range(9)))}", f"b={','.join(map(str, range(8)))}"])


def test_variants_that_differ_by_seed_alone_are_one_recipe():
    from tasks.sweep import _recipes

    rows = [
        {"dials": {"model.width": "16", "train.seed": "1"}, "loss": 1.0},
        {"dials": {"model.width": "16", "train.seed": "2"}, "loss": 3.0},
        {"dials": {"model.width": "32", "train.seed": "1"}, "loss": 5.0},
    ]
    assert _recipes(rows, "loss") == [
        {"dials": {"model.width": "16"}, "seeds": 2, "mean": 2.0, "lowest": 1.0, "highest": 3.0},
        {"dials": {"model.width": "32"}, "seeds": 1, "mean": 5.0, "lowest": 5.0, "highest": 5.0},
    ]


def run_sweep(toy: ModuleType, workspace: Workspace, *steps: int, **options: object) -> dict[str, str]:
    """What became of each call of a sweep over the toy's number of training steps."""
    base = toy.experiment()
    variants = [
        Variant({"train.steps": str(n)}, toy.experiment(f"demo-{n}", train={"steps": n})) for n in steps
    ]
    named = base.model_copy(update={"name": sweep_name(base, variants)})
    actions: dict[str, str] = {}

    class Heard(toy.Heard):  # type: ignore[misc]
        def finished(self, label: str, outcome: object) -> None:
            actions[label] = outcome.action  # type: ignore[attr-defined]

    run_flow(workspace, sweep(toy.toy, variants), named, Options(use_prefect=False, **options), Heard())
    return actions


def test_a_sweep_makes_each_variant_and_one_table(toy: ModuleType, workspace: Workspace):
    actions = run_sweep(toy, workspace, 2, 4)
    assert sum(label.startswith("train_toy") for label in actions) == 2
    (table,) = workspace.root.glob("reports/compare_variants-*/sweep.json")
    assert [row["dials"] for row in json.loads(table.read_text())["rows"]] == [
        {"train.steps": "2"},
        {"train.steps": "4"},
    ]
    assert table.with_name("sweep.csv").read_text().splitlines()[0] == "train.steps,models"
    assert set(run_sweep(toy, workspace, 2, 4).values()) == {"reused"}


def test_a_wider_sweep_reuses_the_variants_that_were_there(toy: ModuleType, workspace: Workspace):
    run_sweep(toy, workspace, 2, 4)
    actions = run_sweep(toy, workspace, 2, 4, 6)
    assert {label for label, action in actions.items() if action == "built" and "demo-6" not in label} == {
        label for label in actions if label.startswith("compare_variants")
    }


def test_each_variant_ends_after_the_step_that_until_names(toy: ModuleType, workspace: Workspace):
    actions = run_sweep(toy, workspace, 2, 4, until="train_toy")
    assert {label.partition(" ")[0] for label in actions} == {"write_text", "split_text", "train_toy"}
    assert sum(label.startswith("train_toy") for label in actions) == 2


def test_a_call_that_two_threads_ask_for_is_made_once(toy: ModuleType, workspace: Workspace):
    session, made, answers = Session(workspace), [], []
    barrier = threading.Barrier(4)

    def ask() -> None:
        barrier.wait()
        arguments = {"source": toy.find_toy_source(workspace), "name": "demo"}
        answers.append(session.once(toy.write_text, arguments, lambda: made.append(1) or "answer"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["answer"] * 4
    assert made == [1]


def test_what_failed_fails_for_everyone_who_asks(toy: ModuleType, workspace: Workspace):
    session = Session(workspace)
    arguments = {"source": toy.find_toy_source(workspace), "name": "demo"}

    def fail() -> None:
        raise OSError("no such luck")

    for _ in range(2):
        with pytest.raises(OSError, match="no such luck"):
            session.once(toy.write_text, arguments, fail)


def test_a_plan_of_a_sweep_names_every_variant(toy: ModuleType, workspace: Workspace):
    base = toy.experiment()
    variants = [
        Variant({"train.steps": str(n)}, toy.experiment(f"demo-{n}", train={"steps": n})) for n in (1, 2)
    ]
    _, lines = make_plan(workspace, sweep(toy.toy, variants), base)
    labels = [line.label for line in lines]
    assert len(labels) == len(set(labels)) == 9
