"""Experiments: what differs from the defaults, in YAML; mistakes are one line."""

from pathlib import Path

import pytest
from pydantic import Field

from lmcore.config import Config, SettingsError
from tasks.engine.experiment import Experiment, load_experiment


class Reader(Config):
    type: str = "text"
    heading: str | None = None
    field: str | None = None


class Prepare(Experiment):
    sources: tuple[str, ...]
    reader: Reader = Reader()
    seed: int = 0


class Train(Prepare):
    steps: int = 3
    rate: float = 1e-3


class Way(Config):
    epochs: int = 1


class Finetune(Train):
    ways: dict[str, Way] = Field({"plain": Way()})
    shares: dict[str, float] = Field(default_factory=dict)
    inner: dict[str, dict[str, int]] = Field(default_factory=dict)


KINDS = {"finetune": Finetune, "prepare": Prepare, "train": Train}


def write(workspace, flow: str, name: str, text: str) -> Path:
    file = workspace.root / "experiments" / flow / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def load(workspace, name: str, *overrides: str, flow: str = "train"):
    return load_experiment(workspace, flow, name, overrides, KINDS.__getitem__)


def test_a_file_holds_what_differs_and_an_override_goes_on_top(workspace):
    write(workspace, "train", "demo", "sources: [a]\nsteps: 5\n")
    assert (load(workspace, "demo").steps, load(workspace, "demo").rate) == (5, 1e-3)
    changed = load(workspace, "demo", "rate=3e-4", "sources=[b, c]")
    assert (changed.steps, changed.rate, changed.sources) == (5, 3e-4, ("b", "c"))


def test_an_earlier_flow_runs_from_a_later_flows_file(workspace):
    write(workspace, "train", "demo", "sources: [a]\nsteps: 5\n")
    assert isinstance(load(workspace, "demo", flow="prepare"), Train)


def test_variants_share_the_data_of_what_they_extend_until_they_change_it(workspace):
    write(workspace, "train", "demo", "sources: [a]\n")
    write(workspace, "train", "longer", "extends: demo\nsteps: 9\n")
    write(workspace, "train", "other", "extends: longer\nseed: 1\n")
    assert load(workspace, "longer").data_name(Prepare) == "demo"
    assert load(workspace, "other").data_name(Prepare) == "other"
    assert (load(workspace, "other").steps, load(workspace, "other").sources) == (9, ("a",))
    assert load(workspace, "demo", "steps=4").data_name(Prepare) == "demo"
    assert load(workspace, "demo", "seed=4").data_name(Prepare).startswith("demo-")
    assert load(workspace, "demo", "seed=4").data_name(Prepare) != load(
        workspace, "demo", "seed=5"
    ).data_name(Prepare)


def test_null_drops_an_entry_that_an_extended_experiment_names(workspace):
    write(
        workspace, "finetune", "demo", "sources: [a]\nways: {full: {epochs: 3}, lora: {}}\nshares: {a: 1}\n"
    )
    write(
        workspace,
        "finetune",
        "less",
        "extends: demo\nways: {full: null, late: {epochs: 4}}\nshares: {a: null}\n",
    )
    less = load(workspace, "less", "ways.lora.epochs=2", flow="finetune")
    assert less.ways == {"lora": Way(epochs=2), "late": Way(epochs=4)}
    assert less.shares == {}
    assert load(workspace, "demo", "ways.lora=null", flow="finetune").ways == {"full": Way(epochs=3)}
    with pytest.raises(SettingsError, match=r"'rate' is None; "):
        load(workspace, "demo", "rate=null", flow="finetune")


def test_a_slip_in_the_name_of_an_entry_is_no_new_entry(workspace):
    write(workspace, "finetune", "demo", "sources: [a]\nways: {full: {}, lora: {}}\ninner: {a: {b: 1}}\n")
    with pytest.raises(SettingsError, match=r"there is no 'ful' in 'ways'\. Did you mean 'full'\?"):
        load(workspace, "demo", "ways.ful.epochs=2", flow="finetune")
    with pytest.raises(SettingsError, match=r"there is no 'x' in 'inner'"):
        load(workspace, "demo", "inner.x.b=2", flow="finetune")
    assert load(workspace, "demo", "ways.new={epochs: 2}", flow="finetune").ways["new"] == Way(epochs=2)
    assert load(workspace, "demo", "shares.a=2", flow="finetune").shares == {"a": 2}
    write(workspace, "finetune", "default", "sources: [a]\n")
    assert load(workspace, "default", "ways.plain.epochs=2", flow="finetune").ways == {"plain": Way(epochs=2)}


def test_a_wrong_name_is_told_before_what_is_missing(workspace):
    write(workspace, "train", "demo", "suorces: [a]\n")
    with pytest.raises(SettingsError, match="unknown setting 'suorces'"):
        load(workspace, "demo")


def test_another_type_of_part_does_not_inherit_the_dials_of_the_one_before(workspace):
    write(workspace, "train", "demo", "sources: [a]\nreader: {type: text, heading: x}\n")
    assert load(workspace, "demo", "reader={type: jsonl, field: y}").reader == Reader(type="jsonl", field="y")
    assert load(workspace, "demo", "reader.heading=z").reader == Reader(type="text", heading="z")


def test_a_flows_own_file_extends_that_of_its_folder_first(workspace):
    write(workspace, "prepare", "base", "sources: [prepare]\n")
    write(workspace, "train", "base", "sources: [train]\n")
    write(workspace, "train", "demo", "extends: base\n")
    assert load(workspace, "demo").sources == ("train",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "sources: [a]\nstepz: 1",
            "experiments/train/demo.yaml: unknown setting 'stepz'. Did you mean 'steps'?",
        ),
        ("sources: [a]\nsteps: many", "'steps' is 'many'"),
        ("steps: 1", "'sources' is missing"),
        ("a: [", "experiments/train/demo.yaml is not YAML: "),
        ("\xff", "'sources' is missing|is not YAML|not `setting: value` lines"),
        ("- a", "holds a list, not `setting: value` lines"),
        ("name: x", "'name' is not set here"),
        ("extends: demo", "extends itself"),
        ("extends: [demo]", "which is no experiment"),
        ("extends: dmeo", "Did you mean 'demo'?"),
        ("sources: [2024-01-01]", "holds a date"),
        ("sources: [2024-13-45]", "is not YAML"),
        ("1: 2", "a name that is no text"),
        ("sources: !!set {a}", "a set"),
        ("sources: !!python/object/apply:os.system [echo]", "is not YAML"),
    ],
)
def test_a_mistake_in_a_file_is_one_line(workspace, text, told):
    write(workspace, "train", "demo", text)
    with pytest.raises(SettingsError) as caught:
        load(workspace, "demo")
    message = str(caught.value)
    assert any(each in message for each in told.split("|")), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("steps", "is no override; write setting=value"),
        ("=3", "is no override; write setting=value"),
        ("steps=[", "does not read as YAML"),
        ("steps=2024-13-45", "does not read as YAML"),
        ("steps=2024-01-01", "holds a date"),
        ("name=x", "'name' is not set here"),
        ("names={a: b}", "'names' is not set here"),
        ("steps..x=3", "'steps' is"),
        ("stepz=3", "Did you mean 'steps'?"),
    ],
)
def test_a_mistake_in_an_override_is_one_line(workspace, override, told):
    write(workspace, "train", "demo", "sources: [a]\n")
    with pytest.raises(SettingsError) as caught:
        load(workspace, "demo", override)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_gets_a_hint_and_an_ambiguous_one_both_files(workspace):
    with pytest.raises(SettingsError, match=r"Write one: experiments/train/demo\.yaml"):
        load(workspace, "demo")
    write(workspace, "prepare", "demo", "sources: [a]\n")
    write(workspace, "other", "demo", "sources: [a]\n")
    with pytest.raises(SettingsError, match=r"no experiment named 'dmeo'.* Did you mean 'demo'"):
        load(workspace, "dmeo")
    with pytest.raises(SettingsError, match=r"is ambiguous: .*other/demo.* and .*prepare/demo"):
        load(workspace, "demo")
